"""Mask files of every kind, in each format: read correctly, or dropped with a reason. Image b is never affected."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faults import sources
from tests.faults.sandbox import Outcome, Sandbox, Verdict, run_stages
from tests.faults.test_annotation_files import MASKS
from tests.faults.test_photos import png_header

KEPT: Verdict = ("kept", "")
BAD_RECORD: Verdict = ("dropped", "bad_record")
SKIPPED: Verdict = ("skipped", "no_matching_annotation")
PANOPTIC = ("panoptic_val/a.png", "val__a")
OBJECT = ("masks/a_0.png", "images__a")


def animated(image: Image.Image, path: Path) -> None:
    image.save(path, save_all=True, append_images=[image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)])


def rotated(image: Image.Image, path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    image.save(path, exif=tags)  # tools that write masks do not use the orientation


def floats(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L"), np.float32)).save(path, "TIFF")


Change = Callable[[Image.Image, Path], object]
EQUAL: dict[str, Change] = {"animated": animated, "rotated": rotated}
OF_COLOURS: dict[str, Change] = {
    "opaque": lambda image, path: image.convert("RGBA").save(path),
    "palette": lambda image, path: image.quantize(4).save(path),
}
REFUSED: dict[str, Change] = {
    "of 300 million pixels": lambda _, path: path.write_bytes(png_header(20_000, 15_001)),
    "a header alone": lambda _, path: path.write_bytes(png_header(*sources.SIZE_WH)),
    "JPEG": lambda image, path: image.convert("RGB").save(path, "JPEG"),  # its pixels differ from the drawing
    "CMYK": lambda image, path: image.convert("CMYK").save(path, "JPEG"),
    "grey and alpha": lambda image, path: image.convert("LA").save(path),
    "floats": floats,
}


def changed(sandbox: Sandbox, format: str, file: str, change: Change) -> Outcome:
    sources.FORMATS[format](sandbox.source)
    path = sandbox.source / file
    with Image.open(path) as opened:
        opened.load()
        image = opened.copy()
    change(image, path)
    return run_stages(sandbox)


def label_map(sandbox: Sandbox, format: str, key: str) -> np.ndarray:
    sources.FORMATS[format](sandbox.source)
    return run_stages(sandbox).label_maps[key]


@pytest.mark.parametrize("kind", EQUAL)
@pytest.mark.parametrize("format", [*MASKS, "coco_panoptic"])
def test_only_the_first_frame_of_a_mask_is_used_and_exif_is_ignored(sandbox, format, kind):
    file, key = {**MASKS, "coco_panoptic": PANOPTIC}[format]
    wanted = label_map(sandbox, format, key)
    np.testing.assert_array_equal(changed(sandbox, format, file, EQUAL[kind]).label_maps[key], wanted)


@pytest.mark.parametrize("kind", OF_COLOURS)
@pytest.mark.parametrize("format", ["colour_masks", "voc_masks"])
def test_equal_colours_have_equal_meaning_in_every_image_mode(sandbox, format, kind):
    file, key = MASKS[format]
    wanted = label_map(sandbox, format, key)
    np.testing.assert_array_equal(changed(sandbox, format, file, OF_COLOURS[kind]).label_maps[key], wanted)


@pytest.mark.parametrize("format", ["index_masks", "cityscapes_ids"])
def test_small_numbers_have_equal_meaning_in_16_bits(sandbox, format):
    file, key = MASKS[format]
    wanted = label_map(sandbox, format, key)

    def deep(image: Image.Image, path: Path) -> None:
        Image.fromarray(np.asarray(image).astype(np.uint16)).save(path)

    np.testing.assert_array_equal(changed(sandbox, format, file, deep).label_maps[key], wanted)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("format", [*MASKS, "coco_panoptic"])
def test_a_file_that_cannot_be_a_mask_is_a_bad_record_and_its_image_is_not_background(sandbox, format, kind):
    file, key = {**MASKS, "coco_panoptic": PANOPTIC}[format]
    outcome = changed(sandbox, format, file, REFUSED[kind])
    images = outcome.images
    assert images.pop(key) == SKIPPED
    assert list(images.values()) == [KEPT]
    record = "panoptic_val.json#1.300" if format == "coco_panoptic" else file
    assert outcome.annotations[record] == BAD_RECORD
    assert outcome.detail(record)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_cannot_be_an_object_mask_drops_only_its_object(sandbox, kind):
    outcome = changed(sandbox, "object_masks", OBJECT[0], REFUSED[kind])
    assert outcome.annotations == {"masks/a_0.png": BAD_RECORD, "masks/a_1.png": KEPT, "masks/b_0.png": KEPT}
    assert set(outcome.images.values()) == {KEPT}


@pytest.mark.parametrize("format", MASKS)
def test_a_mask_of_another_size_drops_its_image(sandbox, format):
    file, key = MASKS[format]
    images = changed(sandbox, format, file, lambda image, path: image.crop((0, 0, 11, 8)).save(path)).images
    assert images.pop(key) == ("dropped", "size_mismatch")
    assert list(images.values()) == [KEPT]


PHOTOS = {  # the photo of image a in each format
    "coco": "a.png", "coco_panoptic": "val/a.png", "coco_results": "a.png", "labelme": "a.png", "labelme_xml": "a.png",
    "voc": "JPEGImages/a.png", "voc_masks": "JPEGImages/a.png", "cvat": "images/a.png", "via": "a.png",
    "yolo": "images/a.png", "supervisely": "ds/img/a.png", "index_masks": "images/a.png",
    "colour_masks": "images/a.png", "cityscapes": "leftImg8bit/train/x/x_a_leftImg8bit.png",
    "cityscapes_ids": "leftImg8bit/train/x/x_a_leftImg8bit.png",
}  # fmt: skip


@pytest.mark.parametrize("format", PHOTOS)
def test_a_missing_photo_has_a_row_and_so_have_its_annotations(sandbox, format):
    sources.FORMATS[format](sandbox.source)
    before = set(run_stages(sandbox).annotations)
    (sandbox.source / PHOTOS[format]).unlink()
    outcome = run_stages(sandbox)
    assert sorted(outcome.images.values()) == [("dropped", "missing_file"), KEPT]
    lost = {id_ for id_, verdict in outcome.annotations.items() if verdict == ("dropped", "image_lost")}
    assert lost
    assert before == set(outcome.annotations) or format == "coco_panoptic"
