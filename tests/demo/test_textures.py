"""Noise and grounds: determined by the generator, in range and smooth."""

import numpy as np
import pytest

from segpipe.demo import textures


def test_smooth_noise_is_smooth_and_determined_by_its_seed():
    first = textures.smooth_noise(np.random.default_rng(4), (40, 60), (10, 10))
    again = textures.smooth_noise(np.random.default_rng(4), (40, 60), (10, 10))
    assert first.shape == (40, 60)
    np.testing.assert_array_equal(first, again)
    assert np.abs(np.diff(first, axis=1)).max() < 0.3  # white noise would jump by up to 1


def test_blurring_keeps_the_sum_away_from_the_border():
    plane = np.zeros((41, 41), np.float32)
    plane[20, 20] = 1.0
    smooth = textures.blurred(plane, 2)
    # two box means of 5 make a triangle: 5/25 of the height in its middle along each axis
    assert smooth[20, 20] == pytest.approx((5 / 25) ** 2, rel=1e-4)
    assert smooth.sum() == pytest.approx(1.0, rel=1e-4)
    assert not smooth[:16].any()


@pytest.mark.parametrize("family", textures.GROUNDS)
def test_every_ground_has_contrast(family):
    pattern = np.clip(family(np.random.default_rng(2), (96, 128), 1.0), 0, 1)
    assert pattern.shape == (96, 128)
    assert pattern.std() > 0.03


def test_a_wide_blur_has_the_form_of_a_narrow_blur():
    plane = np.zeros((200, 203), np.float32)
    plane[60:140, 70:130] = 1.0
    wide = textures.blurred(plane, 16)
    # two box means of 33 pixels reach 32 pixels: 0 beyond, half at the edge, 1 inside
    assert wide.shape == (200, 203)
    assert wide[100, 100] == pytest.approx(1.0, abs=0.06)
    assert wide[60, 100] == pytest.approx(0.5, abs=0.05)
    assert wide[20, 100] == 0.0
