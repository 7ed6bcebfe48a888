import json
import math

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import classification as tm

from segpipe.evaluate import scores
from segpipe.evaluate.confusion import confusion_matrix

NAMES = ("background", "cat", "dog", "bird")
# truth:     background 8 px, cat 6, dog 2, bird none
# predicted: background 7, cat 9, dog and bird none
MATRIX = np.array([[6, 2, 0, 0], [1, 5, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]])
NAN = math.nan


def test_iou_is_intersection_over_union():
    expected = [6 / 9, 5 / 10, 0 / 2, NAN]
    np.testing.assert_array_equal(scores.class_iou(MATRIX), expected)


def test_dice_is_twice_the_intersection_over_the_sum_of_both():
    np.testing.assert_array_equal(scores.class_dice(MATRIX), [12 / 15, 10 / 15, 0 / 2, NAN])


def test_recall_is_the_share_of_the_truth_that_is_found():
    np.testing.assert_array_equal(scores.class_recall(MATRIX), [6 / 8, 5 / 6, 0 / 2, NAN])


def test_precision_of_a_class_never_predicted_is_nan():
    np.testing.assert_array_equal(scores.class_precision(MATRIX), [6 / 7, 5 / 9, NAN, NAN])


def test_a_class_that_is_only_predicted_is_present_with_iou_zero_and_without_recall():
    matrix = np.array([[3, 1], [0, 0]])
    assert scores.class_iou(matrix)[1] == 0
    assert math.isnan(scores.class_recall(matrix)[1])
    assert scores.class_precision(matrix)[1] == 0
    assert scores.mean_iou(matrix) == pytest.approx((3 / 4 + 0) / 2)


def test_the_mean_leaves_an_absent_class_out():
    assert scores.mean_iou(MATRIX) == pytest.approx((6 / 9 + 1 / 2 + 0) / 3)
    assert scores.mean_dice(MATRIX) == pytest.approx((12 / 15 + 10 / 15 + 0) / 3)


def test_the_mean_of_all_classes_has_zero_for_an_absent_class():
    assert scores.mean_iou_all_classes(MATRIX) == pytest.approx((6 / 9 + 1 / 2) / 4)


def test_the_foreground_mean_leaves_background_out():
    assert scores.mean_iou_foreground(MATRIX) == pytest.approx((1 / 2 + 0) / 2)


def test_pixel_accuracy_is_the_share_of_correct_pixels():
    assert scores.pixel_accuracy(MATRIX) == pytest.approx(11 / 16)


def test_iou_counts_false_predictions_on_background():
    # if background were ignored in the truth, IoU would equal recall
    with_background = np.array([[0, 90], [0, 10]])
    assert scores.class_iou(with_background)[1] == 10 / 100
    assert scores.class_recall(with_background)[1] == 1


def test_the_summary_has_every_class_with_a_score_and_counts_absent_classes():
    result = scores.summary(MATRIX, NAMES)
    assert result["iou"] == {"background": 6 / 9, "cat": 1 / 2, "dog": 0.0}
    assert list(result["precision"]) == ["background", "cat"]
    assert (result["present_classes"], result["absent_classes"], result["pixels"]) == (3, 1, 16)
    json.dumps(result, allow_nan=False)


def test_the_summary_of_no_pixels_has_no_score_and_no_nan():
    result = scores.summary(np.zeros((2, 2), int), ["background", "cat"])
    assert result["iou"] == {}
    assert "mean_iou" not in result
    assert (result["absent_classes"], result["pixels"]) == (2, 0)
    json.dumps(result, allow_nan=False)


def test_the_summary_has_no_lists_because_dvc_drops_them():
    for value in scores.summary(MATRIX, NAMES).values():
        assert isinstance(value, int | float | dict)


def test_the_number_of_class_names_must_equal_the_size_of_the_matrix():
    with pytest.raises(ValueError, match="zip"):
        scores.summary(MATRIX, ["background"])


PIXELS = st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.integers(0, 3)), min_size=1, max_size=40)


def tensors(pixels: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Target and pred of (target, pred) pairs, and their confusion matrix."""
    target, pred = np.array(pixels, np.int64).T
    return torch.from_numpy(target), torch.from_numpy(pred), confusion_matrix(target, pred, 4, 255)


@settings(max_examples=100, deadline=None)
@given(PIXELS)
def test_scores_equal_those_of_torchmetrics_where_they_are_defined(pixels):
    target, pred, matrix = tensors(pixels)
    options = {"num_classes": 4, "ignore_index": 255, "average": "none"}
    for ours, theirs in (
        (scores.class_iou, tm.multiclass_jaccard_index),
        (scores.class_dice, tm.multiclass_f1_score),
        (scores.class_recall, tm.multiclass_recall),
        (scores.class_precision, tm.multiclass_precision),
    ):
        values = ours(matrix)
        defined = ~np.isnan(values)
        np.testing.assert_allclose(values[defined], theirs(pred, target, **options).numpy()[defined], rtol=1e-6)
    if matrix.any():
        accuracy = tm.multiclass_accuracy(pred, target, num_classes=4, ignore_index=255, average="micro")
        assert scores.pixel_accuracy(matrix) == pytest.approx(accuracy.item())


@settings(max_examples=100, deadline=None)
@given(PIXELS)
def test_scores_equal_those_of_smp_with_nan_for_zero_over_zero(pixels):
    target, pred, matrix = tensors(pixels)
    counts = smp.metrics.get_stats(pred[None], target[None], mode="multiclass", num_classes=4, ignore_index=255)
    for ours, theirs in (
        (scores.class_iou, smp.metrics.iou_score),
        (scores.class_dice, smp.metrics.f1_score),
        (scores.class_recall, smp.metrics.recall),
        (scores.class_precision, smp.metrics.precision),
    ):
        expected = theirs(*counts, reduction="none", zero_division=math.nan)[0].numpy()
        np.testing.assert_allclose(ours(matrix), expected, rtol=1e-6, equal_nan=True)
