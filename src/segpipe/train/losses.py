"""The training loss: a weighted sum of losses over the labelled pixels of a batch, and the weights of the classes.

Shapes: logits float32 (N, C, h, w); target uint8 or int64 (N, h, w), class_index or IGNORE_INDEX. Every loss is a
float32 scalar, 0 or more; for a batch without labels it is 0 with gradient 0. Classes that do not occur in training are
left out.

Not segmentation_models_pytorch.losses: its Dice averages over absent classes too, its Focal has one sigmoid per class,
and its Lovász counts in float32 and returns no scalar for a batch without labels. tests/train/test_losses.py compares
the losses where the definitions agree.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segpipe.data.classes import IGNORE_INDEX
from segpipe.train.recipe import ClassWeights, Loss

BORDER_PX = 3  # a pixel is near a border if another class is at most this far away along either axis
MAX_CLASS_WEIGHT = 10.0
_DICE_SMOOTH_PX = 1.0  # added to both sides of Dice's fraction: a tiny object changes the loss smoothly
_FOCAL_GAMMA = 2.0
_HARD_P = 0.7  # a pixel is hard if its true class has a lower probability
_HARD_SHARE = 16  # at least one pixel in 16 counts as hard


@dataclass(frozen=True, slots=True)
class PixelTerms:
    """The terms of a batch that the losses share; C classes."""

    log_p: Tensor  # float32 (N, C, h, w), log probabilities
    truth: Tensor  # int64 (N, h, w), class_index; 0 where unlabelled
    labelled: Tensor  # bool (N, h, w)
    log_p_truth: Tensor  # float32 (N, h, w), log probability of the true class
    nll: Tensor  # float32 (N, h, w), negative log likelihood with label smoothing
    weight: Tensor  # float32 (N, h, w), weight of the true class; 0 where unlabelled


@dataclass(frozen=True, slots=True)
class Criterion:
    """A loss function: call it with (logits, target).

    Source of label smoothing: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.
    """

    loss: Loss  # the weight of each loss of LOSSES
    seen: Tensor  # bool (C,), the classes that occur in training
    class_weights: Tensor | None = None  # float32 (C,), for the losses based on likelihood
    label_smoothing: float = 0.0  # share of the truth spread over the seen classes, for the same losses

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, a scalar."""
        terms = self._terms(logits, target)
        weights = self.loss.model_dump()
        return torch.stack([weight * LOSSES[name](terms) for name, weight in weights.items() if weight]).sum()

    def _terms(self, logits: Tensor, target: Tensor) -> PixelTerms:
        labelled = target != IGNORE_INDEX
        truth = torch.where(labelled, target, 0).long()  # class 0 stands for "unlabelled": its weight is 0
        log_p = F.log_softmax(logits, dim=1)
        log_p_truth = log_p.gather(1, truth.unsqueeze(1)).squeeze(1)
        weight = labelled.to(log_p.dtype) if self.class_weights is None else self.class_weights[truth] * labelled
        return PixelTerms(log_p, truth, labelled, log_p_truth, self._nll(log_p, log_p_truth), weight)

    def _nll(self, log_p: Tensor, log_p_truth: Tensor) -> Tensor:
        if not self.label_smoothing:
            return -log_p_truth
        mean = torch.where(self.seen.view(1, -1, 1, 1), log_p, 0).sum(dim=1) / self.seen.sum()
        return -torch.lerp(log_p_truth, mean, self.label_smoothing)


def cross_entropy(terms: PixelTerms) -> Tensor:
    """Mean negative log likelihood, each pixel weighted by its class."""
    return _weighted_mean(terms.nll, terms.weight)


def focal(terms: PixelTerms) -> Tensor:
    """Cross-entropy in which a pixel counts less, the more certain its prediction is.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5, over softmax probabilities.
    """
    uncertainty = 1 - terms.log_p_truth.exp()
    return _weighted_mean(uncertainty**_FOCAL_GAMMA * terms.nll, terms.weight)


