"""One ring made of several draws the pixels of all of them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segpipe.masks import outlines, raster
from tests.grids import grid

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def drawn(ring: tuple[float, ...], mask: np.ndarray) -> np.ndarray:
    return outlines.to_mask(raster.draw([ring], mask.shape))


def test_a_square_is_traced_by_its_four_corners():
    mask = grid("""
        ....
        .##.
        .##.
    """).astype(bool)
    (ring,) = outlines.trace(mask)
    assert sorted(zip(ring[0::2], ring[1::2], strict=True)) == [(1, 1), (1, 3), (3, 1), (3, 3)]


def test_a_hole_and_a_second_part_are_separate_loops():
    mask = grid("""
        ###..
        #.#.#
        ###..
    """).astype(bool)
    assert sorted(map(len, outlines.trace(mask))) == [8, 8, 8]


def test_joined_rings_beside_and_inside_each_other_draw_equal_pixels():
    outer, hole = (0.0, 0.0, 5.0, 0.0, 5.0, 5.0, 0.0, 5.0), (1.0, 1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0)
    part = (6.0, 1.0, 8.0, 1.0, 8.0, 3.0, 6.0, 3.0)
    expected = grid("""
        #####...
        #...#.##
        #...#.##
        #...#...
        #####...
    """)
    mask = drawn(outlines.join_rings([outer, hole, part]), expected)
    np.testing.assert_array_equal(mask.astype(np.uint8), expected)


@settings(max_examples=300, deadline=None)
@given(MASKS)
def test_any_mask_is_drawn_again_from_its_traced_and_joined_outline(mask):
    loops = outlines.trace(mask)
    assert bool(loops) == bool(mask.any())
    if loops:
        np.testing.assert_array_equal(drawn(outlines.join_rings(loops), mask).astype(np.uint8), mask.astype(np.uint8))
