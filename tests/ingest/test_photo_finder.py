from itertools import permutations
from pathlib import Path

import pytest

from segpipe.ingest.photo_finder import FoundPhoto, PhotoFinder, PhotoName, path_inside
from segpipe.ingest.source import Source


def finder(tmp_path, *files):
    return PhotoFinder(Source(tmp_path, files, {}))


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
def test_a_name_is_found_in_any_notation(tmp_path, name):
    assert finder(tmp_path, "images/a b.jpg").as_written(name, ["."]) == "images/a b.jpg"


def test_a_file_with_a_percent_sign_in_its_name_is_preferred(tmp_path):
    assert finder(tmp_path, "a b.jpg", "a%20b.jpg").as_written("a%20b.jpg", ["."]) == "a%20b.jpg"


@pytest.mark.parametrize("file", ["cafe\u0301.jpg", "caf\u00e9.jpg", "images\\a.jpg", "images/a.jpg", "a%20b.jpg"])
def test_the_exact_path_is_preferred_to_nearly_equal_ones(tmp_path, file):
    files = finder(tmp_path, "cafe\u0301.jpg", "caf\u00e9.jpg", "images\\a.jpg", "images/a.jpg", "a b.jpg", "a%20b.jpg")
    assert files.as_written(file, ["."]) == file


def test_the_first_folder_with_the_name_is_used(tmp_path):
    files = finder(tmp_path, "train/a.jpg", "val/a.jpg")
    assert files.as_written("a.jpg", [".", "val", "train"]) == "val/a.jpg"


def test_composed_and_decomposed_letters_are_equal(tmp_path):
    assert finder(tmp_path, "cafe\u0301.jpg").as_written("caf\u00e9.jpg", ["."]) == "cafe\u0301.jpg"


def test_a_name_may_go_up_but_not_leave_the_source(tmp_path):
    assert finder(tmp_path, "images/a.jpg").as_written("../images/a.jpg", ["annotations"]) == "images/a.jpg"
    assert finder(tmp_path, "images/a.jpg").as_written("../../images/a.jpg", ["annotations"]) is None


def guesses(files, *names, written=(), others=()):
    """For each name that does not exist as written: (file, code of the finding), or why there is no file.

    names: paths, or (path, folder of the annotation file).
    """
    pairs = [(name, ".") if isinstance(name, str) else name for name in names]
    wanted = [
        PhotoName(path=path, folders=(folder, "."), place=f"record {i}", origin=folder)
        for i, (path, folder) in enumerate(pairs)
    ]
    guesses_ = PhotoFinder(Source(Path(), tuple(files), {}), others).similar(wanted, dict.fromkeys(written, "another"))
    return [(it.file, it.note[0]) if isinstance(it, FoundPhoto) else str(it) for it in guesses_]


ELSEWHERE, OTHER = "found_elsewhere", "other_folder"


@pytest.mark.parametrize(
    ("name", "file", "code"),
    [
        ("Images/A.JPG", "images/a.jpg", ELSEWHERE),
        ("a.jpg", "images/a.jpg", ELSEWHERE),
        ("/home/me/images/a.jpg", "images/a.jpg", ELSEWHERE),
        ("C:\\Users\\me\\a%20b.jpg", "a b.jpg", ELSEWHERE),
        ("..\\images\\a.jpg", "set/images/a.jpg", ELSEWHERE),
        ("/data/local-files/?d=images/a.jpg", "set/images/a.jpg", ELSEWHERE),
        ("images/a.jpg", "images\\A.jpg", ELSEWHERE),
        ("../../A.JPG", "images/a.jpg", ELSEWHERE),
        ("C:\\data\\a.jpg", "images/a.jpg", OTHER),
        ("http://host/x/a.jpg", "images/a.jpg", OTHER),
        ("video1/a.jpg", "video2/a.jpg", OTHER),
        ("video1/frames/a.jpg", "video2/frames/a.jpg", OTHER),
    ],
)
def test_a_file_is_found_in_another_place_than_written(name, file, code):
    assert guesses([file, "images/b.jpg"], name) == [(file, code)]


def test_the_note_contains_both_paths():
    (guess,) = PhotoFinder(Source(Path(), ("video2/a.jpg",), {})).similar(
        [PhotoName(path="video1/a.jpg", folders=(".",), place="", origin="")], {}
    )
    assert guess.note == (OTHER, "written 'video1/a.jpg'; the only file of that name is video2/a.jpg")


def test_the_file_with_more_equal_folders_is_preferred():
    assert guesses(["train/a.jpg", "val/a.jpg"], "D:\\set\\val\\a.jpg") == [("val/a.jpg", ELSEWHERE)]
    files = ["x/s1/rgb.jpg", "y/s1/rgb.jpg", "y/s2/rgb.jpg"]
    assert guesses(files, "/data/y/s1/rgb.jpg") == [("y/s1/rgb.jpg", ELSEWHERE)]
    assert guesses(["a.jpg", "images/a.jpg"], "/data/images/a.jpg") == [("images/a.jpg", ELSEWHERE)]


