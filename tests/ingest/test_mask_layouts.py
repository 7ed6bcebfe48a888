import pytest

from segpipe.core.errors import UserError
from segpipe.ingest import mask_layouts
from segpipe.ingest.source import Source


def layout(tmp_path, *files):
    source = Source(tmp_path, tuple(sorted(files)), {})
    return mask_layouts.recognise(source) or mask_layouts.voc(source)


@pytest.mark.parametrize(
    ("image", "mask", "split"),
    [
        ("images/a.jpg", "masks/a.png", None),
        ("images/a.jpg", "labels/a.png", None),
        ("images/a.jpg", "annotations/a.png", None),
        ("Images/a.JPG", "Masks/a.PNG", None),
        ("images/a.jpg", "masks/a_mask.png", None),
        ("images/a_sat.jpg", "masks/a_mask.png", None),
        ("images/0016E5_00390.png", "labels/0016E5_00390_L.png", None),
        ("images/a_leftImg8bit.png", "labels/a_gtFine_labelIds.png", None),
        ("images/train/a.jpg", "masks/train/a.png", "train"),
        ("images/a.jpg", "masks/val/a.png", "val"),
        ("valid/images/a.jpg", "valid/masks/a.png", "val"),
        ("set/images/x/a.jpg", "set/masks/x/a.png", None),
        ("test/a.jpg", "testannot/a.png", "test"),
        ("x/train/a.png", "x/trainannot/a.png", "train"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", None),
        ("VOCdevkit/VOC2012/JPEGImages/a.jpg", "VOCdevkit/VOC2012/SegmentationClass/a.png", None),
    ],
)
def test_a_photo_gets_its_mask_in_each_layout(tmp_path, image, mask, split):
    pairing = layout(tmp_path, image, mask)
    assert (pairing.mask_of, pairing.unmatched, pairing.photos) == ({image: mask}, {}, (image,))
    assert pairing.split_of.get(image) == split


@pytest.mark.parametrize(
    "files",
    [
        ("images/a.jpg", "labels/a.txt"),  # YOLO
        ("images/a.jpg", "annotations/a.json"),
        ("images/a.jpg", "masks/b.png"),
        ("images/a.jpg", "annotations/a.jpg"),  # no mask keeps its values in JPEG
        ("a.jpg", "a.png"),
        ("JPEGImages/a.jpg", "SegmentationObject/a.png"),
    ],
)
def test_files_without_matching_lossless_masks_have_no_layout(tmp_path, files):
    assert layout(tmp_path, *files) is None


def test_photos_without_a_mask_and_masks_without_a_photo_are_kept_apart(tmp_path):
    pairing = layout(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a.png", "masks/c.png")
    assert pairing.photos == ("images/a.jpg", "images/b.jpg")
    assert pairing.mask_of == {"images/a.jpg": "masks/a.png"}
    assert pairing.unmatched == {"masks/c.png": "no photo has its name; add the photo or remove the mask"}


def test_an_equal_name_is_preferred_to_one_with_an_ending(tmp_path):
    pairing = layout(tmp_path, "images/a.jpg", "masks/a.png", "masks/a_mask.png")
    assert pairing.mask_of == {"images/a.jpg": "masks/a.png"}
    assert pairing.unmatched["masks/a_mask.png"] == (
        "several masks or several photos have this name (images/a.jpg); keep one of each"
    )


def test_two_photos_of_one_name_get_no_mask(tmp_path):
    pairing = layout(tmp_path, "images/a.jpg", "images/a.png", "images/b.jpg", "masks/a.png", "masks/b.png")
    assert pairing.mask_of == {"images/b.jpg": "masks/b.png"}
    assert list(pairing.unmatched) == ["masks/a.png"]


def test_masks_in_one_folder_match_photos_in_several(tmp_path):
    pairing = layout(tmp_path, "images/train/a.jpg", "images/val/b.jpg", "masks/a.png", "masks/b.png")
    assert pairing.mask_of == {"images/train/a.jpg": "masks/a.png", "images/val/b.jpg": "masks/b.png"}


def test_the_only_mask_of_a_name_in_another_folder_is_used_and_noted(tmp_path):
    pairing = layout(tmp_path, "images/video1/a.jpg", "images/video1/b.jpg", "masks/video1/b.png", "masks/video2/a.png")
    assert pairing.mask_of["images/video1/a.jpg"] == "masks/video2/a.png"
    assert pairing.notes("images/video1/b.jpg") == ()
    assert pairing.notes("images/video1/a.jpg") == (
        ("other_folder", "its mask is masks/video2/a.png, the only file of that name"),
    )


def test_a_mask_in_another_folder_is_not_used_if_its_name_occurs_twice(tmp_path):
    images = ["images/video1/a.jpg", "images/video2/a.jpg"]
    for masks in (["masks/video1/a.png", "masks/video3/a.png"], ["masks/video3/a.png"]):
        pairing = layout(tmp_path, *images, *masks, "images/b.jpg", "masks/b.png")
        assert "images/video2/a.jpg" not in pairing.mask_of
        assert list(pairing.unmatched) == ["masks/video3/a.png"]


def test_further_mask_folders_contain_no_photos(tmp_path):
    pairing = layout(tmp_path, "images/a.jpg", "labels/a.png", "masks/a.png")
    assert pairing.mask_of == {"images/a.jpg": "masks/a.png"}
    assert pairing.other_files == {"labels/a.png"}


def test_voc_lists_name_the_splits_and_object_masks_are_not_photos(tmp_path):
    sets = tmp_path / "ImageSets/Segmentation"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\n\nmissing\n")
    (sets / "val.txt").write_text("b\r\na\r\n")
    (sets / "trainval.txt").write_text("a\nb\nc\n")
    images = [f"JPEGImages/{name}.jpg" for name in "abc"] + [f"SegmentationClass/{name}.png" for name in "abc"]
    lists = [f"ImageSets/Segmentation/{name}.txt" for name in ("train", "val", "trainval")]
    pairing = layout(tmp_path, *images, *lists, "SegmentationObject/a.png")
    assert pairing.split_of == {"JPEGImages/a.jpg": "train", "JPEGImages/b.jpg": "val"}
    assert pairing.missing == {
        "ImageSets/Segmentation/train.txt: line 3": "no photo missing; add it or remove it from the list"
    }
    assert pairing.other_files == {"SegmentationObject/a.png"}


def by_patterns(root, files, image_pattern, mask_pattern):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return mask_layouts.by_patterns(Source(root, tuple(sorted(files)), {}), image_pattern, mask_pattern)


@pytest.mark.parametrize(
    ("files", "image_pattern", "mask_pattern"),
    [
        (["x/a.jpg", "y/a.png"], "x/*.jpg", "y/*.png"),
        (["a.jpg", "a_mask.png"], "*.jpg", "*_mask.png"),
        (["a.png", "a_mask.png"], "*.png", "*_mask.png"),
        (["x/train/a.jpg", "y/train/a.png"], "x/**/*.jpg", "y/**/*.png"),
        (
            ["leftImg8bit/train/aachen/a_1_leftImg8bit.png", "gtFine/train/aachen/a_1_gtFine_labelIds.png"],
            "leftImg8bit/*/*/*.png",
            "gtFine/**/*_labelIds.png",
        ),
    ],
)
def test_patterns_match_by_the_path_below_their_literal_folders(tmp_path, files, image_pattern, mask_pattern):
    assert by_patterns(tmp_path, files, image_pattern, mask_pattern).mask_of == {files[0]: files[1]}


def test_equal_names_in_different_folders_are_matched_by_folder(tmp_path):
    files = ["x/1/a.jpg", "x/2/a.jpg", "y/1/a.png", "y/2/a.png"]
    assert by_patterns(tmp_path, files, "x/*/a.jpg", "y/*/a.png").mask_of == {
        "x/1/a.jpg": "y/1/a.png",
        "x/2/a.jpg": "y/2/a.png",
    }


def test_patterns_that_match_nothing_are_a_user_error(tmp_path):
    with pytest.raises(UserError) as error:
        by_patterns(tmp_path, ["x/a.jpg", "y/b.png"], "x/*.jpg", "y/*.png")
    assert str(error.value) == (
        "ingest.image_pattern 'x/*.jpg' (1 file) and ingest.mask_pattern 'y/*.png' (1 file) have no name in common; "
        "correct them in params.yaml"
    )


@pytest.mark.parametrize("pattern", ["/etc/*.png", "a**b", ""])
def test_an_invalid_pattern_is_a_user_error(tmp_path, pattern):
    with pytest.raises(UserError, match=r"ingest.image_pattern .*correct"):
        by_patterns(tmp_path, ["x/a.jpg"], pattern, "x/*.jpg")


def test_a_pattern_that_leads_outside_the_source_is_refused(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(
        UserError, match=r"ingest.image_pattern '../\*.jpg' is not a pattern of files inside the source"
    ):
        by_patterns(tmp_path / "source", ["y/a.png"], "../*.jpg", "y/*.png")