def ohem(terms: PixelTerms) -> Tensor:
    """Cross-entropy of the hard pixels: those below probability _HARD_P, and at least one in _HARD_SHARE.

    Source: Shrivastava et al., Training Region-based Object Detectors with Online Hard Example Mining, CVPR 2016; per
    pixel as in Yuan et al., OCNet, 2018, section 4.1.
    """
    p = torch.where(terms.labelled, terms.log_p_truth.detach().exp(), 2.0)  # 2: more than any probability
    threshold = p.flatten().sort().values[p.numel() // _HARD_SHARE].clamp(min=_HARD_P)
    return _weighted_mean(terms.nll, terms.weight * (p <= threshold))


def boundary(terms: PixelTerms) -> Tensor:
    """Cross-entropy of the pixels within BORDER_PX of another class; 0 if there is only one class.

    Source: Ronneberger et al., U-Net, MICCAI 2015, equation 2, with a step as the weight near borders.
    """
    return _weighted_mean(terms.nll, terms.weight * _is_near_border(terms.truth, terms.labelled))


def dice(terms: PixelTerms) -> Tensor:
    """1 - mean soft Dice over the classes present in the batch; the pixels of the batch are pooled.

    Source: Milletari et al., V-Net, 3DV 2016, section 3, without the squares.
    """
    num_classes = terms.log_p.shape[1]
    predicted = (terms.log_p.exp() * terms.labelled.unsqueeze(1)).sum(dim=(0, 2, 3))
    shared = _sum_by_class(terms.log_p_truth.exp() * terms.labelled, terms.truth, num_classes)
    true = _sum_by_class(terms.labelled.to(terms.log_p.dtype), terms.truth, num_classes)
    score = (2 * shared + _DICE_SMOOTH_PX) / (predicted + true + _DICE_SMOOTH_PX)
    present = true > 0
    return ((1 - score) * present).sum() / present.sum().clamp(min=1)


def lovasz(terms: PixelTerms) -> Tensor:
    """Lovász-softmax, a smooth 1 - IoU: mean over the classes present in the batch; the pixels are pooled.

    Source: Berman et al., The Lovász-Softmax Loss, CVPR 2018, equation 9 and algorithm 1.
    """
    present = terms.truth[terms.labelled].unique().tolist()
    losses = [_lovasz_of_class(terms, class_index) for class_index in present]
    return torch.stack(losses).mean() if losses else terms.log_p.sum() * 0


LOSSES: dict[str, Callable[[PixelTerms], Tensor]] = {
    "cross_entropy": cross_entropy,
    "dice": dice,
    "focal": focal,
    "lovasz": lovasz,
    "ohem": ohem,
    "boundary": boundary,
}


def class_weights(method: ClassWeights, class_pixels: np.ndarray) -> np.ndarray | None:
    """Class weights from the class frequencies in training: float32 (C,), at most MAX_CLASS_WEIGHT; None for "none".

    class_pixels: int64 (N, C), pixels per training image and class. A class that does not occur has weight 0.

    >>> class_weights("median_frequency", np.array([[50, 50, 0], [50, 25, 25]])).tolist()
    [0.75, 1.0, 1.5]
    """
    occurs = class_pixels.sum(axis=0) > 0
    if method == "none" or not occurs.any():
        return None
    weights = np.zeros(len(occurs))
    rule = _median_frequency if method == "median_frequency" else _effective_number
    weights[occurs] = rule(class_pixels[:, occurs].astype(np.float64))
    return np.minimum(weights, MAX_CLASS_WEIGHT).astype(np.float32)


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum()
    return (values * weight).sum() / torch.where(total > 0, total, 1.0)


def _is_near_border(truth: Tensor, labelled: Tensor) -> Tensor:
    """bool (N, h, w): a pixel of another class is within BORDER_PX. Unlabelled pixels have no class."""
    side = 2 * BORDER_PX + 1
    classes = truth.float().unsqueeze(1)
    mask = labelled.unsqueeze(1)
    largest = F.max_pool2d(torch.where(mask, classes, -1.0), side, 1, BORDER_PX)
    smallest = -F.max_pool2d(torch.where(mask, -classes, -1e6), side, 1, BORDER_PX)
    return (largest > smallest).squeeze(1) & labelled


def _lovasz_of_class(terms: PixelTerms, class_index: int) -> Tensor:
    """An unlabelled pixel has error 0: it is sorted last and changes nothing."""
    p = terms.log_p[:, class_index].exp()
    # Counted in integers: the sums are exact, in any order of additions on a GPU.
    inside = ((terms.truth == class_index) & terms.labelled).long().flatten()
    errors = ((inside - p.flatten()).abs() * terms.labelled.flatten()).sort(descending=True, stable=True)
    inside = inside[errors.indices]
    intersection = inside.sum() - inside.cumsum(0)
    jaccard = 1 - intersection / (inside.sum() + (1 - inside).cumsum(0))
    return errors.values @ torch.cat([jaccard[:1], jaccard.diff()]).to(p.dtype)


def _sum_by_class(values: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """The sum of `values` over the pixels of each class, (C,); values, truth: (N, h, w).

    Each row of pixels is summed separately first: a float32 sum that grows by ones stops growing at 2**24.
    """
    rows = truth.shape[0] * truth.shape[1]
    bins = torch.arange(rows, device=truth.device).unsqueeze(1) * num_classes + truth.view(rows, -1)
    sums = values.new_zeros(rows * num_classes).index_add(0, bins.flatten(), values.flatten())
    return sums.view(rows, num_classes).sum(dim=0)


def _median_frequency(class_pixels: np.ndarray) -> np.ndarray:
    """The median frequency divided by the frequency of each class.

    The frequency of a class is its share of the pixels of the images that show it.
    Source: Eigen and Fergus, Predicting Depth, Surface Normals and Semantic Labels, ICCV 2015, section 6.3.2.
    """
    image_px = ((class_pixels > 0) * class_pixels.sum(axis=1, keepdims=True)).sum(axis=0)
    frequency = class_pixels.sum(axis=0) / image_px
    return np.median(frequency) / frequency


def _effective_number(class_pixels: np.ndarray) -> np.ndarray:
    """1 / (effective number of pixels), scaled so that the mean pixel has weight 1.

    The volume N is the pixel count of the median class: classes above it have about equal weights, rarer classes are
    weighted by their frequency.
    Source: Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, equations 2 and 5.
    """
    pixels = class_pixels.sum(axis=0)
    volume = max(float(np.median(pixels)), 2.0)
    weights = 1 / (-np.expm1(pixels * np.log1p(-1 / volume)))
    return weights * pixels.sum() / (weights * pixels).sum()
