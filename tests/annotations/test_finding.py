import pytest

from segpipe.annotations.finding import Finder, inside
from segpipe.annotations.source import Source
from segpipe.errors import AnnotationError


def finder(tmp_path, *files):
    return Finder(Source(tmp_path, files, {}))


@pytest.mark.parametrize(
    "name",
    [
        "images/a b.jpg",
        "./images/a b.jpg",
        "images\\a b.jpg",
        "images//a b.jpg",
        "images/a%20b.jpg",
        "x/../images/a b.jpg",
    ],
)
def test_a_name_is_found_however_it_is_written(tmp_path, name):
    assert finder(tmp_path, "images/a b.jpg").exactly(name, ["."]) == "images/a b.jpg"


def test_a_file_whose_own_name_holds_a_percent_sign_comes_first(tmp_path):
    assert finder(tmp_path, "a b.jpg", "a%20b.jpg").exactly("a%20b.jpg", ["."]) == "a%20b.jpg"


def test_the_first_folder_that_holds_the_name_wins(tmp_path):
    files = finder(tmp_path, "train/a.jpg", "val/a.jpg")
    assert files.exactly("a.jpg", [".", "val", "train"]) == "val/a.jpg"


def test_composed_and_decomposed_letters_are_one_name(tmp_path):
    assert finder(tmp_path, "cafe\u0301.jpg").exactly("caf\u00e9.jpg", ["."]) == "cafe\u0301.jpg"


def test_a_name_may_climb_as_long_as_it_stays_in_the_source(tmp_path):
    assert finder(tmp_path, "images/a.jpg").exactly("../images/a.jpg", ["annotations"]) == "images/a.jpg"
    assert finder(tmp_path, "images/a.jpg").exactly("../../images/a.jpg", ["annotations"]) is None


@pytest.mark.parametrize("name", ["/home/me/images/a.jpg", "C:\\data\\a.jpg", "http://host/x/a.jpg", "../../A.JPG"])
def test_elsewhere_only_the_last_part_counts(tmp_path, name):
    files = finder(tmp_path, "images/a.jpg")
    assert files.exactly(name, ["."]) is None
    assert files.by_name(name, set()) == "images/a.jpg"


def test_of_several_of_that_name_the_one_whose_folders_agree_is_meant(tmp_path):
    files = finder(tmp_path, "train/a.jpg", "val/a.jpg")
    assert files.by_name("D:\\set\\val\\a.jpg", set()) == "val/a.jpg"


def test_folders_count_from_the_last_backwards_and_taken_files_do_not(tmp_path):
    files = finder(tmp_path, "x/s1/rgb.jpg", "y/s1/rgb.jpg", "y/s2/rgb.jpg")
    assert files.by_name("/data/y/s1/rgb.jpg", set()) == "y/s1/rgb.jpg"
    assert files.by_name("/data/y/s1/rgb.jpg", {"y/s1/rgb.jpg"}) == "x/s1/rgb.jpg"


def test_several_equally_good_files_are_none(tmp_path):
    with pytest.raises(AnnotationError) as error:
        finder(tmp_path, "x/a.jpg", "y/a.jpg").by_name("/z/a.jpg", set())
    assert error.value.reason == "missing_file"
    assert str(error.value) == ("'/z/a.jpg' may be any of 2 files (x/a.jpg, y/a.jpg); give its folder in the record")


def test_a_file_that_another_record_names_is_not_guessed(tmp_path):
    with pytest.raises(AnnotationError, match=r"no file 'a\.jpg' in the source"):
        finder(tmp_path, "val/a.jpg").by_name("a.jpg", {"val/a.jpg"})


@pytest.mark.parametrize(
    ("name", "path"), [("C:\\x\\a.jpg", "x/a.jpg"), ("/etc/../a.jpg", "etc/a.jpg"), ("../a.jpg", "a.jpg"), ("..", "")]
)
def test_a_missing_file_is_named_by_a_path_that_stays_inside(name, path):
    assert inside(name) == path