def test_the_file_nearest_to_the_annotation_file_is_preferred():
    files = ["video1/png/a.jpg", "video2/png/a.jpg"]
    assert guesses(files, ("a.jpg", "video2/json")) == [("video2/png/a.jpg", ELSEWHERE)]
    assert guesses(["set/video1/a.jpg", "set/video2/a.jpg"], ("/home/me/video2/a.jpg", "set/json")) == [
        ("set/video2/a.jpg", ELSEWHERE)
    ]


@pytest.mark.parametrize(
    ("files", "name", "problem"),
    [
        (["x/a.jpg", "y/a.jpg"], "a.jpg", "'a.jpg' matches 2 files (x/a.jpg, y/a.jpg); write its folder"),
        (["a.jpg", "A.jpg"], "a.JPG", "'a.JPG' matches 2 files (a.jpg, A.jpg); write its folder"),
        (
            ["x/a.jpg", "y/a.jpg"],
            "z/a.jpg",
            "no file 'z/a.jpg' in the source, but 2 files (x/a.jpg, y/a.jpg) in other folders have its name; ",
        ),
        (["x/b.jpg"], "x/a.jpg", "no file 'x/a.jpg' in the source; add the photo or delete its record"),
        (
            ["a.jpg", "x/a.jpg", "video1/b.jpg"],  # the folder exists, without the file
            "video1/a.jpg",
            "no file 'video1/a.jpg' in the source, but 2 files (a.jpg, x/a.jpg) in other folders have its name",
        ),
        (
            ["a.jpg", "x/a.jpg", "clips/video1/b.jpg"],
            "/home/me/video1/a.jpg",
            "no file '/home/me/video1/a.jpg' in the source, but 2 files (a.jpg, x/a.jpg) in",
        ),
    ],
)
def test_an_ambiguous_or_missing_file_is_a_problem(files, name, problem):
    assert guesses(files, name)[0].startswith(problem)


@pytest.mark.parametrize("name", ["A.jpg", "/data/val/a.jpg", "a.jpg", "x/a.jpg"])
def test_a_file_named_by_another_record_is_not_used(name):
    (problem,) = guesses(["val/a.jpg"], (name, "val" if name == "A.jpg" else "."), written=["val/a.jpg"])
    assert problem == (
        f"no file {name!r} in the source; val/a.jpg has its name, but another may mean that file too; add the photo "
        "or delete its record"
    )


def test_an_ambiguous_name_never_falls_back_to_a_worse_file():
    files = ["y/s1/rgb.jpg", "x/s1/rgb.jpg"]
    assert "y/s1/rgb.jpg has its name" in guesses(files, "/data/y/s1/rgb.jpg", written=files[:1])[0]


def test_masks_are_not_used_as_photos():
    assert guesses(["Masks/a.png"], "Images/a.png", others=["Masks/a.png"])[0].startswith("no file 'Images/a.png' in")


@pytest.mark.parametrize(
    ("names", "wins"),
    [
        (["Video2/a.jpg", "/data/video2/a.jpg", "a.jpg", "video1/a.jpg"], 0),  # by every rule, the strictest first
        (["/data/video2/a.jpg", "a.jpg", "video1/a.jpg"], 0),
        (["a.jpg", "A.jpg", "video1/a.jpg"], 0),
        (["video1/a.jpg"], 0),
        ([("a.jpg", "video2/json"), ("a.jpg", "video1/json")], 0),
        (["VIDEO2/a.jpg", "Video2/a.jpg"], None),  # which of them is it?
        (["/one/video2/a.jpg", "/two/video2/a.jpg"], None),
        (["video1/a.jpg", "video3/a.jpg"], None),
        ([("a.jpg", "x"), ("a.jpg", "y")], None),
    ],
)
def test_a_file_belongs_to_the_best_matching_name_in_any_order(names, wins):
    for order in permutations(range(len(names))):
        guessed = guesses(["video2/a.jpg"], *(names[i] for i in order))
        won = [i for i, it in zip(order, guessed, strict=True) if not isinstance(it, str)]
        assert won == ([] if wins is None else [wins])


@pytest.mark.parametrize("name", ["/data/images/a.jpg", "images/A.jpg", "lost/a.jpg"])
def test_one_name_in_several_annotation_files_is_one_file(name):
    assert len(set(guesses(["images/a.jpg"], name, name))) == 1
    assert guesses(["images/a.jpg"], name, name)[0][0] == "images/a.jpg"


def test_thousands_of_files_of_one_name_are_matched():  # each name against each file would take a minute
    files = [f"set/scene{i}/rgb.jpg" for i in range(3000)]
    names = [(f"/data/scene{i}/rgb.jpg", "set") for i in range(3000)]
    assert guesses(files, *names) == [(file, ELSEWHERE) for file in files]


@pytest.mark.parametrize(
    ("name", "path"), [("C:\\x\\a.jpg", "x/a.jpg"), ("/etc/../a.jpg", "etc/a.jpg"), ("../a.jpg", "a.jpg"), ("..", "")]
)
def test_a_missing_file_is_named_by_a_path_that_stays_inside(name, path):
    assert path_inside(name) == path
