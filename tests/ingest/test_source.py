import os
from pathlib import Path

import pytest

from segpipe.core.errors import UserError
from segpipe.data.split_words import split_named
from segpipe.ingest.source import files_below, list_source, unlisted_images
from tests.ingest.folders import put_images


def test_files_are_sorted_and_hidden_files_are_left_out(tmp_path):
    put_images(tmp_path, ["b/2.jpg", "b/1.PNG", "a.jpg", ".hidden.jpg", ".git/x.jpg"])
    (tmp_path / "notes.txt").write_text("x")
    source = list_source(tmp_path)
    assert source.files == ("a.jpg", "b/1.PNG", "b/2.jpg", "notes.txt")
    assert source.image_files == ("a.jpg", "b/1.PNG", "b/2.jpg")


def test_files_of_unsupported_image_formats_are_listed(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    (tmp_path / "b.heic").write_bytes(b"")
    assert list_source(tmp_path).image_files == ("a.jpg", "b.heic")


def test_a_folder_named_like_an_image_file_is_a_folder(tmp_path):
    put_images(tmp_path, ["x.jpg/a.jpg"])
    assert list_source(tmp_path).files == ("x.jpg/a.jpg",)


def test_only_links_that_leave_the_source_are_refused(tmp_path):
    source = put_images(tmp_path / "source", ["a.jpg"])
    put_images(tmp_path, ["outside.jpg"])
    (source / "inside.jpg").symlink_to("a.jpg")
    (source / "out.jpg").symlink_to(tmp_path / "outside.jpg")
    (source / "broken.jpg").symlink_to("nothing.jpg")
    listed = list_source(source)
    assert listed.files == ("a.jpg", "inside.jpg")
    assert listed.refused == {
        "broken.jpg": "is a broken link; restore its target or remove the link",
        "out.jpg": "is a link that leaves the source; replace it with the file itself (DVC: cache.type copy)",
    }


def test_a_link_to_a_folder_is_not_followed(tmp_path, caplog):
    put_images(tmp_path, ["in/a.jpg"])
    (tmp_path / "in" / "circle").symlink_to(tmp_path)
    assert list_source(tmp_path).files == ("in/a.jpg",)
    assert "in/circle: is a link to a folder and is not followed" in caplog.text


def test_a_pipe_is_refused_also_behind_a_link(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    source = list_source(tmp_path)
    assert source.files == ("a.jpg",)
    assert source.refused == dict.fromkeys(["link.jpg", "pipe.jpg"], "is a pipe or a device, not a file; remove it")


def test_folders_may_be_nested_more_deeply_than_the_recursion_limit(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    folders = [f"{tmp_path}/{'/'.join('x' * depth)}" for depth in range(1, 1101)]
    for folder in folders:
        os.mkdir(folder)  # noqa: PTH102 - pathlib and shutil recurse
    (tmp_path / "a.jpg").rename(f"{folders[-1]}/b.jpg")
    files = list_source(tmp_path).files
    os.remove(f"{folders[-1]}/b.jpg")  # noqa: PTH107
    os.removedirs(folders[-1])
    assert [len(file.split("/")) for file in files] == [1101]


def test_files_below_a_folder_include_those_of_its_sub_folders():
    files = ["a-b/1", "a.jpg", "a/1", "a/b/2", "a0/3", "b/4"]
    assert files_below(files, "a") == ["a/1", "a/b/2"]
    assert files_below(files, "a/b") == ["a/b/2"]
    assert files_below(files, "c") == []
    assert files_below(files, ".") == files


def test_a_name_that_is_not_utf8_is_refused_and_shown_with_escapes(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system allows only UTF-8 names")
    source = list_source(tmp_path)
    assert source.refused == {"caf\\xe9.jpg": "has a name that is not valid UTF-8; rename it"}
    image = unlisted_images(source, frozenset(["a.jpg"]))[0]
    assert (image.file, image.problem, image.annotated) == ("caf\\xe9.jpg", "unreadable", False)


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("annotations/instances_train2017.json", "train"),
        ("valid/_annotations.coco.json", "val"),
        ("testing", "test"),
        ("train/sub/x", "train"),
        ("annotations/instances_trainval2017.json", None),
        ("annotations/train_val.json", None),
        ("contest/latest.json", None),
        (".", None),
    ],
)
def test_the_split_is_a_whole_word_of_a_name(path, split):
    assert split_named(path) == split


def test_a_missing_source_is_a_user_error(tmp_path):
    with pytest.raises(UserError) as error:
        list_source(tmp_path / "none")
    assert str(error.value) == (
        f"{tmp_path}/none: no such folder; set ingest.source in params.yaml to the folder of your images"
    )


def test_a_file_as_the_source_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        list_source(put_images(tmp_path, ["a.jpg"]) / "a.jpg")


def test_a_source_without_image_files_is_a_user_error(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UserError, match=r"contains no image file \(\.jpg, .*set ingest.source in params.yaml"):
        list_source(tmp_path)
