from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segpipe.data.records import Image, Instance, Rle
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import VERDICTS
from segpipe.validate.image import CheckTask, check
from segpipe.validate.judge import Rules

SQUARE = (1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0)


def put_photo(folder: Path, name: str = "a.jpg", orientation: int | None = None) -> str:
    """Write a photo of 20 x 10 pixels (width x height as stored) and return its name."""
    exif = Picture.Exif()
    if orientation:
        exif[0x0112] = orientation
    Picture.fromarray(np.full((10, 20, 3), 90, np.uint8)).save(folder / name, exif=exif)
    return name


def judged(folder: Path, *instances: Instance, crowd="ignore", keep_empty=False, **image):
    record = Image(**{"key": "a", "file": "a.jpg"} | image)
    return check(CheckTask(folder, record, instances, Rules({"cat": "cat"}, Policies(crowd=crowd)), keep_empty))


def instance(**fields) -> Instance:
    return Instance(**{"id": "json#1", "image_key": "a", "category": "cat", "rings": (SQUARE,)} | fields)


def verdicts(checked):
    return [(row.verdict, row.reason) for row in checked.rows]


def test_a_valid_annotation_is_kept_with_its_pixels(tmp_path):
    put_photo(tmp_path)
    checked = judged(tmp_path, instance())
    assert verdicts(checked) == [("kept", ""), ("kept", "")]
    assert checked.rows[1].px_before == 16
    assert checked.instances == (instance(),)


@pytest.mark.parametrize(
    ("fields", "verdict", "reason", "pixels"),
    [
        ({"category": "dog"}, "discarded", "class_not_selected", None),
        ({"problem": "bad_record", "detail": "no id"}, "dropped", "bad_record", None),
        ({"rings": ((1, 1, 2, 2, 1, 1),)}, "dropped", "bad_ring", None),
        ({"rings": (SQUARE, (1, 1, 2, 2, 1, 1))}, "repaired", "ring_removed", 16),
        ({"rings_refused": 1}, "repaired", "ring_removed", 16),
        ({"rings": ((1, 1, 5, 1, 9, 1),)}, "dropped", "zero_area", 0),
        ({"rings": ((0, 0, 8, 8, 8, 0, 0, 8),)}, "repaired", "self_crossing", None),
        ({"rings": ((18, 2, 24, 2, 24, 6, 18, 6),)}, "clipped", "past_border", 8),  # 2 of 6 columns, 4 rows
        ({"rings": ((30, 2, 34, 2, 34, 6, 30, 6),)}, "dropped", "outside_frame", 0),
        ({"rings": (), "rle": Rle(size_hw=(10, 20), counts=(190, 10))}, "kept", "", 10),
        ({"rings": (), "rle": Rle(size_hw=(10, 20), counts=(190, 11))}, "dropped", "bad_rle", None),
        ({"rings": (), "rle": Rle(size_hw=(20, 10), counts=(190, 10))}, "dropped", "bad_rle", None),
        ({"role": "crowd"}, "ignored", "crowd", 16),
    ],
)
def test_each_defect_has_its_verdict(tmp_path, fields, verdict, reason, pixels):
    put_photo(tmp_path)
    row = judged(tmp_path, instance(id="json#0"), instance(**fields)).rows[2]
    assert (row.verdict, row.reason) == (verdict, reason)
    if pixels is not None:
        assert row.px_before == pixels


def test_a_repaired_outline_has_its_area_before_and_after(tmp_path):
    put_photo(tmp_path)
    row = judged(tmp_path, instance(rings=((0, 0, 8, 8, 8, 0, 0, 8),))).rows[1]
    assert (row.area_before, row.area_after) == (0, 32)  # the signed areas of a bow-tie add up to 0


def test_the_policy_decides_about_crowds(tmp_path):
    put_photo(tmp_path)
    crowd = instance(role="crowd")
    assert verdicts(judged(tmp_path, crowd, crowd="drop"))[1] == ("discarded", "crowd")
    assert judged(tmp_path, crowd, crowd="object").instances[0].role == "object"


def test_annotations_of_a_missing_image_have_rows(tmp_path):
    checked = judged(tmp_path, instance(), instance(id="json#2", category="dog"))
    assert verdicts(checked) == [
        ("dropped", "missing_file"),
        ("dropped", "image_lost"),
        ("discarded", "class_not_selected"),
    ]
    assert checked.photo is None


def test_images_without_a_matching_annotation_are_skipped(tmp_path):
    put_photo(tmp_path)
    assert verdicts(judged(tmp_path))[0] == ("skipped", "no_matching_annotation")
    assert verdicts(judged(tmp_path, instance(category="dog")))[0] == ("skipped", "no_matching_annotation")
    assert verdicts(judged(tmp_path, annotated=False))[0] == ("skipped", "not_annotated")


def test_images_without_an_object_can_be_kept_as_background(tmp_path):
    put_photo(tmp_path)
    assert judged(tmp_path, keep_empty=True).photo.background
    assert judged(tmp_path, keep_empty=True, annotated=False).photo is None


@pytest.mark.parametrize(
    ("orientation", "declared", "frame", "undecidable"),
    [
        (None, (20, 10), "viewed", False),
        (6, (10, 20), "viewed", False),  # the annotator saw it rotated
        (6, (20, 10), "stored", False),  # the tool ignored EXIF
        (3, (20, 10), "viewed", True),  # upside down: both fit
        (6, (None, None), "viewed", False),
    ],
)
def test_the_declared_size_decides_the_frame(tmp_path, orientation, declared, frame, undecidable):
    put_photo(tmp_path, orientation=orientation)
    photo = judged(tmp_path, instance(), width=declared[0], height=declared[1]).photo
    assert (photo.frame, photo.undecidable) == (frame, undecidable)
    assert (photo.width, photo.height) == ((20, 10) if frame == "stored" or orientation != 6 else (10, 20))


def test_a_size_that_matches_no_frame_is_a_defect(tmp_path):
    put_photo(tmp_path)
    checked = judged(tmp_path, instance(), width=40, height=20)
    assert verdicts(checked) == [("dropped", "size_mismatch"), ("dropped", "image_lost")]
    assert "declares 40 x 20 pixels, a.jpg has 20 x 10" in checked.rows[0].detail


def test_each_value_of_a_mask_file_is_an_instance(tmp_path):
    put_photo(tmp_path)
    values = np.zeros((10, 20), np.uint8)
    values[:2], values[9] = 3, 255
    Picture.fromarray(values).save(tmp_path / "m.png")
    cat = instance(rings=(), mask_file="m.png", mask_value=3)
    void = instance(id="json#2", category="", rings=(), mask_file="m.png", mask_value=255, role="ignore")
    rows = judged(tmp_path, cat, void).rows
    assert [(r.verdict, r.reason, r.px_before) for r in rows[1:]] == [("kept", "", 40), ("ignored", "ignore", 20)]


def test_the_ledger_has_these_verdicts():
    verdicts_of_validate = {"kept", "repaired", "clipped", "ignored", "dropped", "discarded", "skipped"}
    assert set(VERDICTS) == verdicts_of_validate | {"hidden"}  # which only rasterize knows


def test_ignored_regions_of_a_skipped_image_are_not_drawn(tmp_path):
    put_photo(tmp_path)
    void = instance(category="", role="ignore")
    checked = judged(tmp_path, void, instance(id="json#2", category="dog"))
    assert verdicts(checked) == [
        ("skipped", "no_matching_annotation"),
        ("discarded", "image_skipped"),
        ("discarded", "class_not_selected"),
    ]
    assert checked.instances == ()
