"""Scores of one confusion matrix, int64 (C, C), rows target, columns pred, with one rule for absent classes.

A score that would be 0/0 is NaN, never 0 or 1: IoU and Dice of a class that is neither in the truth nor in the
prediction (an absent class), recall of a class without truth, precision of a class that is never predicted. `summary`
leaves NaN out. Written by hand because of this rule: torchmetrics replaces 0/0 by 0, segmentation_models_pytorch by 1.
Tests compare with both where the definitions agree.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segpipe.data.classes import BACKGROUND_INDEX


def class_iou(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, float64 (C,), 0..1; NaN for an absent class.

    >>> class_iou(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]]))  # 6 / 9, 1 / 4
    array([0.66666667, 0.25      ,        nan])
    """
    hits, truth, predicted = _counts(matrix)
    return _ratio(hits, truth + predicted - hits)


def class_dice(matrix: np.ndarray) -> np.ndarray:
    """Dice coefficient (F1) of each class, float64 (C,), 0..1; NaN for an absent class.

    >>> class_dice(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]]))  # 2 * 6 / (8 + 7), 2 * 1 / (2 + 3)
    array([0.8, 0.4, nan])
    """
    hits, truth, predicted = _counts(matrix)
    return _ratio(2 * hits, truth + predicted)


def class_recall(matrix: np.ndarray) -> np.ndarray:
    """Share of the true pixels of each class that are found, float64 (C,), 0..1; NaN for a class without truth.

    >>> class_recall(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]]))  # 6 / 8, 1 / 2
    array([0.75, 0.5 ,  nan])
    """
    hits, truth, _ = _counts(matrix)
    return _ratio(hits, truth)


def class_precision(matrix: np.ndarray) -> np.ndarray:
    """Share of the predicted pixels of each class that are right, float64 (C,), 0..1; NaN for a class never predicted.

    >>> class_precision(np.array([[6, 2, 0], [1, 3, 0], [1, 0, 0]]))  # 6 / 8, 3 / 5
    array([0.75, 0.6 ,  nan])
    """
    hits, _, predicted = _counts(matrix)
    return _ratio(hits, predicted)


def present_classes(matrix: np.ndarray) -> np.ndarray:
    """Whether each class occurs in the truth or the prediction, bool (C,).

    >>> present_classes(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]]))
    array([ True,  True, False])
    """
    _, truth, predicted = _counts(matrix)
    return truth + predicted > 0


def mean_iou(matrix: np.ndarray) -> float:
    """mIoU: the mean IoU of the present classes; NaN if no pixel counts.

    >>> mean_iou(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))  # (3 / 4 + 0 / 1) / 2
    0.375
    """
    return _mean_of_present(class_iou(matrix))


def mean_iou_all_classes(matrix: np.ndarray) -> float:
    """The mean IoU of all classes, with 0 for an absent class, as tools without a rule for absent classes report it.

    >>> mean_iou_all_classes(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))  # (3 / 4 + 0 / 1 + 0) / 3
    0.25
    """
    return float(np.nan_to_num(class_iou(matrix)).mean())


def mean_iou_foreground(matrix: np.ndarray) -> float:
    """The mean IoU of the present classes except background; NaN if there is none.

    >>> mean_iou_foreground(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]]))  # 1 / 4
    0.25
    """
    return _mean_of_present(np.delete(class_iou(matrix), BACKGROUND_INDEX))


def mean_dice(matrix: np.ndarray) -> float:
    """The mean Dice coefficient of the present classes; NaN if no pixel counts.

    >>> mean_dice(np.array([[6, 2, 0], [2, 6, 0], [0, 0, 0]]))  # (12 / 16 + 12 / 16) / 2
    0.75
    """
    return _mean_of_present(class_dice(matrix))


def pixel_accuracy(matrix: np.ndarray) -> float:
    """Share of the counted pixels that are right, 0..1; NaN if no pixel counts.

    >>> pixel_accuracy(np.array([[6, 2, 0], [2, 6, 0], [0, 0, 0]]))  # 12 / 16
    0.75
    """
    total = matrix.sum()
    return float(np.trace(matrix) / total) if total else float("nan")


def summary(matrix: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """All scores for a DVC metrics file: numbers, and maps by class name, without lists and NaN.

    `mean_iou` is the project's mIoU (present classes). A score that is NaN is left out.

    >>> summary(np.array([[6, 2], [2, 6]]), ["background", "cat"])["iou"]
    {'background': 0.6, 'cat': 0.6}
    """
    numbers = {
        "mean_iou": mean_iou(matrix),
        "mean_iou_all_classes": mean_iou_all_classes(matrix),
        "mean_iou_foreground": mean_iou_foreground(matrix),
        "mean_dice": mean_dice(matrix),
        "pixel_accuracy": pixel_accuracy(matrix),
    }
    present = present_classes(matrix)
    return {
        **{name: value for name, value in numbers.items() if not np.isnan(value)},
        "iou": _by_name(class_iou(matrix), class_names),
        "dice": _by_name(class_dice(matrix), class_names),
        "recall": _by_name(class_recall(matrix), class_names),
        "precision": _by_name(class_precision(matrix), class_names),
        "present_classes": int(present.sum()),
        "absent_classes": int((~present).sum()),
        "pixels": int(matrix.sum()),
    }


def _counts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correct, true and predicted pixels of each class, int64 (C,) each."""
    return np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    result = np.full(len(whole), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _mean_of_present(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _by_name(values: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(class_names, values, strict=True) if not np.isnan(value)}
