import os
from pathlib import Path

import pytest

from segpipe.core.errors import UserError
from segpipe.inference.find_images import InputImages, find
from segpipe.inference.results import ResultFolder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def found(*inputs, output="out"):
    return {image.file.as_posix(): image.name for image in find(inputs, Path(output)).images}


def test_images_of_a_folder_are_sorted_and_their_names_have_the_subfolders(folder):
    touch("in/b.jpg", "in/a.PNG", "in/sub/c.tif")
    assert list(found("in").items()) == [("in/a.PNG", "a"), ("in/b.jpg", "b"), ("in/sub/c.tif", "sub/c")]


def test_other_files_are_skipped_and_counted_and_hidden_files_ignored(folder):
    touch("in/a.jpg", "in/labels.json", "in/._a.jpg", "in/.cache/b.jpg")
    result = find(["in"], Path("out"))
    assert [image.name for image in result.images] == ["a"]
    assert result.skipped == 1


def test_a_named_file_is_read_with_any_suffix(folder):
    touch("in/scan.dat")
    assert found("in/scan.dat") == {"in/scan.dat": "scan"}


def test_names_from_a_glob_start_at_its_first_wildcard(folder):
    touch("data/day1/cam/a.jpg", "data/day2/cam/a.jpg", "data/day2/cam/a.txt")
    assert found("data/*/cam/*") == {"data/day1/cam/a.jpg": "day1/cam/a", "data/day2/cam/a.jpg": "day2/cam/a"}
    assert found("data/**/a.jpg") == found("data/*/cam/*")


def test_an_existing_file_with_wildcards_in_its_name_is_that_file(folder):
    touch("in/a[1].jpg", "in/a1.jpg")
    assert found("in/a[1].jpg") == {"in/a[1].jpg": "a[1]"}


def test_an_image_named_twice_counts_once(folder):
    touch("in/a.jpg", "in/b.jpg")
    assert found("in/a.jpg", "in", "in/*.jpg") == {"in/a.jpg": "a", "in/b.jpg": "b"}


def test_equal_names_get_their_suffix_then_a_number(folder):
    touch("in/a.jpg", "in/a.png", "other/a.jpg")
    assert found("in", "other") == {"in/a.jpg": "a.jpg", "in/a.png": "a.png", "other/a.jpg": "a.jpg-2"}


def test_names_that_differ_only_in_case_count_as_equal(folder):
    touch("in/A.jpg", "other/a.png")
    assert found("in", "other") == {"in/A.jpg": "A.jpg", "other/a.png": "a.png"}


def test_results_of_earlier_runs_are_left_out_in_every_folder(folder):
    touch("in/a.jpg", "in/b.jpg")
    for output in ("in", "in/masks", "in/old"):
        ResultFolder(Path(output)).write("a.png", b"mask")
        ResultFolder(Path(output)).write("sub/a.overlay.jpg", b"overlay")
    assert found("in", output="in/masks") == found("in/**/*.*") == {"in/a.jpg": "a", "in/b.jpg": "b"}
    assert find(["in"], Path("in/masks")).earlier == 6
    assert found("in/a.png") == {"in/a.png": "a"}  # but an input names this one


@pytest.mark.parametrize("output", ["in/masks", "link"])
def test_a_photo_in_the_output_folder_is_an_error(output, folder):
    touch("in/a.jpg", "in/masks/b.jpg")
    Path("link").symlink_to("in/masks")
    ResultFolder(Path("in/masks")).write("a.png", b"mask")
    message = (
        "^in/masks/b.jpg: is in the output folder, but not in the list .segpipe-results.jsonl; choose another output "
    )
    with pytest.raises(UserError, match=message):
        found("in", output=output)


def test_an_output_folder_above_the_input_hides_nothing(folder):
    touch("in/a.jpg")
    assert found("in", output=".") == {"in/a.jpg": "a"}


def test_the_output_folder_must_differ_from_the_input_folder(folder):
    touch("in/a.jpg")
    message = "^in: masks would be written among the images; choose another output folder$"
    Path("link").symlink_to("in")
    for source in ("in", "in/*.jpg", "link", "in/**"):
        with pytest.raises(UserError, match=message):
            found(source, output="in")


def test_an_input_that_matches_nothing_is_an_error(folder):
    for text in ("nowhere/x.jpg", "nowhere/**/x.jpg", "n" * 300):
        with pytest.raises(UserError) as caught:
            found(text)
        assert str(caught.value) == f"{text}: no such file or folder, and as a glob it matches nothing"


def test_a_linked_folder_counts_as_a_folder(folder):
    touch("in/a.jpg", "elsewhere/sub/b.jpg")
    Path("in/day").symlink_to("../elsewhere")
    assert found("in") == {"in/a.jpg": "a", "in/day/sub/b.jpg": "day/sub/b"}
    assert found("in/**/*.jpg") == found("in/**") == found("in")


def test_a_folder_with_links_to_it_is_entered_once_by_a_path_without_links(folder):
    touch("in/day2/a.jpg")
    for link, target in (("a_latest", "day2"), ("day2/up", ".."), ("z", "."), ("far", "../in/day2"), ("y", "z")):
        Path("in", link).symlink_to(target)
    assert found("in") == found("in/**/*.jpg") == found("in/**") == {"in/day2/a.jpg": "day2/a"}
    assert found("in/*/*.jpg", "in/day2/a.jpg") == {"in/a_latest/a.jpg": "a_latest/a"}  # one file, under its first name


def test_a_linked_file_is_an_image_of_its_name(folder):
    touch("in/a.jpg")
    Path("in/b.jpg").symlink_to("a.jpg")
    assert found("in") == {"in/a.jpg": "a", "in/b.jpg": "b"}


def test_unreadable_images_are_not_skipped(folder):
    touch("in/a.jpg")
    Path("in/b.jpg").symlink_to("b.jpg")
    Path("in/day2").symlink_to("/not/mounted")
    os.mkfifo("in/c.jpg")
    expected = {"in/a.jpg": "a", "in/b.jpg": "b", "in/c.jpg": "c", "in/day2": "day2"}
    assert found("in") == found("in/*") == expected
    for file, name in expected.items():
        assert found(file) == {file: name}


@pytest.mark.parametrize(
    ("skipped", "earlier", "expected"),
    [
        (0, 0, ""),
        (1, 0, ", 1 other file skipped"),
        (2, 1, ", 2 other files skipped, 1 result of earlier runs left out"),
        (0, 3, ", 3 results of earlier runs left out"),
    ],
)
def test_left_out_files_are_counted_in_words(skipped, earlier, expected):
    assert InputImages((), skipped, earlier).left_out() == expected


def test_parent_folders_in_a_glob_do_not_lead_out_of_the_output_folder(folder):
    touch("in/a/x.jpg", "b/y.jpg")
    assert found("in/a*/../../b/y.jpg") == {"in/a/../../b/y.jpg": "b/y"}


def test_names_that_differ_only_in_composed_accents_count_as_equal(folder):
    touch("in/k\u00fcche.jpg", "in/ku\u0308che.png")
    assert len(set(found("in").values())) == 2
    assert {name[-4:] for name in found("in").values()} == {".jpg", ".png"}
