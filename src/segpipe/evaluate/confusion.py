"""The confusion matrix: the only thing that scores are computed from."""

import numpy as np

_CHUNK = 1 << 20  # pixels counted at once: in the cache, and large pictures take no more memory than small ones


def confusion_matrix(target: np.ndarray, pred: np.ndarray, num_classes: int, ignore_index: int) -> np.ndarray:
    """Count pixels by (target class, predicted class).

    target: integer, any shape, class_index or ignore_index; pred: integer, same shape, class_index.
    Returns int64 (num_classes, num_classes), rows target. Pixels whose target is ignore_index are not counted.
    Raises ValueError if shapes differ, any other value lies outside 0..num_classes-1, or ignore_index lies inside.
    Source: Long et al., Fully Convolutional Networks, CVPR 2015, section 5.
    """
    if target.shape != pred.shape:
        raise ValueError(f"target is {target.shape}, pred is {pred.shape}; they must be equal")
    if 0 <= ignore_index < num_classes:
        raise ValueError(f"ignore_index {ignore_index} is one of the {num_classes} classes")
    target, pred = target.ravel(), pred.ravel()
    matrix = np.zeros(num_classes**2, np.int64)
    for start in range(0, max(1, target.size), _CHUNK):
        chunk = slice(start, start + _CHUNK)
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
        raise ValueError(f"{name} holds values {values.min()}..{values.max()} outside 0..{num_classes - 1}")
