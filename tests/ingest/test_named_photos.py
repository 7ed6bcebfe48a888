import pytest

from segpipe.data.records import Image
from segpipe.ingest.named_photos import Wanted, beside, declared_size, locate, own_picture, own_pictures
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_pictures


def wanted(place, name="", own="", **image):
    return Wanted(image=Image(key="", file="", place=place, **image), name=name, own=own)


def located(root, *records, others=()):
    images, keys = locate(list_source(root), records, others)
    file_of = {image.key: image.file or image.problem for image in images}
    return [file_of[key] for key in keys], {image.file: image for image in images}


def test_records_of_one_photograph_join(tmp_path):
    put_pictures(tmp_path, ["a.jpg"])
    files, images = located(tmp_path, wanted("one", "a.jpg"), wanted("two", "./a.jpg"))
    assert (files, len(images)) == (["a.jpg", "a.jpg"], 1)


def test_pictures_that_no_record_names_are_there_but_for_masks(tmp_path):
    put_pictures(tmp_path, ["a.jpg", "b.jpg", "mask.png"])
    _, images = located(tmp_path, wanted("one", "a.jpg"), others=["mask.png"])
    assert {file: image.annotated for file, image in images.items()} == {"a.jpg": True, "b.jpg": False}


def test_a_mask_is_never_found_for_a_photograph_of_its_name(tmp_path):
    put_pictures(tmp_path, ["Masks/a.png"])
    files, _ = located(tmp_path, wanted("one", "Images/a.png"), others=["Masks/a.png"])
    assert files == ["missing_file"]


def test_notes_of_all_records_of_a_photograph_are_kept(tmp_path):
    put_pictures(tmp_path, ["a.jpg"])
    records = [wanted("one", "a.jpg"), wanted("two", "b.jpg", own="a.jpg"), wanted("three", "c.jpg", own="a.jpg")]
    _, images = located(tmp_path, *records)
    assert images["a.jpg"].notes == (
        ("found_elsewhere", "written 'b.jpg', found as a.jpg"),
        ("listed_twice", ""),
        ("found_elsewhere", "written 'c.jpg', found as a.jpg"),
    )


def test_the_split_is_that_of_the_picture_else_of_the_record(tmp_path):
    put_pictures(tmp_path, ["train/a.jpg", "b.jpg"])
    _, images = located(tmp_path, wanted("labels/a.json", "a.jpg"), wanted("test/b.json", "b.jpg"))
    assert {file: image.split for file, image in images.items()} == {"train/a.jpg": "train", "b.jpg": "test"}


def test_a_broken_record_never_takes_a_photograph_from_a_sound_one(tmp_path):
    put_pictures(tmp_path, ["a.jpg"])
    files, images = located(
        tmp_path, wanted("one", "a.jpg"), wanted("two", own="a.jpg", problem="bad_record", detail="broken")
    )
    assert files == ["a.jpg", "bad_record"]
    assert images["a.jpg"].problem == ""


def test_names_without_suffix_beside_an_annotation_file(tmp_path):
    pictures = own_pictures(list_source(put_pictures(tmp_path, ["x/a.jpg", "x/a.png", "a.b.jpg"])))
    assert own_picture(pictures, "x/a.json") == "x/a.jpg"
    assert own_picture(pictures, "a.b.json") == "a.b.jpg"
    assert own_picture(pictures, "a.json") == ""
    assert beside("x/ann/a.json", "../img") == ("x/ann", "x/img", ".")


@pytest.mark.parametrize(
    ("height", "width", "fields"),
    [
        (6, 8.0, {"height": 6, "width": 8}),
        (None, None, {}),
        (6, None, {"detail": "the declared None x 6 pixels are no size and not used"}),
        (0, 8, {"detail": "the declared 8 x 0 pixels are no size and not used"}),
    ],
)
def test_a_declared_size_counts_if_it_is_one(height, width, fields):
    assert declared_size(height, width) == fields


def beside_its_file(place, name):
    own = place.replace(".json", ".jpg") if place != "video1/a.json" else ""
    return Wanted(image=Image(key="", file="", place=place), name=name, folders=beside(place), own=own)


@pytest.mark.parametrize("pictures", [["a.jpg", "video1/b.jpg"], ["a.jpg"]])
def test_a_picture_above_that_other_records_have_is_not_taken_for_a_lost_one(tmp_path, pictures):
    put_pictures(tmp_path, pictures)
    records = [
        beside_its_file(file.replace(".jpg", ".json"), file.split("/")[-1]) for file in [*pictures, "video1/a.jpg"]
    ]
    source = list_source(tmp_path)
    images, keys = locate(source, records)
    (lost,) = [image for image in images if image.key == keys[-1]]
    assert (lost.file, lost.problem) == ("", "missing_file")
    assert lost.detail.startswith("no file 'video1/a.jpg' in the source; a.jpg has its name, but a.json may mean that")


def test_a_picture_above_that_no_other_record_has_is_found_elsewhere(tmp_path):
    put_pictures(tmp_path, ["a.jpg", "video1/b.jpg"])
    images, keys = locate(
        list_source(tmp_path), [beside_its_file("video1/a.json", "a.jpg"), beside_its_file("video1/b.json", "b.jpg")]
    )
    assert keys == ["a", "video1__b"]
    assert images[0].notes == (("found_elsewhere", "written 'video1/a.jpg', found as a.jpg"),)


def test_a_picture_in_a_folder_that_is_written_counts_for_every_record(tmp_path):
    put_pictures(tmp_path, ["a.jpg", "video1/b.jpg"])
    records = [beside_its_file("a.json", "a.jpg"), beside_its_file("video1/b.json", "b.jpg")]
    _, keys = locate(list_source(tmp_path), [*records, beside_its_file("video1/a.json", "../a.jpg")])
    assert keys == ["a", "video1__b", "a"]
