import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from segpipe.masks import geometry, raster, rle
from tests.grids import grid
from tests.masks.test_raster import pixels, rings

SQUARE = [0, 0, 6, 0, 6, 4, 0, 4]


def test_a_hole_removes_the_pixels_inside_it():
    np.testing.assert_array_equal(
        pixels(raster.draw([SQUARE], (4, 6), [[1, 1, 3, 1, 3, 3, 1, 3]]), (4, 6)),
        grid("""
            ######
            #..###
            #..###
            ######
        """),
    )


def test_holes_are_subtracted_from_the_united_rings():
    left, right = [0, 0, 3, 0, 3, 4, 0, 4], [2, 0, 6, 0, 6, 4, 2, 4]
    across = [2, 1, 4, 1, 4, 3, 2, 3]
    np.testing.assert_array_equal(
        pixels(raster.draw([left, right], (4, 6), [across, [-5, 3, 1, 3, 1, 9, -5, 9]]), (4, 6)),
        grid("""
            ######
            ##..##
            ##..##
            .#####
        """),
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(rings, min_size=1, max_size=2), st.lists(rings, min_size=1, max_size=3))
def test_a_region_is_its_rings_without_its_holes(outer, holes):
    size_hw = (25, 30)
    drawn = pixels(raster.draw(outer, size_hw, holes), size_hw) > 0
    whole, removed = (pixels(raster.draw(some, size_hw), size_hw) > 0 for some in (outer, holes))
    np.testing.assert_array_equal(drawn, whole & ~removed)


def test_areas_do_not_count_the_holes():
    shape = geometry.examine([tuple(SQUARE)], (4, 6), [(1, 1, 3, 1, 3, 3, 1, 3)])
    assert (shape.area_drawn, geometry.corrected_area(shape), shape.refused) == (20, 20, 0)
    assert shape.holes == ((1, 1, 3, 1, 3, 3, 1, 3),)


def test_even_odd_rings_inside_each_other_alternate_between_filled_and_empty():
    inner, innermost = [1, 0, 5, 0, 5, 4, 1, 4], [2, 1, 4, 1, 4, 3, 2, 3]
    np.testing.assert_array_equal(
        pixels(raster.draw([SQUARE, inner, innermost], (4, 6), even_odd=True), (4, 6)),
        grid("""
            #....#
            #.##.#
            #.##.#
            #....#
        """),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(rings, min_size=1, max_size=4), st.integers(1, 30), st.integers(1, 30))
def test_even_odd_equals_the_exclusive_or_of_rings_drawn_by_pycocotools(shape, height, width):
    each = [coco_mask.decode(drawn) for drawn in coco_mask.frPyObjects(shape, height, width)]
    region = raster.draw(shape, (height, width), even_odd=True)
    np.testing.assert_array_equal(coco_mask.decode(rle.compressed(region)), np.bitwise_xor.reduce(each))
    assert rle.area_px(region) == np.bitwise_xor.reduce(each).sum()
