from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.core.errors import UserError
from segpipe.split import scenes

KNOWN = {"a__1": "a/1.jpg", "a__2": "a/2.jpg", "b__1": "b/1.jpg", "gone": "gone.jpg"}


def table(tmp_path, text: str, encoding="utf-8"):
    path = tmp_path / "scenes.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_a_scene_is_the_match_of_the_pattern_in_the_file_name():
    files = ["drive_07/a.jpg", "drive_07/b.jpg", "extra/c.jpg"]
    assert scenes.by_pattern(files, r"drive_(\d+)") == ["07", "07", ""]
    assert scenes.by_pattern(files, r"drive_\d+") == ["drive_07", "drive_07", ""]
    assert scenes.by_pattern(files, "") == ["", "", ""]
    with pytest.raises(UserError, match=r"params.yaml: split.scene: .* is not a regular expression \("):
        scenes.by_pattern(files, "(")
    with pytest.raises(UserError, match=r"'patient' matches no file name, such as 'drive_07/a.jpg'; correct it"):
        scenes.by_pattern(files, "patient")


@pytest.mark.parametrize(
    "text",
    [
        "file,patient\na/1.jpg,p1\na/2.jpg,\nb/1.jpg,p2\n",
        "\ufeffimage;age;patient\r\n.\\a\\1.jpg;44;p1\r\nb/1.jpg;9; p2\r\n2.jpg;9;\r\n\r\n",
        "key\tpatient\na__1\tp1\n2\t\nb__1\tp2",
        'patient,filename\n"p1","a/1.jpg"\n"","a/2.jpg"\np2,b/1.jpg\n',
    ],
)
def test_tables_with_commas_semicolons_or_tabs_are_read(tmp_path, text):
    scene_of = scenes.by_table(table(tmp_path, text), "patient", KNOWN)
    assert scene_of == {"a__1": "p1", "a__2": "", "b__1": "p2"}


def test_a_table_without_rows_has_no_scenes(tmp_path):
    assert scenes.by_table(table(tmp_path, "file,scene\n"), "scene", KNOWN) == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,scene\nx,1\n", r"no column names images, its columns are name, scene; name one of them file or key or"),
        ("", r"no column names images, it has no columns"),
        ("file,patient\na/1.jpg,1\n", r"no column scene, its columns are file, patient; set split\.scene_column"),
        (
            "file,scene\na/1.jpg,1\nc/9.jpg,1\n",
            r"line 3: 'c/9\.jpg' is not an image of the source; correct or remove the row",
        ),
        ("file,scene\n1.jpg,1\n", r"line 2: '1\.jpg' is the name of 2 images; use the path in the source"),
        ("file,scene\na/1.jpg,1\na__1,2\n", r"line 3: an earlier row has another scene for 'a__1'; keep one of them"),
    ],
)
def test_an_invalid_table_is_an_error_with_line_and_remedy(tmp_path, text, problem):
    with pytest.raises(UserError, match=problem):
        scenes.by_table(table(tmp_path, text), "scene", KNOWN)


def test_a_missing_table_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"scenes\.csv: no such file; restore it from git, or name another in params"):
        scenes.by_table(tmp_path / "scenes.csv", "scene", KNOWN)
    with pytest.raises(UserError, match="is a folder; name a file"):
        scenes.by_table(tmp_path, "scene", KNOWN)


def test_a_table_in_another_encoding_is_an_error(tmp_path):
    with pytest.raises(UserError, match="is not UTF-8"):
        scenes.by_table(table(tmp_path, "file,scene\na/1.jpg,Küche\n", "latin-1"), "scene", KNOWN)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('a1b2/.,;\t"\n\r\0')))
def test_any_text_has_scenes_or_is_one_error(tmp_path_factory, text):
    path = table(tmp_path_factory.mktemp("any"), "file,scene\n" + text)
    with suppress(UserError):
        assert set(scenes.by_table(path, "scene", KNOWN)) <= set(KNOWN)


