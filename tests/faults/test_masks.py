"""Mask pictures of every kind, format by format: read as they are meant, or dropped by name; b goes its way."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.faults import sources
from tests.faults.test_annotation_files import MASKS
from tests.faults.test_photographs import png_header
from tests.faults.way import Account, Verdict, World, go

KEPT: Verdict = ("kept", "")
BAD_RECORD: Verdict = ("dropped", "bad_record")
SKIPPED: Verdict = ("skipped", "no_matching_annotation")
PANOPTIC = ("panoptic_val/a.png", "val__a")
OBJECT = ("masks/a_0.png", "images__a")


def moving(picture: Image.Image, path: Path) -> None:
    picture.save(path, save_all=True, append_images=[picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)])


def turned(picture: Image.Image, path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    picture.save(path, exif=tags)  # no tool that writes masks means it


def floats(picture: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(picture.convert("L"), np.float32)).save(path, "TIFF")


Change = Callable[[Image.Image, Path], object]
ALIKE: dict[str, Change] = {"moving": moving, "turned": turned}
OF_COLOURS: dict[str, Change] = {
    "opaque": lambda picture, path: picture.convert("RGBA").save(path),
    "palette": lambda picture, path: picture.quantize(4).save(path),
}
REFUSED: dict[str, Change] = {
    "of 300 million pixels": lambda _, path: path.write_bytes(png_header(20_000, 15_001)),
    "a header alone": lambda _, path: path.write_bytes(png_header(*sources.SIZE_WH)),
    "JPEG": lambda picture, path: picture.convert("RGB").save(path, "JPEG"),  # its pixels are not what was drawn
    "CMYK": lambda picture, path: picture.convert("CMYK").save(path, "JPEG"),
    "grey and alpha": lambda picture, path: picture.convert("LA").save(path),
    "floats": floats,
}


def changed(world: World, format: str, file: str, change: Change) -> Account:
    sources.FORMATS[format](world.source)
    path = world.source / file
    with Image.open(path) as opened:
        opened.load()
        picture = opened.copy()
    change(picture, path)
    return go(world)


def sound(world: World, format: str, key: str) -> np.ndarray:
    sources.FORMATS[format](world.source)
    return go(world).label_maps[key]


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize("format", [*MASKS, "coco_panoptic"])
def test_a_first_frame_counts_and_no_mask_is_turned(world, format, kind):
    file, key = {**MASKS, "coco_panoptic": PANOPTIC}[format]
    wanted = sound(world, format, key)
    np.testing.assert_array_equal(changed(world, format, file, ALIKE[kind]).label_maps[key], wanted)


@pytest.mark.parametrize("kind", OF_COLOURS)
@pytest.mark.parametrize("format", ["colour_masks", "voc_masks"])
def test_colours_are_the_same_however_they_are_stored(world, format, kind):
    file, key = MASKS[format]
    wanted = sound(world, format, key)
    np.testing.assert_array_equal(changed(world, format, file, OF_COLOURS[kind]).label_maps[key], wanted)


@pytest.mark.parametrize("format", ["index_masks", "cityscapes_ids"])
def test_small_numbers_of_16_bits_are_the_same(world, format):
    file, key = MASKS[format]
    wanted = sound(world, format, key)

    def deep(picture: Image.Image, path: Path) -> None:
        Image.fromarray(np.asarray(picture).astype(np.uint16)).save(path)

    np.testing.assert_array_equal(changed(world, format, file, deep).label_maps[key], wanted)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("format", [*MASKS, "coco_panoptic"])
def test_what_no_mask_can_be_is_a_bad_record_and_its_picture_no_background(world, format, kind):
    file, key = {**MASKS, "coco_panoptic": PANOPTIC}[format]
    account = changed(world, format, file, REFUSED[kind])
    images = account.images
    assert images.pop(key) == SKIPPED
    assert list(images.values()) == [KEPT]
    own = "panoptic_val.json#1.300" if format == "coco_panoptic" else file
    assert account.annotations[own] == BAD_RECORD
    assert account.detail(own)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_object_mask_can_be_costs_its_own_object(world, kind):
    account = changed(world, "object_masks", OBJECT[0], REFUSED[kind])
    assert account.annotations == {"masks/a_0.png": BAD_RECORD, "masks/a_1.png": KEPT, "masks/b_0.png": KEPT}
    assert set(account.images.values()) == {KEPT}


@pytest.mark.parametrize("format", MASKS)
def test_a_mask_of_another_size_costs_its_picture(world, format):
    file, key = MASKS[format]
    images = changed(world, format, file, lambda picture, path: picture.crop((0, 0, 11, 8)).save(path)).images
    assert images.pop(key) == ("dropped", "size_mismatch")
    assert list(images.values()) == [KEPT]


PHOTOGRAPHS = {  # of each format the photograph of a
    "coco": "a.png", "coco_panoptic": "val/a.png", "coco_results": "a.png", "labelme": "a.png", "labelme_xml": "a.png",
    "voc": "JPEGImages/a.png", "voc_masks": "JPEGImages/a.png", "cvat": "images/a.png", "via": "a.png",
    "yolo": "images/a.png", "supervisely": "ds/img/a.png", "index_masks": "images/a.png",
    "colour_masks": "images/a.png", "cityscapes": "leftImg8bit/train/x/x_a_leftImg8bit.png",
    "cityscapes_ids": "leftImg8bit/train/x/x_a_leftImg8bit.png",
}  # fmt: skip


@pytest.mark.parametrize("format", PHOTOGRAPHS)
def test_a_photograph_that_is_missing_has_its_row_and_its_annotations_theirs(world, format):
    sources.FORMATS[format](world.source)
    before = set(go(world).annotations)
    (world.source / PHOTOGRAPHS[format]).unlink()
    account = go(world)
    assert sorted(account.images.values()) == [("dropped", "missing_file"), KEPT]
    lost = {id_ for id_, verdict in account.annotations.items() if verdict == ("dropped", "image_lost")}
    assert lost
    assert before == set(account.annotations) or format == "coco_panoptic"
