from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.data.preprocessing import PADDING, Fit, fit_image, fit_label_map, plan, stored_windows
from tests.grids import grid

fits = st.builds(
    Fit, st.sampled_from(["letterbox", "crop", "stretch"]), st.tuples(st.integers(4, 40), st.integers(4, 40))
)
sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))


def only_window(native_hw, fit):
    [window] = stored_windows(native_hw, fit)
    return window


def test_letterbox_shows_the_whole_image_and_pads_with_ignore():
    fit = Fit("letterbox", (4, 4))
    label_map = grid("11223344 11223344 55667788 55667788")
    np.testing.assert_array_equal(fit_label_map(label_map, fit, only_window((4, 8), fit)), grid("xxxx 1234 5678 xxxx"))


def test_crop_fills_the_window_and_keeps_the_centre():
    fit = Fit("crop", (2, 2))
    np.testing.assert_array_equal(fit_label_map(grid("1234 5678"), fit, only_window((2, 4), fit)), grid("23 67"))


def test_stretch_scales_each_side_separately():
    fit = Fit("stretch", (2, 4))
    np.testing.assert_array_equal(fit_label_map(grid("12"), fit, only_window((1, 2), fit)), grid("1122 1122"))


def test_image_and_label_map_of_the_window_move_together():
    fit = Fit("letterbox", (32, 48))
    label_map = np.zeros((20, 20), np.uint8)
    label_map[:, 10:] = 1
    image = np.repeat(label_map[:, :, None] * 255, 3, axis=2)
    window = only_window((20, 20), fit)
    fitted, labels = fit_image(image, fit, window), fit_label_map(label_map, fit, window)
    assert (fitted[labels == 255] == PADDING).all()
    assert ((fitted[:, :, 0] > 127) == (labels == 1))[labels != 255].all()


@settings(max_examples=200, deadline=None)
@given(sizes, fits)
def test_the_shape_is_consistent_and_no_new_value_appears(size_hw, fit):
    label_map = np.random.default_rng(0).integers(0, 7, size_hw, np.uint8)
    fitted = fit_label_map(label_map, fit, only_window(size_hw, fit))
    assert fitted.shape == fit.size_hw
    assert set(np.unique(fitted)) <= set(np.unique(label_map)) | {255}
    assert fit_image(np.zeros((*size_hw, 3), np.uint8), fit, only_window(size_hw, fit)).shape == (*fit.size_hw, 3)


@st.composite
def cuts(draw):
    """An image size and a Fit that cuts it, with any overlap that params.yaml allows."""
    side, size_hw = draw(st.integers(6, 40)), draw(st.tuples(st.integers(4, 40), st.integers(4, 40)))
    overlap = draw(st.integers(0, max(0, round(side * min(size_hw) / max(size_hw)) // 3)))
    native_hw = draw(st.tuples(st.integers(1, 200), st.integers(1, 200)).filter(lambda hw: max(hw) > side))
    return native_hw, Fit(draw(st.sampled_from(["letterbox", "crop", "stretch"])), size_hw, side, overlap)


@settings(max_examples=300, deadline=None)
@given(st.one_of(cuts(), st.tuples(sizes, fits)))
def test_windows_cover_every_pixel_have_one_size_and_the_required_overlap(case):
    native_hw, fit = case
    look = plan(native_hw, fit)
    for spans, length in zip((look.rows, look.columns), native_hw, strict=True):
        assert (spans[0].start, spans[-1].stop) == (0, length)
        assert len({span.stop - span.start for span in spans}) == 1
        for before, after in pairwise(spans):
            assert before.start < after.start
            assert before.stop - after.start >= look.overlap
    if fit.cuts(native_hw):
        assert look.overlap == fit.tile_overlap
        assert len(look.windows) > 1
        assert stored_windows(native_hw, fit) == look.windows


def test_tiles_have_the_training_shape_and_even_spacing():
    # 16:12 tiles of 32 x 24 with 4 shared: the width of 80 takes 3 (2 reach 60), the height of 50 takes 3 (2 reach 44)
    look = plan((50, 80), Fit("letterbox", (12, 16), tile_side=32, tile_overlap=4))
    assert look.rows == (slice(0, 24), slice(13, 37), slice(26, 50))
    assert look.columns == (slice(0, 32), slice(24, 56), slice(48, 80))
    assert look.content == (slice(0, 12), slice(0, 16))


@pytest.mark.parametrize("mode", ["letterbox", "crop", "stretch"])
def test_an_image_narrower_than_a_tile_keeps_the_scale_of_tiles_and_is_padded(mode):
    fit = Fit(mode, (16, 16), tile_side=32)
    look = plan((8, 100), fit)
    assert (look.rows, len(look.columns)) == ((slice(0, 8),), 4)
    assert look.content == (slice(6, 10), slice(0, 16))  # 8 of 32 are 4 of 16
    label_map = np.ones((8, 100), np.uint8)
    rows = [fit_label_map(label_map, fit, window) for window in look.windows]
    assert all((row == 1).sum() == 4 * 16 and (row == 255).sum() == 12 * 16 for row in rows)


@pytest.mark.parametrize("mode", ["letterbox", "crop", "stretch"])
def test_images_up_to_the_tile_side_are_not_cut(mode):
    assert plan((30, 32), Fit(mode, (16, 16), 32, 8)) == plan((30, 32), Fit(mode, (16, 16)))
    assert plan((30, 32), Fit(mode, (16, 16), 31, 8)) != plan((30, 32), Fit(mode, (16, 16)))


def test_a_tile_at_scale_1_equals_the_pixels_of_the_image():
    image = np.random.default_rng(1).integers(0, 256, (40, 70, 3), np.uint8)
    fit = Fit("letterbox", (16, 32), tile_side=32, tile_overlap=5)
    for window in stored_windows((40, 70), fit):
        np.testing.assert_array_equal(fit_image(image, fit, window), image[window.rows, window.columns])


@pytest.mark.parametrize("mode", ["letterbox", "crop", "stretch"])
def test_an_image_of_the_training_size_is_unchanged(mode):
    image = np.random.default_rng(1).integers(0, 256, (8, 12, 3), np.uint8)
    fit = Fit(mode, (8, 12))
    assert plan((8, 12), fit).windows == stored_windows((8, 12), fit)
    np.testing.assert_array_equal(fit_image(image, fit, only_window((8, 12), fit)), image)
