import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segpipe.masks import painting, raster, rle
from segpipe.rasterize import overlaps


def square(left, top, side):
    return [(left, top, left + side, top, left + side, top + side, left, top + side)]


def of(regions, size_hw, values):
    painted = painting.paint(regions, size_hw)
    hidden = painted.pixels(len(regions))[1:] < np.array(rle.areas_px(regions))
    return overlaps.of_painting(painted, regions, hidden, np.array(values, np.uint8))


def test_hidden_pixels_are_counted_by_both_classes():
    # a cat of 6 x 6, on it a dog of 4 x 4 that hides 16 of its pixels, on that a second dog over 2 x 2 of the first
    regions = raster.draw_each([square(0, 0, 6), square(1, 1, 4), square(3, 3, 3)], (10, 12))
    assert of(regions, (10, 12), [0, 1, 2, 2]) == ((1, 2, 16 + 9 - 4), (2, 2, 4))


def test_adjacent_regions_hide_nothing():
    assert of(raster.draw_each([square(0, 0, 3), square(3, 0, 3)], (10, 12)), (10, 12), [0, 1, 2]) == ()


def test_pixels_under_ignored_regions_count_and_ignored_pixels_under_objects_do_not():
    over, under = raster.draw_each([square(0, 0, 6), square(0, 0, 2)], (10, 12))
    assert of([under, over], (10, 12), [0, 1, 255]) == ((1, 255, 4),)
    assert of([over, under], (10, 12), [0, 255, 1]) == ()


@given(st.lists(st.tuples(st.integers(-3, 9), st.integers(-3, 9), st.integers(1, 9)), min_size=1, max_size=6))
def test_the_counts_add_up_to_the_hidden_pixels_of_each_object(squares):
    regions = raster.draw_each([square(*one) for one in squares], (10, 12))
    overlaps = of(regions, (10, 12), [0, *range(1, len(regions) + 1)])
    shown = painting.paint(regions, (10, 12)).pixels(len(regions))[1:]
    lacking = np.array(rle.areas_px(regions)) - shown
    for number, lack in enumerate(lacking.tolist(), start=1):
        assert sum(pixels for below, _, pixels in overlaps if below == number) == lack
    assert all(on_top > below for below, on_top, _ in overlaps)  # the later is on top


def test_the_table_is_read_as_written(tmp_path):
    sums = overlaps.total([((1, 2, 5), (2, 255, 1)), ((1, 2, 7),)])
    (tmp_path / "a.csv").write_text(overlaps.csv_text(sums, ("background", "=cat", "dog, wet")), encoding="utf-8")
    assert overlaps.read(tmp_path / "a.csv") == {("=cat", "dog, wet"): 12, ("dog, wet", "ignored"): 1}


def test_an_empty_run_hides_nothing():
    under, over = rle.Region((10, 12), np.array([0, 8, 20, 20])), rle.Region((10, 12), np.array([4, 8, 15, 15, 20, 25]))
    assert of([under, over], (10, 12), [0, 1, 2]) == ((1, 2, 4),)
