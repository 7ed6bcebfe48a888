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
    num_classes = logits.shape[1]
    flat = logits.permute(0, 2, 3, 1).reshape(-1, num_classes)  # (M, C), a view where the memory is channels_last
    truth = target.reshape(-1).long()
    log_p = F.log_softmax(flat, dim=1)
    loss = ce_weight * cross_entropy(log_p, truth, class_weights)
    return loss + dice_weight * dice(log_p, truth) if dice_weight else loss


def cross_entropy(log_p: Tensor, truth: Tensor, class_weights: Tensor | None) -> Tensor:
    """Mean negative log likelihood of the labelled pixels, each weighted by its class; 0 without any.

    log_p: float32 (M, C); truth: int64 (M,), class_index or IGNORE_INDEX.
    """
    total = F.nll_loss(log_p, truth, class_weights, ignore_index=IGNORE_INDEX, reduction="sum")
    labelled = truth != IGNORE_INDEX
    if class_weights is None:
        return total / labelled.sum().clamp(min=1)
    weight = (class_weights[torch.where(labelled, truth, 0)] * labelled).sum()
    return total / torch.where(weight > 0, weight, 1.0)


def dice(log_p: Tensor, truth: Tensor) -> Tensor:
    """1 - mean soft Dice over the classes present in `truth`, pixels of the batch pooled; 0 without any.

    log_p: float32 (M, C); truth: int64 (M,), class_index or IGNORE_INDEX.
    Source: Milletari et al., V-Net, 3DV 2016, section 3, without the squares.
    """
    labelled = (truth != IGNORE_INDEX).unsqueeze(1)
    # (M, C); IGNORE_INDEX equals no class
    is_class = truth.unsqueeze(1) == torch.arange(log_p.shape[1], device=truth.device)
    p = log_p.exp() * labelled
    shared = (p * is_class).sum(dim=0)
    truth_px = is_class.sum(dim=0)
    score = (2 * shared + _SMOOTH_PX) / (p.sum(dim=0) + truth_px + _SMOOTH_PX)
    present = truth_px > 0
    return ((1 - score) * present).sum() / present.sum().clamp(min=1)


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
