import json
import math

import numpy as np
import pytest

from segpipe.evaluate import scores

NAMES = ("background", "cat", "dog", "bird")
# truth:     background 8 px, cat 6, dog 2, bird none
# predicted: background 7, cat 9, dog and bird none
MATRIX = np.array([[6, 2, 0, 0], [1, 5, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]])
NAN = math.nan


def test_iou_is_intersection_over_union():
    expected = [6 / 9, 5 / 10, 0 / 2, NAN]
    np.testing.assert_array_equal(scores.class_iou(MATRIX), expected)


def test_dice_is_twice_the_hits_over_both_sides():
    np.testing.assert_array_equal(scores.class_dice(MATRIX), [12 / 15, 10 / 15, 0 / 2, NAN])


def test_recall_asks_how_much_of_the_truth_was_found():
    np.testing.assert_array_equal(scores.class_recall(MATRIX), [6 / 8, 5 / 6, 0 / 2, NAN])


def test_precision_of_a_class_never_predicted_does_not_exist():
    np.testing.assert_array_equal(scores.class_precision(MATRIX), [6 / 7, 5 / 9, NAN, NAN])


def test_a_class_only_predicted_counts_as_present_with_iou_zero_and_has_no_recall():
    matrix = np.array([[3, 1], [0, 0]])
    assert scores.class_iou(matrix)[1] == 0
    assert math.isnan(scores.class_recall(matrix)[1])
    assert scores.class_precision(matrix)[1] == 0
    assert scores.mean_iou(matrix) == pytest.approx((3 / 4 + 0) / 2)


def test_an_absent_class_is_left_out_of_the_mean():
    assert scores.mean_iou(MATRIX) == pytest.approx((6 / 9 + 1 / 2 + 0) / 3)
    assert scores.mean_dice(MATRIX) == pytest.approx((12 / 15 + 10 / 15 + 0) / 3)


def test_over_all_classes_an_absent_one_counts_as_zero():
    assert scores.mean_iou_all_classes(MATRIX) == pytest.approx((6 / 9 + 1 / 2) / 4)


def test_the_foreground_mean_leaves_background_out():
    assert scores.mean_iou_foreground(MATRIX) == pytest.approx((1 / 2 + 0) / 2)


def test_pixel_accuracy_is_the_share_of_hits():
    assert scores.pixel_accuracy(MATRIX) == pytest.approx(11 / 16)


def test_ignoring_background_in_truth_would_turn_iou_into_recall():
    # False alarms on background count against IoU as long as background is a class of its own.
    with_background = np.array([[0, 90], [0, 10]])
    assert scores.class_iou(with_background)[1] == 10 / 100
    assert scores.class_recall(with_background)[1] == 1


def test_the_summary_names_every_class_that_has_a_score_and_counts_the_others():
    result = scores.summary(MATRIX, NAMES)
    assert result["iou"] == {"background": 6 / 9, "cat": 1 / 2, "dog": 0.0}
    assert list(result["precision"]) == ["background", "cat"]
    assert (result["present_classes"], result["absent_classes"], result["pixels"]) == (3, 1, 16)
    json.dumps(result, allow_nan=False)


def test_the_summary_of_nothing_has_no_score_and_no_nan():
    result = scores.summary(np.zeros((2, 2), int), ["background", "cat"])
    assert result["iou"] == {}
    assert "mean_iou" not in result
    assert (result["absent_classes"], result["pixels"]) == (2, 0)
    json.dumps(result, allow_nan=False)


def test_only_maps_and_numbers_because_dvc_drops_lists():
    for value in scores.summary(MATRIX, NAMES).values():
        assert isinstance(value, int | float | dict)


def test_class_names_must_fit_the_matrix():
    with pytest.raises(ValueError, match="zip"):
        scores.summary(MATRIX, ["background"])
