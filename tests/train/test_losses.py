import math

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from segpipe.data.classes import IGNORE_INDEX
from segpipe.models.segmenter import UNSEEN_LOGIT
from segpipe.train.losses import LOSSES, MAX_CLASS_WEIGHT, Criterion, class_weights
from segpipe.train.recipe import Loss

NOTHING = dict.fromkeys(LOSSES, 0.0)
ALL = Loss(**dict.fromkeys(LOSSES, 1.0))


def logits_of(probabilities):
    """Logits (1, C, 1, M) with these softmax probabilities, given for each of M pixels."""
    return torch.tensor(probabilities).log().T.reshape(1, len(probabilities[0]), 1, -1).requires_grad_()


def target_of(*classes):
    return torch.tensor(classes, dtype=torch.uint8).view(1, 1, -1)


def criterion(loss, weights=None, smoothing=0.0, classes=3):
    return Criterion(loss, torch.ones(classes, dtype=torch.bool), weights, smoothing)


def only(name, logits, target, weights=None, smoothing=0.0):
    """The loss of this name alone."""
    return criterion(Loss(**NOTHING | {name: 1.0}), weights, smoothing, logits.shape[1])(logits, target)


def cross_entropy(logits, target, weights=None):
    return only("cross_entropy", logits, target, weights)


def dice(logits, target):
    return only("dice", logits, target)


def test_cross_entropy_is_the_mean_over_labelled_pixels():
    logits = logits_of([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    loss = cross_entropy(logits, target_of(0, 1, IGNORE_INDEX))
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.75)) / 2)


def test_class_weights_apply_to_pixels_and_to_their_sum():
    logits = logits_of([[0.5, 0.5], [0.25, 0.75]])
    loss = cross_entropy(logits, target_of(0, 1), torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx(-(math.log(0.5) + 3 * math.log(0.75)) / 4)


def test_cross_entropy_equals_pytorchs():
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
@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_any_label_gives_zero_and_no_gradient(name, weights):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = only(name, logits, torch.full((2, 4, 4), IGNORE_INDEX, dtype=torch.uint8), weights, smoothing=0.1)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_get_no_gradient(name):
    logits = torch.randn(1, 3, 1, 3, requires_grad=True)
    only(name, logits, target_of(1, 2, IGNORE_INDEX)).backward()
    assert (logits.grad[..., 2] == 0).all()
    assert (logits.grad[..., :2] != 0).any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_class_that_does_not_occur_in_training_changes_nothing(name):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    target = torch.randint(3, (2, 8, 8), generator=generator)
    more = torch.cat([logits, torch.full((2, 1, 8, 8), UNSEEN_LOGIT)], dim=1).requires_grad_()
    loss = Criterion(Loss(**NOTHING | {name: 1.0}), torch.tensor([True, True, True, False]), None, 0.1)(more, target)
    loss.backward()
    assert loss.item() == pytest.approx(only(name, logits, target, smoothing=0.1).item(), rel=1e-5)
    assert torch.isfinite(more.grad).all()


def test_the_loss_is_the_weighted_sum_of_the_losses():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    target = torch.randint(3, (2, 8, 8), generator=generator)
    parts = {name: only(name, logits, target).item() for name in LOSSES}
    assert criterion(ALL)(logits, target).item() == pytest.approx(sum(parts.values()), rel=1e-5)
    mixed = criterion(Loss(**NOTHING | {"dice": 2.0, "focal": 0.5}))(logits, target).item()
    assert mixed == pytest.approx(2 * parts["dice"] + 0.5 * parts["focal"], rel=1e-5)


def test_smoothing_spreads_some_of_the_truth_over_all_classes():
    logits = logits_of([[0.5, 0.3, 0.2]])
    spread = (math.log(0.5) + math.log(0.3) + math.log(0.2)) / 3
    loss = only("cross_entropy", logits, target_of(0), smoothing=0.1)
    assert loss.item() == pytest.approx(-(0.9 * math.log(0.5) + 0.1 * spread), rel=1e-5)
    pytorchs = torch.nn.functional.cross_entropy(logits, torch.zeros(1, 1, 1, dtype=torch.long), label_smoothing=0.1)
    assert loss.item() == pytest.approx(pytorchs.item(), rel=1e-5)


def test_focal_weights_a_pixel_by_the_square_of_its_uncertainty():
    logits = logits_of([[0.9, 0.1], [0.5, 0.5]])
    expected = -(0.1**2 * math.log(0.9) + 0.5**2 * math.log(0.5)) / 2
    assert only("focal", logits, target_of(0, 1)).item() == pytest.approx(expected, rel=1e-4)


def test_ohem_counts_uncertain_pixels_only():
    logits = logits_of([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.01, 0.99]])
    loss = only("ohem", logits, target_of(0, 0, 0, IGNORE_INDEX))  # 0.9 is certain
    assert loss.item() == pytest.approx(-(math.log(0.6) + math.log(0.3)) / 2, rel=1e-5)


def test_ohem_counts_the_pixels_of_lowest_certainty_if_all_are_certain():
    logits = logits_of([[0.8, 0.2], [0.75, 0.25], *[[0.99, 0.01]] * 14])  # 16 pixels: one in 16, so the two least
    loss = only("ohem", logits, target_of(*[0] * 16))
    assert loss.item() == pytest.approx(-(math.log(0.8) + math.log(0.75)) / 2, rel=1e-5)


