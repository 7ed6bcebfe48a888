import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from segpipe.masks import raster, rle
from tests.grids import grid

coordinates = st.floats(-30, 60, allow_nan=False, width=32)
rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=12).map(
    lambda points: [number for point in points for number in point]
)


def pixels(region, size_hw):
    return raster.paint([region], size_hw).astype(np.uint8)


def test_a_whole_pixel_rectangle_covers_its_own_pixels():
    np.testing.assert_array_equal(
        pixels(raster.draw([[1, 1, 4, 1, 4, 3, 1, 3]], (4, 6)), (4, 6)),
        grid("""
            ......
            .###..
            .###..
            ......
        """),
    )  # PIL.ImageDraw.polygon would give 4 x 3: it includes the far edge


def test_a_ten_by_ten_square_is_a_hundred_pixels():
    assert rle.area_px(raster.draw([[5, 5, 15, 5, 15, 15, 5, 15]], (20, 20))) == 100


def test_rings_of_one_instance_are_united():
    apart = raster.draw([[0, 0, 2, 0, 2, 2, 0, 2], [3, 0, 5, 0, 5, 2, 3, 2], [1, 0, 2, 0, 2, 1, 1, 1]], (2, 5))
    np.testing.assert_array_equal(pixels(apart, (2, 5)), grid("##.## ##.##"))


def test_a_bow_tie_is_two_triangles_not_its_box():
    area = rle.area_px(raster.draw([[0, 0, 20, 20, 20, 0, 0, 20]], (20, 20)))
    assert abs(area - 200) <= 20  # its box is 400, its triangles 2 x 100


def test_four_numbers_are_no_ring():
    with pytest.raises(ValueError, match="three points"):
        raster.draw([[1, 1, 4, 4]], (5, 5))  # pycocotools would draw a box


@settings(max_examples=300, deadline=None)
@given(st.lists(rings, min_size=1, max_size=3), st.integers(1, 40), st.integers(1, 40))
def test_drawing_and_painting_equal_pycocotools_decoding(shape, height, width):
    oracle = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(shape, height, width)))
    np.testing.assert_array_equal(pixels(raster.draw(shape, (height, width)), (height, width)), oracle)


@settings(max_examples=100, deadline=None)
@given(st.lists(rings, min_size=1, max_size=5))
def test_painting_equals_decoding_each_and_writing_it_over_the_last(shapes):
    regions = [raster.draw([shape], (30, 40)) for shape in shapes]
    oracle = np.zeros((30, 40), np.int32)
    for number, region in enumerate(regions, start=1):
        oracle[coco_mask.decode(region).astype(bool)] = number
    np.testing.assert_array_equal(raster.paint(regions, (30, 40)), oracle)


@pytest.mark.parametrize("part", ["train", "val"])
def test_every_coco_instance_is_drawn_as_pycocotools_draws_it(real_data, part):
    document = json.loads((real_data / f"coco_mini/annotations/instances_{part}2017.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in document["images"]}
    drawn = 0
    for annotation in document["annotations"]:
        if isinstance(annotation["segmentation"], list):
            size_hw = sizes[annotation["image_id"]]
            oracle = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(annotation["segmentation"], *size_hw)))
            np.testing.assert_array_equal(pixels(raster.draw(annotation["segmentation"], size_hw), size_hw), oracle)
            drawn += 1
    assert drawn > 500
