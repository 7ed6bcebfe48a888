"""What training minimises: cross-entropy and Dice over the labelled pixels of a batch, and the weights of classes."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segpipe.classes import IGNORE_INDEX
from segpipe.training.recipe import ClassWeights

MAX_CLASS_WEIGHT = 10.0
_SMOOTH_PX = 1.0  # added to both sides of Dice's fraction, so that tiny objects do not make it jump


def segmentation_loss(
    logits: Tensor, target: Tensor, class_weights: Tensor | None, ce_weight: float, dice_weight: float
) -> Tensor:
    """ce_weight * cross-entropy + dice_weight * Dice over one batch; 0 (with a gradient of 0) if all is ignored.

    logits: float32 (N, C, h, w); target: uint8 or int64 (N, h, w), class_index or IGNORE_INDEX; class_weights: float32
    (C,) for the cross-entropy or None.
    """
    labelled = target != IGNORE_INDEX
    truth = torch.where(labelled, target, 0).long()  # any class will do where the pixel does not count
    log_p = F.log_softmax(logits, dim=1)
    log_p_truth = log_p.gather(1, truth.unsqueeze(1)).squeeze(1)
    loss = ce_weight * _cross_entropy(log_p_truth, truth, labelled, class_weights)
    return loss + dice_weight * _dice(log_p, log_p_truth, truth, labelled) if dice_weight else loss


def _cross_entropy(log_p_truth: Tensor, truth: Tensor, labelled: Tensor, class_weights: Tensor | None) -> Tensor:
    """Mean negative log likelihood of the labelled pixels, each weighted by its class; 0 without any.

    All (N, h, w): log_p_truth the true class's log probability, truth its index, labelled bool.
    """
    weight = labelled.to(log_p_truth.dtype) if class_weights is None else class_weights[truth] * labelled
    total = weight.sum()
    return -(log_p_truth * weight).sum() / torch.where(total > 0, total, 1.0)


def _dice(log_p: Tensor, log_p_truth: Tensor, truth: Tensor, labelled: Tensor) -> Tensor:
    """1 - mean soft Dice over the classes present in the batch, its pixels pooled; 0 without any.

    log_p: (N, C, h, w), the others (N, h, w).
    Source: Milletari et al., V-Net, 3DV 2016, section 3, without the squares.
    """
    predicted = (log_p.exp() * labelled.unsqueeze(1)).sum(dim=(0, 2, 3))
    shared = _sums_by_class(log_p_truth.exp() * labelled, truth, log_p.shape[1])
    true = _sums_by_class(labelled.to(log_p.dtype), truth, log_p.shape[1])
    score = (2 * shared + _SMOOTH_PX) / (predicted + true + _SMOOTH_PX)
    present = true > 0
    return ((1 - score) * present).sum() / present.sum().clamp(min=1)


def _sums_by_class(values: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """Sum of `values` over the pixels of each class, (C,); values and truth (N, h, w).

    Each row of pixels is summed by itself first: float32 that grows by ones stops growing at 2**24.
    """
    rows = truth.shape[0] * truth.shape[1]
    bins = torch.arange(rows, device=truth.device).unsqueeze(1) * num_classes + truth.view(rows, -1)
    sums = values.new_zeros(rows * num_classes).index_add(0, bins.flatten(), values.flatten())
    return sums.view(rows, num_classes).sum(dim=0)


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
