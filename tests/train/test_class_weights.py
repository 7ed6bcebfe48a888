import numpy as np
import pytest

from segpipe.train.class_weights import MAX_CLASS_WEIGHT, class_weights


def test_no_weights_without_a_method():
    assert class_weights("none", np.array([[5, 1]])) is None


def test_median_frequency_divides_the_median_by_each_classes_own():
    # Class 0: 60 of 100 + 90 of 100 px = 0.75; class 1: 40 of 100 = 0.4; class 2: 10 of 100 = 0.1; class 3 never.
    pixels = np.array([[60, 40, 0, 0], [90, 0, 10, 0]])
    assert class_weights("median_frequency", pixels) == pytest.approx([0.4 / 0.75, 1.0, 0.4 / 0.1, 0.0])


def test_a_very_rare_class_is_capped():
    pixels = np.array([[10_000, 10_000, 1]])
    for method in ("median_frequency", "effective_number"):
        assert class_weights(method, pixels)[2] == MAX_CLASS_WEIGHT


def test_effective_numbers_level_off_above_the_median_class():
    # Volume 200: E(n) = 200 (1 - 0.995**n): 200 px count as 126.6, 20,000 px as 200 and not as a hundred times that.
    weights = class_weights("effective_number", np.array([[100, 200, 20_000]]))
    e = [1 - 0.995**n for n in (100, 200, 20_000)]
    assert weights[1] / weights[2] == pytest.approx(e[2] / e[1], rel=1e-5)
    assert weights[0] / weights[2] == pytest.approx(e[2] / e[0], rel=1e-5)
    assert (weights * [100, 200, 20_000]).sum() / 20_300 == pytest.approx(1, rel=1e-5)  # the mean pixel weighs 1
