from pathlib import Path

import pytest

from segpipe.errors import UserError
from segpipe.inference.inputs import find


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def found(*inputs, output="out"):
    return {picture.file.as_posix(): picture.name for picture in find(inputs, Path(output)).pictures}


def test_a_folder_gives_its_pictures_sorted_with_subfolders_in_their_names(folder):
    touch("in/b.jpg", "in/a.PNG", "in/sub/c.tif")
    assert list(found("in").items()) == [("in/a.PNG", "a"), ("in/b.jpg", "b"), ("in/sub/c.tif", "sub/c")]


def test_other_files_are_passed_over_and_counted_and_hidden_ones_not_looked_at(folder):
    touch("in/a.jpg", "in/labels.json", "in/._a.jpg", "in/.cache/b.jpg")
    result = find(["in"], Path("out"))
    assert [picture.name for picture in result.pictures] == ["a"]
    assert result.passed_over == 1


def test_a_file_is_taken_at_its_word(folder):
    touch("in/scan.dat")
    assert found("in/scan.dat") == {"in/scan.dat": "scan"}


def test_a_glob_keeps_the_folders_from_its_first_wildcard_on(folder):
    touch("data/day1/cam/a.jpg", "data/day2/cam/a.jpg", "data/day2/cam/a.txt")
    assert found("data/*/cam/*") == {"data/day1/cam/a.jpg": "day1/cam/a", "data/day2/cam/a.jpg": "day2/cam/a"}
    assert found("data/**/a.jpg") == found("data/*/cam/*")


def test_a_name_with_wildcard_signs_that_exists_is_that_file(folder):
    touch("in/a[1].jpg", "in/a1.jpg")
    assert found("in/a[1].jpg") == {"in/a[1].jpg": "a[1]"}


def test_a_picture_meant_twice_counts_once(folder):
    touch("in/a.jpg", "in/b.jpg")
    assert found("in/a.jpg", "in", "in/*.jpg") == {"in/a.jpg": "a", "in/b.jpg": "b"}


def test_equal_names_get_their_suffix_and_then_a_number(folder):
    touch("in/a.jpg", "in/a.png", "other/a.jpg")
    assert found("in", "other") == {"in/a.jpg": "a.jpg", "in/a.png": "a.png", "other/a.jpg": "a.jpg-2"}


def test_names_that_differ_in_case_alone_count_as_equal(folder):
    touch("in/A.jpg", "other/a.png")
    assert found("in", "other") == {"in/A.jpg": "A.jpg", "other/a.png": "a.png"}


def test_earlier_results_inside_the_input_are_no_pictures(folder):
    touch("in/a.jpg", "in/masks/a.png")
    assert found("in", output="in/masks") == {"in/a.jpg": "a"}


def test_an_output_around_the_input_hides_nothing(folder):
    touch("in/a.jpg")
    assert found("in", output=".") == {"in/a.jpg": "a"}


def test_masks_never_lie_among_the_pictures(folder):
    touch("in/a.jpg")
    message = "^in: masks would lie among the pictures; choose another output folder$"
    for source in ("in", "in/*.jpg"):
        with pytest.raises(UserError, match=message):
            found(source, output="in")


def test_a_picture_is_never_replaced_by_a_mask(folder):
    touch("in/a.png")
    with pytest.raises(UserError, match=r"^in/a\.png: this picture would be replaced by a mask; "):
        found("in/a.png", output="in")


def test_an_input_that_is_nowhere_is_named(folder):
    with pytest.raises(UserError, match=r"^nowhere/x\.jpg: no such file or folder, and no glob that matches one$"):
        found("nowhere/x.jpg")
