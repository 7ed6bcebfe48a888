import math

import numpy as np
import pytest
import torch

from segpipe.classes import IGNORE_INDEX
from segpipe.training.losses import MAX_CLASS_WEIGHT, class_weights, segmentation_loss


def logits_of(probabilities):
    """Logits (1, C, 1, M) whose softmax is what is given for each of M pixels."""
    return torch.tensor(probabilities).log().T.reshape(1, len(probabilities[0]), 1, -1).requires_grad_()


def target_of(*classes):
    return torch.tensor(classes, dtype=torch.uint8).view(1, 1, -1)


def cross_entropy(logits, target, weights=None):
    return segmentation_loss(logits, target, weights, ce_weight=1, dice_weight=0)


def dice(logits, target):
    return segmentation_loss(logits, target, None, ce_weight=0, dice_weight=1)


def test_cross_entropy_is_the_mean_over_labelled_pixels():
    logits = logits_of([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    loss = cross_entropy(logits, target_of(0, 1, IGNORE_INDEX))
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.75)) / 2)


def test_class_weights_weigh_pixels_and_their_sum():
    logits = logits_of([[0.5, 0.5], [0.25, 0.75]])
    loss = cross_entropy(logits, target_of(0, 1), torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx(-(math.log(0.5) + 3 * math.log(0.75)) / 4)


def test_cross_entropy_is_pytorchs():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 7, 6, generator=generator)
    target = torch.randint(5, (2, 7, 6), generator=generator)
    target[0, :3] = IGNORE_INDEX
    weights = torch.rand(5, generator=generator)
    expected = torch.nn.functional.cross_entropy(logits, target, weights, ignore_index=IGNORE_INDEX)
    assert cross_entropy(logits, target.to(torch.uint8), weights).item() == pytest.approx(expected.item(), rel=1e-5)


def test_dice_pools_the_labelled_pixels_of_the_classes_present():
    logits = logits_of([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.0 + 1e-9, 0.5, 0.5]])
    loss = dice(logits, target_of(0, 1, IGNORE_INDEX))  # class 2 is absent, the third pixel does not count
    first = (2 * 0.8 + 1) / (0.8 + 0.3 + 1 + 1)  # smoothed by one pixel
    second = (2 * 0.6 + 1) / (0.1 + 0.6 + 1 + 1)
    assert loss.item() == pytest.approx(1 - (first + second) / 2, rel=1e-5)


def test_a_perfect_prediction_has_no_dice_loss():
    perfect = torch.zeros(1, 2, 4, 4)
    perfect[:, 1] = 50
    assert dice(perfect, torch.ones(1, 4, 4, dtype=torch.uint8)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 3.0])])
def test_a_batch_without_any_label_gives_zero_and_no_gradient(weights):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((2, 4, 4), IGNORE_INDEX, dtype=torch.uint8), weights, 1, 1)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_ignored_pixels_get_no_gradient():
    logits = torch.randn(1, 3, 1, 2, requires_grad=True)
    segmentation_loss(logits, target_of(1, IGNORE_INDEX), None, 1, 1).backward()
    assert (logits.grad[..., 1] == 0).all()
    assert (logits.grad[..., 0] != 0).any()


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
