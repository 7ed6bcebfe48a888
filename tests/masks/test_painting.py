import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.masks import painting, raster, rle
from tests.grids import grid


@st.composite
def heaps(draw):
    """Masks of one size, from the bottom to the top."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rows = st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=height, max_size=height)
    return [np.array(mask) for mask in draw(st.lists(rows, min_size=1, max_size=5))]


def painted(masks, **options):
    return painting.paint([raster.of_mask(mask) for mask in masks], masks[0].shape, **options)


def owners(masks):
    """What writing each mask over the last gives."""
    frame = np.zeros(masks[0].shape, np.uint8)
    for number, mask in enumerate(masks, start=1):
        frame[mask] = number
    return frame


def counted(frame, count):
    return np.bincount(frame.ravel(), minlength=count + 1)


def frame(found):
    return found.frame(np.arange(9, dtype=np.uint8))


def test_the_last_is_on_top_and_nobody_owns_the_rest():
    bottom, top = grid("###. ###.") > 0, grid("..## ....") > 0
    found = painted([bottom, top])
    np.testing.assert_array_equal(frame(found), grid("1122 111."))
    assert found.pixels(3).tolist() == [1, 5, 2, 0]  # nobody, the bottom, the top, and a third that is not there


def test_empty_runs_without_number_own_nothing_and_take_no_memory():  # the square of their number was 80 GB
    empty = np.full(200_000, 3)
    regions = [rle.Region((4, 5), np.concatenate([[1], empty, [7]])), rle.Region((4, 5), empty)]
    assert painting.paint(regions, (4, 5)).pixels(2).tolist() == [14, 6, 0]


def test_nothing_painted_is_nobodys():
    assert painting.paint([], (2, 3)).pixels(0).tolist() == [6]


@settings(deadline=None)
@given(heaps())
def test_painting_is_writing_each_over_the_last(masks):
    found = painted(masks)
    np.testing.assert_array_equal(frame(found), owners(masks))
    np.testing.assert_array_equal(
        found.pixels(len(masks)), np.bincount(owners(masks).ravel(), minlength=len(masks) + 1)
    )


@settings(deadline=None)
@given(heaps(), st.integers(1, 9))
def test_painting_in_strips_is_painting_at_once(masks, at_once):
    np.testing.assert_array_equal(frame(painted(masks, at_once=at_once)), owners(masks))


@settings(deadline=None)
@given(heaps(), st.data())
def test_a_grid_counts_the_pixels_of_its_rows_and_columns(masks, data):
    height, width = masks[0].shape
    rows = np.array(sorted(data.draw(st.lists(st.integers(0, height - 1), min_size=1, max_size=20))))
    columns = np.array(sorted(data.draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=20))))
    found = painted(masks).pixels_at(rows, columns, len(masks))
    np.testing.assert_array_equal(found, counted(owners(masks)[rows[:, None], columns], len(masks)))
