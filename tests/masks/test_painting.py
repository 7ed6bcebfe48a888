import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.masks import painting, raster, rle
from segpipe.masks.painting import Paint, painting_order
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
    """The owners after each mask is written over the last, uint8 (H, W)."""
    frame = np.zeros(masks[0].shape, np.uint8)
    for number, mask in enumerate(masks, start=1):
        frame[mask] = number
    return frame


def counted(frame, count):
    return np.bincount(frame.ravel(), minlength=count + 1)


def frame(painting):
    return painting.frame(np.arange(9, dtype=np.uint8))


def test_the_last_region_is_on_top_and_the_rest_has_no_owner():
    bottom, top = grid("###. ###.") > 0, grid("..## ....") > 0
    painting = painted([bottom, top])
    np.testing.assert_array_equal(frame(painting), grid("1122 111."))
    assert painting.pixels(3).tolist() == [1, 5, 2, 0]  # none, bottom, top, and a third region that does not exist


def test_many_empty_runs_cover_no_pixels_and_need_little_memory():  # memory by the square of their number was 80 GB
    empty = np.full(200_000, 3)
    regions = [rle.Region((4, 5), np.concatenate([[1], empty, [7]])), rle.Region((4, 5), empty)]
    assert painting.paint(regions, (4, 5)).pixels(2).tolist() == [14, 6, 0]


def test_without_regions_no_pixel_has_an_owner():
    assert painting.paint([], (2, 3)).pixels(0).tolist() == [6]


@settings(deadline=None)
@given(heaps())
def test_painting_equals_writing_each_mask_over_the_last(masks):
    painting = painted(masks)
    np.testing.assert_array_equal(frame(painting), owners(masks))
    np.testing.assert_array_equal(
        painting.pixels(len(masks)), np.bincount(owners(masks).ravel(), minlength=len(masks) + 1)
    )


@settings(deadline=None)
@given(heaps(), st.integers(1, 9))
def test_painting_in_strips_equals_painting_in_one_step(masks, at_once):
    np.testing.assert_array_equal(frame(painted(masks, at_once=at_once)), owners(masks))


@settings(deadline=None)
@given(heaps(), st.data())
def test_a_grid_counts_the_pixels_of_its_rows_and_columns(masks, data):
    height, width = masks[0].shape
    rows = np.array(sorted(data.draw(st.lists(st.integers(0, height - 1), min_size=1, max_size=20))))
    columns = np.array(sorted(data.draw(st.lists(st.integers(0, width - 1), min_size=1, max_size=20))))
    pixels = painted(masks).pixels_at(rows, columns, len(masks))
    np.testing.assert_array_equal(pixels, counted(owners(masks)[rows[:, None], columns], len(masks)))


BIG_CAR = Paint("car", 100, below=False)
SMALL_DOG = Paint("dog", 10, below=False)
EQUAL_CAT = Paint("cat", 10, below=False)
CROWD = Paint("person", 1, below=True)


def test_smaller_on_top_puts_the_later_of_equal_sizes_on_top():
    assert painting_order([SMALL_DOG, BIG_CAR, EQUAL_CAT], "smaller_on_top") == [1, 0, 2]


def test_record_order_puts_the_later_record_on_top():
    assert painting_order([SMALL_DOG, BIG_CAR, EQUAL_CAT], "record_order") == [0, 1, 2]


def test_a_list_puts_its_first_class_on_top_and_unlisted_ones_at_the_bottom():
    assert painting_order([SMALL_DOG, BIG_CAR, EQUAL_CAT], ["car", "dog"]) == [2, 0, 1]


def test_crowds_are_below_everything_with_any_priority():
    for priority in ("smaller_on_top", "record_order", ["person"]):
        assert painting_order([BIG_CAR, CROWD], priority) == [1, 0]