def test_images_without_a_row_are_an_error_that_names_the_first(tmp_path):
    path = table(tmp_path, "file,scene\na/1.jpg,p1\n")
    assert scenes.scenes_of({"a__1": "a/1.jpg"}, KNOWN, "", path, "scene") == {"a__1": "p1"}
    with pytest.raises(UserError, match=r"scenes\.csv: no row for a/2\.jpg and 2 more; add one, with an empty cell"):
        scenes.scenes_of(KNOWN, KNOWN, "", path, "scene")


def test_a_pattern_and_a_table_with_rows_are_an_error(tmp_path):
    path = table(tmp_path, "file,scene\na/1.jpg,p1\n")
    with pytest.raises(UserError, match=r"split\.scene and the rows of .*scenes\.csv both name scenes; keep one"):
        scenes.scenes_of(KNOWN, KNOWN, "a", path, "scene")
    empty = table(tmp_path, "file,scene\n")
    scene_of = scenes.scenes_of({"b__1": "b/1.jpg", "a__2": "a/2.jpg"}, KNOWN, "^.", empty, "scene")
    assert scene_of == {"b__1": "b", "a__2": "a"}


HASHES = ("7f39f8317fbdb1988ef4c628eba02591", "072b030ba126b2f4b2374f342be9ed44", "zmrrEH9XTrsjtb5X52YR")


def test_copies_by_roboflow_share_a_name_across_split_folders():
    files = [
        f"train/Tablett 00185_png.rf.{HASHES[0]}.jpg",
        f"valid/Tablett 00185_png.rf.{HASHES[1]}.jpg",
        f"test/Tablett 00185_png.rf.{HASHES[2]}.jpg",
        f"train/copy of Tablett 00185_png.rf.{HASHES[0]}.jpg",
        f"train/copy of Tablett 00185_png.rf.{HASHES[1]}.jpg",
    ]
    assert scenes.copies(files) == ["Tablett 00185_png"] * 3 + ["copy of Tablett 00185_png"] * 2


def test_copies_by_augmentor_share_a_name():
    uuids = ("3f2c9c37-08f1-4a3c-9d0e-0a1b2c3d4e5f", "00000000-1111-2222-3333-444444444444")
    assert scenes.copies([f"out/cats_original_1.jpg_{uuid}.jpg" for uuid in uuids]) == ["out/1_jpg"] * 2


def test_the_original_shares_the_name_of_its_copies():
    files = [f"train/a_jpg.rf.{HASHES[0]}.jpg", "images/train/a.jpg", "valid/a.jpg", "valid/a.png"]
    assert scenes.copies(files) == ["a_jpg", "", "a_jpg", ""]


def test_copies_of_copies_share_the_name_of_the_first():
    first, later, newer = HASHES
    files = [f"a_jpg.rf.{first}.jpg", f"a_jpg.rf.{later}_jpg.rf.{newer}.jpg", f"a_jpg.rf.{later}_flip.png"]
    assert scenes.copies(files) == ["a_jpg"] * 3


@pytest.mark.parametrize(
    "files",
    [
        [f"a_jpg.rf.{HASHES[0]}.jpg", f"b_jpg.rf.{HASHES[1]}.jpg"],  # an export without augmentation
        [f"one/a_jpg.rf.{HASHES[0]}.jpg", f"two/a_jpg.rf.{HASHES[1]}.jpg"],  # from two data sets
        ["drive_01/a.jpg", "drive_01/b.jpg"],
        ["a_jpg.rf.12.jpg", "a_jpg.rf.13.jpg"],
        ["2021_aug_3.jpg", "2021_aug_4.jpg"],
        [f"{HASHES[0]}.jpg", f"{HASHES[1]}.jpg"],
        [],
    ],
)
def test_other_names_are_not_names_of_copies(files):
    assert scenes.copies(files) == [""] * len(files)