def test_boundary_counts_three_pixels_on_either_side_of_a_border():
    p = [[0.5, 0.5]] * 10
    p[1], p[8] = [0.9, 0.1], [0.1, 0.9]  # 4 px from the border: without effect
    loss = only("boundary", logits_of(p), target_of(0, 0, 0, 0, 0, 1, 1, 1, 1, 1))
    assert loss.item() == pytest.approx(-math.log(0.5), rel=1e-5)


def test_an_ignored_region_is_not_another_class():
    logits = logits_of([[0.5, 0.5]] * 3)
    assert only("boundary", logits, target_of(1, IGNORE_INDEX, 1)).item() == 0
    assert only("boundary", logits, target_of(0, IGNORE_INDEX, 1)).item() == pytest.approx(-math.log(0.5), rel=1e-5)


def test_lovasz_of_a_certain_prediction_is_one_minus_the_mean_iou():
    target = target_of(0, 0, 0, 1, 1, 2, IGNORE_INDEX)
    pred = torch.tensor([0, 0, 1, 1, 1, 1, 0])
    logits = 100 * torch.nn.functional.one_hot(pred, 3).float().T.reshape(1, 3, 1, -1)
    iou = [2 / 3, 2 / 4, 0]  # class 1: pixels 3, 4 of 2, 3, 4, 5
    assert only("lovasz", logits, target).item() == pytest.approx(1 - sum(iou) / 3, rel=1e-5)


def test_lovasz_of_uncertain_predictions_follows_the_extension():
    # Class 0: errors 0.6 (a pixel outside) and 0.2 (a pixel inside). The Jaccard loss of the first error is 1 - 1/2, of
    # both 1: 0.6 * 1/2 + 0.2 * 1/2. Class 1: 0.6 is inside, so the Jaccard loss of the first is 1, of both 1:
    # 0.6 * 1 + 0.2 * 0.
    logits = logits_of([[0.8, 0.2], [0.6, 0.4]])
    loss = only("lovasz", logits, target_of(0, 1))
    assert loss.item() == pytest.approx((0.6 * 0.5 + 0.2 * 0.5 + 0.6) / 2, rel=1e-5)


def random_batch(num_classes, seed=0):
    """Logits and target with ignored pixels; every class is present."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, num_classes, 8, 6, generator=generator)
    target = torch.randint(num_classes, (2, 8, 6), generator=generator)
    target[0, :3] = IGNORE_INDEX
    return logits, target


def test_dice_equals_smps_if_every_class_is_present():
    # smp adds `smooth` to the intersection, half of our numerator. It also averages over absent classes.
    logits, target = random_batch(4)
    oracle = smp.losses.DiceLoss("multiclass", smooth=0.5, ignore_index=IGNORE_INDEX)
    assert dice(logits, target).item() == pytest.approx(oracle(logits, target).item(), rel=1e-5)


def test_focal_equals_smps_for_two_classes():
    # smp's focal loss has a sigmoid per class. For two classes the softmax is the sigmoid of the logits' difference.
    logits, target = random_batch(2)
    oracle = smp.losses.FocalLoss("binary", gamma=2.0, ignore_index=IGNORE_INDEX)
    expected = oracle(logits[:, 1] - logits[:, 0], target)
    assert only("focal", logits, target).item() == pytest.approx(expected.item(), rel=1e-5)


def test_lovasz_equals_smps():
    logits, target = random_batch(5)
    target[target == 3] = 0  # an absent class is left out by both
    oracle = smp.losses.LovaszLoss("multiclass", ignore_index=IGNORE_INDEX)
    assert only("lovasz", logits, target).item() == pytest.approx(oracle(logits, target).item(), rel=1e-5)


def test_without_a_method_there_are_no_class_weights():
    assert class_weights("none", np.array([[5, 1]])) is None


def test_median_frequency_is_the_median_divided_by_each_frequency():
    # Class 0: 60 of 100 + 90 of 100 px = 0.75; class 1: 40 of 100 = 0.4; class 2: 10 of 100 = 0.1; class 3 never.
    pixels = np.array([[60, 40, 0, 0], [90, 0, 10, 0]])
    assert class_weights("median_frequency", pixels) == pytest.approx([0.4 / 0.75, 1.0, 0.4 / 0.1, 0.0])


def test_the_weight_of_a_very_rare_class_is_limited():
    pixels = np.array([[10_000, 10_000, 1]])
    for method in ("median_frequency", "effective_number"):
        assert class_weights(method, pixels)[2] == MAX_CLASS_WEIGHT


def test_effective_numbers_level_off_above_the_median_class():
    # Volume 200: E(n) = 200 (1 - 0.995**n): 200 px count as 126.6, 20,000 px as 200, not as a hundred times that.
    weights = class_weights("effective_number", np.array([[100, 200, 20_000]]))
    e = [1 - 0.995**n for n in (100, 200, 20_000)]
    assert weights[1] / weights[2] == pytest.approx(e[2] / e[1], rel=1e-5)
    assert weights[0] / weights[2] == pytest.approx(e[2] / e[0], rel=1e-5)
    assert (weights * [100, 200, 20_000]).sum() / 20_300 == pytest.approx(1, rel=1e-5)  # the mean pixel has weight 1
