import pytest
from hypothesis import strategies as st

from segpipe.data.records import Image
from segpipe.ingest.image_records import (
    PhotoReference,
    folders_around,
    image_files_by_stem,
    locate_photos,
    sibling_photo,
)
from segpipe.ingest.source import Source, list_source
from tests.ingest.folders import put_images

paths = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def reference(place, name="", sibling="", **image):
    return PhotoReference(image=Image(key="", file="", place=place, **image), name=name, sibling=sibling)


def located(root, *records, others=()):
    images, keys = locate_photos(list_source(root), records, others)
    file_of = {image.key: image.file or image.problem for image in images}
    return [file_of[key] for key in keys], {image.file: image for image in images}


def test_records_of_one_photo_are_joined(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    files, images = located(tmp_path, reference("one", "a.jpg"), reference("two", "./a.jpg"))
    assert (files, len(images)) == (["a.jpg", "a.jpg"], 1)


def test_photos_without_a_record_are_listed_but_masks_are_not(tmp_path):
    put_images(tmp_path, ["a.jpg", "b.jpg", "mask.png"])
    _, images = located(tmp_path, reference("one", "a.jpg"), others=["mask.png"])
    assert {file: image.annotated for file, image in images.items()} == {"a.jpg": True, "b.jpg": False}


def test_a_mask_is_never_found_for_a_photo_of_its_name(tmp_path):
    put_images(tmp_path, ["Masks/a.png"])
    files, _ = located(tmp_path, reference("one", "Images/a.png"), others=["Masks/a.png"])
    assert files == ["missing_file"]


def test_notes_of_all_records_of_a_photo_are_kept(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    records = [
        reference("one", "a.jpg"),
        reference("two", "b.jpg", sibling="a.jpg"),
        reference("three", "c.jpg", sibling="a.jpg"),
    ]
    _, images = located(tmp_path, *records)
    assert images["a.jpg"].notes == (
        ("found_elsewhere", "written 'b.jpg', found as a.jpg"),
        ("listed_twice", ""),
        ("found_elsewhere", "written 'c.jpg', found as a.jpg"),
    )


def test_the_split_comes_from_the_photo_else_from_the_record(tmp_path):
    put_images(tmp_path, ["train/a.jpg", "b.jpg"])
    _, images = located(tmp_path, reference("labels/a.json", "a.jpg"), reference("test/b.json", "b.jpg"))
    assert {file: image.split for file, image in images.items()} == {"train/a.jpg": "train", "b.jpg": "test"}


def test_a_broken_record_does_not_take_the_photo_of_a_valid_one(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    files, images = located(
        tmp_path, reference("one", "a.jpg"), reference("two", sibling="a.jpg", problem="bad_record", detail="broken")
    )
    assert files == ["a.jpg", "bad_record"]
    assert images["a.jpg"].problem == ""


def test_only_the_first_record_of_a_refused_photo_keeps_its_file(tmp_path):
    source = Source(put_images(tmp_path, ["a.jpg"]), ("a.jpg",), {"b.jpg": "is a broken link"})
    images, keys = locate_photos(source, [reference("one", "b.jpg"), reference("two", "b.jpg")])
    assert [(image.file, image.place, image.problem) for image in images] == [
        ("", "two", "unreadable"), ("a.jpg", "", ""), ("b.jpg", "one", "unreadable"),
    ]  # fmt: skip
    assert keys == ["b", "two"]


def test_names_without_suffix_beside_an_annotation_file(tmp_path):
    photos = image_files_by_stem(list_source(put_images(tmp_path, ["x/a.jpg", "x/a.png", "a.b.jpg"])))
    assert sibling_photo(photos, "x/a.json") == "x/a.jpg"
    assert sibling_photo(photos, "a.b.json") == "a.b.jpg"
    assert sibling_photo(photos, "a.json") == ""
    assert folders_around("x/ann/a.json", "../img") == ("x/ann", "x/img", ".")


def beside_its_file(place, name):
    sibling = place.replace(".json", ".jpg") if place != "video1/a.json" else ""
    return PhotoReference(
        image=Image(key="", file="", place=place), name=name, folders=folders_around(place), sibling=sibling
    )


@pytest.mark.parametrize("photos", [["a.jpg", "video1/b.jpg"], ["a.jpg"]])
def test_a_photo_above_with_other_records_is_not_used_for_a_missing_one(tmp_path, photos):
    put_images(tmp_path, photos)
    records = [
        beside_its_file(file.replace(".jpg", ".json"), file.split("/")[-1]) for file in [*photos, "video1/a.jpg"]
    ]
    source = list_source(tmp_path)
    images, keys = locate_photos(source, records)
    (lost,) = [image for image in images if image.key == keys[-1]]
    assert (lost.file, lost.problem) == ("", "missing_file")
    assert lost.detail.startswith(
        "no file 'video1/a.jpg' in the source; a.jpg has its name, but a.json may mean that file"
    )


def test_a_photo_above_without_other_records_is_found_elsewhere(tmp_path):
    put_images(tmp_path, ["a.jpg", "video1/b.jpg"])
    images, keys = locate_photos(
        list_source(tmp_path), [beside_its_file("video1/a.json", "a.jpg"), beside_its_file("video1/b.json", "b.jpg")]
    )
    assert keys == ["a", "video1__b"]
    assert images[0].notes == (("found_elsewhere", "written 'video1/a.jpg', found as a.jpg"),)


def test_a_photo_named_with_its_folder_is_used_for_every_record(tmp_path):
    put_images(tmp_path, ["a.jpg", "video1/b.jpg"])
    records = [beside_its_file("a.json", "a.jpg"), beside_its_file("video1/b.json", "b.jpg")]
    _, keys = locate_photos(list_source(tmp_path), [*records, beside_its_file("video1/a.json", "../a.jpg")])
    assert keys == ["a", "video1__b", "a"]
