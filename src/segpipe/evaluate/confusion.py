"""The confusion matrix, from which all scores are computed.

Written by hand: twenty lines of NumPy instead of a dependency; a test compares them with torchmetrics. `train.epoch`
counts the same with PyTorch, on the device and without the checks.
"""

import numpy as np


def confusion_matrix(
    target: np.ndarray, pred: np.ndarray, num_classes: int, ignore_index: int, chunk_px: int = 1 << 20
) -> np.ndarray:
    """Count pixels by (target class, predicted class).

    target: integer, any shape, class_index or ignore_index.
    pred: integer, same shape, class_index.
    chunk_px: pixels counted at a time: they fit into the cache, and large images need no more memory.
    Returns int64 (num_classes, num_classes), rows target. Pixels whose target is ignore_index are not counted.
    Raises ValueError if shapes differ, if a value is not in 0..num_classes-1, or if ignore_index is a class.
    Source: Long et al., Fully Convolutional Networks, CVPR 2015, section 5.

    >>> confusion_matrix(np.array([0, 0, 1, 255]), np.array([0, 1, 1, 0]), num_classes=2, ignore_index=255)
    array([[1, 1],
           [0, 1]])
    """
    if target.shape != pred.shape:
        raise ValueError(f"target is {target.shape}, pred is {pred.shape}; their shapes must be equal")
    if 0 <= ignore_index < num_classes:
        raise ValueError(f"ignore_index {ignore_index} is one of the {num_classes} classes")
    target, pred = target.ravel(), pred.ravel()
    matrix = np.zeros(num_classes**2, np.int64)
    for start in range(0, max(1, target.size), chunk_px):
        chunk = slice(start, start + chunk_px)
        counted = target[chunk] != ignore_index
        rows = target[chunk][counted]
        _check_range("target", rows, num_classes)
        _check_range("pred", pred[chunk], num_classes)
        matrix += np.bincount(rows.astype(np.intp) * num_classes + pred[chunk][counted], minlength=num_classes**2)
    return matrix.reshape(num_classes, num_classes)


def _check_range(name: str, values: np.ndarray, num_classes: int) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name} is {values.dtype}; class indices are integers")
    if values.size and not 0 <= values.min() <= values.max() < num_classes:
        raise ValueError(f"{name} has values {values.min()}..{values.max()} outside 0..{num_classes - 1}")
