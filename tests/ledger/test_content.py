from dataclasses import replace

import numpy as np
import pytest

from segpipe.data.records import Instance, Rle
from segpipe.ledger.content import content_of
from segpipe.masks import raster, rle

SQUARE, HOLE = (1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0), (2.0, 2.0, 4.0, 2.0, 4.0, 4.0, 2.0, 4.0)
OUTLINED = Instance(id="1", image_key="a", category="cat", rings=(SQUARE,), place="annotations[0]")
VALUES = np.array([[0, 7, 7, 0], [0, 7, 9, 9], [0, 0, 0, 9]])
RUNS = rle.encode_mask(VALUES == 7)


def masked(**shape) -> Instance:
    return Instance(id="2", image_key="b", category="cat", **shape)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "9"},
        {"place": "annotations[7]"},
        {"image_key": "other"},
        {"area": 7.0, "flags": ("difficult",), "detail": "x", "note": "x"},
        {"rings": ((1, 1, 5, 1, 5, 5, 1, 5),)},  # integers
    ],
)
def test_what_decides_no_pixel_and_no_class_is_no_content(fields):
    assert content_of(replace(OUTLINED, **fields), None) == content_of(OUTLINED, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"category": "dog"},
        {"kind": "box"},
        {"role": "crowd"},
        {"layered": True},
        {"even_odd": True},
        {"rings": (SQUARE, HOLE)},
        {"holes": (HOLE,)},
        {"rings": (SQUARE[:-2],)},
        {"rings": ((*SQUARE[:-1], 5.0000001),)},
        {"rings": (SQUARE[:6], (*SQUARE[6:], *HOLE[:4]))},
    ],
)
def test_shape_and_category_are_the_content(fields):
    contents = [content_of(instance, None) for instance in (OUTLINED, replace(OUTLINED, **fields))]
    assert len(set(contents)) == 2
    assert {len(content) for content in contents} == {32}
    int(contents[0], 16)


def test_the_division_into_rings_is_content():
    apart, other, cut = ((SQUARE, HOLE), (SQUARE + HOLE,), (SQUARE,))
    contents = {content_of(replace(OUTLINED, rings=rings), None) for rings in (apart, other)}
    assert len(contents | {content_of(replace(OUTLINED, rings=cut, holes=(HOLE,)), None)}) == 3


def test_equal_masks_have_equal_content_in_every_encoding():
    compressed = rle.compressed(rle.region_of(RUNS))["counts"].decode()
    zeros = Rle(size_hw=RUNS.size_hw, counts=(*RUNS.counts[:1], 1, 0, *[RUNS.counts[1] - 1], *RUNS.counts[2:]))
    of_file = content_of(masked(mask_file="masks/a.png", mask_value=7), raster.of_values(VALUES)[7])
    for runs in (RUNS, replace(RUNS, counts=compressed), zeros):
        assert content_of(masked(rle=runs), rle.region_of(runs)) == of_file
    others = np.where(VALUES == 9, 0, VALUES * 2)
    assert content_of(masked(mask_file="masks/b.png", mask_value=14), raster.of_values(others)[14]) == of_file
    assert content_of(masked(mask_file="masks/a.png", mask_value=9), raster.of_values(VALUES)[9]) != of_file
    tall = rle.Region((6, 2), raster.of_values(VALUES)[7].edges)
    assert content_of(masked(mask_file="masks/a.png", mask_value=7), tall) != of_file


def test_a_mask_without_pixels_has_the_content_of_its_record():
    contents = {
        content_of(masked(rle=RUNS), None),
        content_of(masked(rle=replace(RUNS, size_hw=(4, 3))), None),
        content_of(masked(mask_file="a.png", mask_value=7), None),
        content_of(masked(mask_file="a.png", mask_value=8), None),
    }
    assert len(contents) == 4
    assert content_of(masked(mask_file="b.png", mask_value=8), None) in contents
    assert content_of(masked(), None) == ""
