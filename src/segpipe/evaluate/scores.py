"""Scores of one confusion matrix (rows target, columns pred), by one contract.

A score that would be 0/0 is NaN, never 0 or 1: IoU and Dice of a class that neither truth nor prediction holds (an
absent class), recall of a class without truth, precision of a class that is never predicted. `summary` leaves NaN out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segpipe.data.classes import BACKGROUND_INDEX


def class_iou(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union, float64 (C,), 0..1, NaN for an absent class."""
    hits, truth, predicted = _counts(matrix)
    return _ratio(hits, truth + predicted - hits)


def class_dice(matrix: np.ndarray) -> np.ndarray:
    """Dice coefficient (F1), float64 (C,), 0..1, NaN for an absent class."""
    hits, truth, predicted = _counts(matrix)
    return _ratio(2 * hits, truth + predicted)


def class_recall(matrix: np.ndarray) -> np.ndarray:
    """Share of a class's true pixels that are found, float64 (C,), 0..1, NaN for a class without truth."""
    hits, truth, _ = _counts(matrix)
    return _ratio(hits, truth)


def class_precision(matrix: np.ndarray) -> np.ndarray:
    """Share of a class's predicted pixels that are right, float64 (C,), 0..1, NaN for a class never predicted."""
    hits, _, predicted = _counts(matrix)
    return _ratio(hits, predicted)


def present_classes(matrix: np.ndarray) -> np.ndarray:
    """Which classes occur in truth or prediction, bool (C,)."""
    _, truth, predicted = _counts(matrix)
    return truth + predicted > 0


def mean_iou(matrix: np.ndarray) -> float:
    """mIoU: mean IoU over the classes that occur in truth or prediction; NaN if no pixel counts."""
    return _mean_of_present(class_iou(matrix))


def mean_iou_all_classes(matrix: np.ndarray) -> float:
    """Mean IoU over all classes, an absent class counting as 0: what tools without a rule for absence report."""
    return float(np.nan_to_num(class_iou(matrix)).mean())


def mean_iou_foreground(matrix: np.ndarray) -> float:
    """Mean IoU over the present classes other than background; NaN if there is none."""
    return _mean_of_present(np.delete(class_iou(matrix), BACKGROUND_INDEX))


def mean_dice(matrix: np.ndarray) -> float:
    """Mean Dice over the classes that occur in truth or prediction; NaN if no pixel counts."""
    return _mean_of_present(class_dice(matrix))


def pixel_accuracy(matrix: np.ndarray) -> float:
    """Share of the counted pixels that are right, 0..1; NaN if no pixel counts."""
    total = matrix.sum()
    return float(np.trace(matrix) / total) if total else float("nan")


def summary(matrix: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """All scores, ready for a DVC metrics file: numbers and maps keyed by class name, no list, no NaN.

    `mean_iou` is what the project calls mIoU (present classes). A score that does not exist is left out.
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
    """Hits, true pixels and predicted pixels of each class, int64 (C,)."""
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
