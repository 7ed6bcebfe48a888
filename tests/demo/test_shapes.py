"""Outlines: valid, of about unit radius, with the expected holes and parts."""

import numpy as np
import pytest
from shapely.geometry import MultiPolygon, Polygon, box

from segpipe.demo import shapes


@pytest.mark.parametrize("name", shapes.OUTLINES)
@pytest.mark.parametrize("seed", range(10))
def test_an_outline_is_valid_and_about_two_wide(name: str, seed: int):
    outline = shapes.OUTLINES[name](np.random.default_rng(seed))
    left, top, right, bottom = outline.bounds
    assert outline.is_valid
    assert max(-left, -top, right, bottom) < 1.4
    assert max(right - left, bottom - top) > 1.4


def test_only_the_ring_has_a_hole():
    holes = {name: len(make(np.random.default_rng(1)).interiors) for name, make in shapes.OUTLINES.items()}
    assert holes == {"coin": 0, "brick": 0, "star": 0, "ring": 1, "leaf": 0, "pebble": 0}


@pytest.mark.parametrize("name", ["coin", "brick", "star", "leaf"])
def test_a_broken_object_is_two_parts_that_do_not_touch(name: str):
    rng = np.random.default_rng(3)
    whole = shapes.OUTLINES[name](rng)
    halves = shapes.broken(whole, rng)
    assert len(halves.geoms) == 2
    assert halves.geoms[0].distance(halves.geoms[1]) > 0.1
    assert halves.area == pytest.approx(whole.area, rel=1e-6)


def test_placed_scales_then_rotates_then_moves():
    # a bar of 2 x 1, made three times as large, is 6 x 3; rotated by 90 degrees, 3 x 6; its centre moves to (10, 20)
    bar = shapes.placed(box(-1, -0.5, 1, 0.5), (10, 20), 3, 90)
    assert bar.bounds == pytest.approx((8.5, 17, 11.5, 23))


def test_parts_are_ordered_by_area_without_small_ones():
    small, crumb, large = box(0, 0, 2, 2), box(5, 5, 5.5, 5.5), box(10, 10, 14, 14)
    assert [part.area for part in shapes.parts_of(MultiPolygon([small, crumb, large]), 1.0).geoms] == [16, 4]
    assert shapes.parts_of(Polygon(), 1.0).is_empty


def test_a_twig_crosses_the_whole_image():
    for seed in range(20):
        twig = shapes.twig(np.random.default_rng(seed), (128, 160), 6.0)
        assert len(shapes.parts_of(box(0, 0, 160, 128).difference(twig), 1.0).geoms) >= 2
