"""How much each class counts in the loss, from how often training shows it."""

import numpy as np

from segpipe.train.recipe import ClassWeights

MAX_CLASS_WEIGHT = 10.0


def class_weights(method: ClassWeights, class_pixels: np.ndarray) -> np.ndarray | None:
    """Weights for the cross-entropy from how often each class occurs in training.

    class_pixels: int64 (N, C), pixels per picture and class. Returns float32 (C,), at most MAX_CLASS_WEIGHT, 0 for a
    class that does not occur; None for "none".
    """
    if method == "none":
        return None
    totals = class_pixels.sum(axis=0).astype(np.float64)
    occurs = totals > 0
    if not occurs.any():
        return None
    weights = np.zeros(len(totals))
    rule = _median_frequency if method == "median_frequency" else _effective_number
    weights[occurs] = rule(class_pixels[:, occurs].astype(np.float64))
    return np.minimum(weights, MAX_CLASS_WEIGHT).astype(np.float32)


def _median_frequency(class_pixels: np.ndarray) -> np.ndarray:
    """Median of the frequencies over each one's own, a frequency being a class's part of the pictures that show it.

    Source: Eigen and Fergus, Predicting Depth, Surface Normals and Semantic Labels, ICCV 2015, section 6.3.2.
    """
    shown_px = ((class_pixels > 0) * class_pixels.sum(axis=1, keepdims=True)).sum(axis=0)
    frequency = class_pixels.sum(axis=0) / shown_px
    return np.median(frequency) / frequency


def _effective_number(class_pixels: np.ndarray) -> np.ndarray:
    """1 / (effective number of pixels), scaled so that the mean pixel has weight 1.

    The volume N is the median class's pixels: classes above it count about alike, rarer ones by their frequency.
    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, equations 2 and 5.
    """
    pixels = class_pixels.sum(axis=0)
    volume = max(float(np.median(pixels)), 2.0)
    weights = 1 / (-np.expm1(pixels * np.log1p(-1 / volume)))
    return weights * pixels.sum() / (weights * pixels).sum()
