import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.dataset.transforms import PADDING, Fit, fit_image, fit_label_map, training_window, windows
from tests.grids import grid

fits = st.builds(
    Fit, st.sampled_from(["letterbox", "crop", "stretch"]), st.tuples(st.integers(4, 40), st.integers(4, 40))
)
sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))


def test_letterbox_shows_all_of_the_picture_and_pads_with_ignore():
    fit = Fit("letterbox", (4, 4))
    label_map = grid("11223344 11223344 55667788 55667788")
    np.testing.assert_array_equal(
        fit_label_map(label_map, fit, training_window((4, 8), fit)), grid("xxxx 1234 5678 xxxx")
    )


def test_crop_fills_the_window_and_keeps_the_centre():
    fit = Fit("crop", (2, 2))
    np.testing.assert_array_equal(fit_label_map(grid("1234 5678"), fit, training_window((2, 4), fit)), grid("23 67"))


def test_stretch_scales_the_sides_apart():
    fit = Fit("stretch", (2, 4))
    np.testing.assert_array_equal(fit_label_map(grid("12"), fit, training_window((1, 2), fit)), grid("1122 1122"))


def test_image_and_label_map_of_the_window_move_together():
    fit = Fit("letterbox", (32, 48))
    label_map = np.zeros((20, 20), np.uint8)
    label_map[:, 10:] = 1
    image = np.repeat(label_map[:, :, None] * 255, 3, axis=2)
    window = training_window((20, 20), fit)
    fitted, labels = fit_image(image, fit, window), fit_label_map(label_map, fit, window)
    assert (fitted[labels == 255] == PADDING).all()
    assert ((fitted[:, :, 0] > 127) == (labels == 1))[labels != 255].all()


@settings(max_examples=200, deadline=None)
@given(sizes, fits)
def test_the_shape_is_consistent_and_no_new_value_appears(size_hw, fit):
    label_map = np.random.default_rng(0).integers(0, 7, size_hw, np.uint8)
    fitted = fit_label_map(label_map, fit, training_window(size_hw, fit))
    assert fitted.shape == fit.size_hw
    assert set(np.unique(fitted)) <= set(np.unique(label_map)) | {255}
    assert fit_image(np.zeros((*size_hw, 3), np.uint8), fit, training_window(size_hw, fit)).shape == (*fit.size_hw, 3)


@settings(max_examples=200, deadline=None)
@given(sizes, fits)
def test_the_windows_cover_every_pixel(size_hw, fit):
    cover = windows(size_hw, fit)
    seen = np.zeros(cover[0].scaled_hw, bool)
    for window in cover:
        rows, columns = window.content(fit.size_hw)
        y, x = window.offset_yx
        seen[rows.start + y : rows.stop + y, columns.start + x : columns.stop + x] = True
    assert seen.all()


@pytest.mark.parametrize("mode", ["letterbox", "crop", "stretch"])
def test_a_picture_of_the_training_size_is_left_alone(mode):
    image = np.random.default_rng(1).integers(0, 256, (8, 12, 3), np.uint8)
    fit = Fit(mode, (8, 12))
    assert windows((8, 12), fit) == [training_window((8, 12), fit)]
    np.testing.assert_array_equal(fit_image(image, fit, training_window((8, 12), fit)), image)
