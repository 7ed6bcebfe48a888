"""What training minimises: a weighted sum of losses over the labelled pixels of a batch.

Each is 0, with a gradient of 0, for a batch without any label; classes that training never showed take no part.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from segpipe.data.classes import IGNORE_INDEX
from segpipe.train.recipe import Loss

BORDER_PX = 3  # a pixel is near a border if another class is at most so far away, along either axis
_SMOOTH_PX = 1.0  # added to both sides of Dice's fraction, so that tiny objects do not make it jump
_FOCUS = 2.0  # focal loss's gamma
_HARD_P = 0.7  # a pixel whose own class is less likely than this is a hard one
_HARD_SHARE = 16  # and one pixel in so many always counts as hard


@dataclass(frozen=True, slots=True)
class Pixels:
    """A batch as the losses see it; C classes.

    log_p: float32 (N, C, h, w) log probabilities; the others (N, h, w): truth int64 class_index, any where there is no
    label; labelled bool; log_p_truth float32, the true class's; surprise float32, the negative log likelihood,
    smoothed; weight float32, 0 where there is no label, else the class's weight.
    """

    log_p: Tensor
    truth: Tensor
    labelled: Tensor
    log_p_truth: Tensor
    surprise: Tensor
    weight: Tensor


@dataclass(frozen=True, slots=True)
class Criterion:
    """Call it with (logits float32 (N, C, h, w), target uint8 or int64 (N, h, w), class_index or IGNORE_INDEX).

    loss: how much each part counts; seen: bool (C,), classes that training shows; class_weights: float32 (C,) or None;
    label_smoothing: part of the truth that is spread over all classes seen, for all parts made of likelihoods.
    Source of the smoothing: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.
    """

    loss: Loss
    seen: Tensor
    class_weights: Tensor | None = None
    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of one batch, a scalar."""
        pixels = self._pixels(logits, target)
        parts = [weight * PARTS[name](pixels) for name, weight in self.loss.model_dump().items() if weight]
        return torch.stack(parts).sum()

    def _pixels(self, logits: Tensor, target: Tensor) -> Pixels:
        labelled = target != IGNORE_INDEX
        truth = torch.where(labelled, target, 0).long()  # any class will do where the pixel does not count
        log_p = F.log_softmax(logits, dim=1)
        log_p_truth = log_p.gather(1, truth.unsqueeze(1)).squeeze(1)
        weight = labelled.to(log_p.dtype) if self.class_weights is None else self.class_weights[truth] * labelled
        return Pixels(log_p, truth, labelled, log_p_truth, self._surprise(log_p, log_p_truth), weight)

    def _surprise(self, log_p: Tensor, log_p_truth: Tensor) -> Tensor:
        if not self.label_smoothing:
            return -log_p_truth
        spread = torch.where(self.seen.view(1, -1, 1, 1), log_p, 0).sum(dim=1) / self.seen.sum()
        return -torch.lerp(log_p_truth, spread, self.label_smoothing)


def cross_entropy(pixels: Pixels) -> Tensor:
    """Mean negative log likelihood, each pixel weighted by its class."""
    return _mean(pixels.surprise, pixels.weight)


def focal(pixels: Pixels) -> Tensor:
    """Cross-entropy in which a pixel counts the less the surer it is.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5, over softmax probabilities.
    """
    doubt = 1 - pixels.log_p_truth.exp()
    return _mean(doubt**_FOCUS * pixels.surprise, pixels.weight)


def ohem(pixels: Pixels) -> Tensor:
    """Cross-entropy of the hard pixels: those less sure than _HARD_P, and always the least sure of all.

    Source: Shrivastava et al., Training Region-based Object Detectors with Online Hard Example Mining, CVPR 2016; per
    pixel as in Yuan et al., OCNet, 2018, section 4.1.
    """
    p = torch.where(pixels.labelled, pixels.log_p_truth.detach().exp(), 2.0)  # 2: surer than any
    always = p.flatten().sort().values[p.numel() // _HARD_SHARE]
    return _mean(pixels.surprise, pixels.weight * (p <= always.clamp(min=_HARD_P)))


def boundary(pixels: Pixels) -> Tensor:
    """Cross-entropy of the pixels within BORDER_PX of another class; 0 where one class fills all.

    Source: Ronneberger et al., U-Net, MICCAI 2015, equation 2, its weight near borders as a step.
    """
    return _mean(pixels.surprise, pixels.weight * _near_border(pixels.truth, pixels.labelled))


def dice(pixels: Pixels) -> Tensor:
    """1 - mean soft Dice over the classes present in the batch, its pixels pooled.

    Source: Milletari et al., V-Net, 3DV 2016, section 3, without the squares.
    """
    num_classes = pixels.log_p.shape[1]
    predicted = (pixels.log_p.exp() * pixels.labelled.unsqueeze(1)).sum(dim=(0, 2, 3))
    shared = _sums_by_class(pixels.log_p_truth.exp() * pixels.labelled, pixels.truth, num_classes)
    true = _sums_by_class(pixels.labelled.to(pixels.log_p.dtype), pixels.truth, num_classes)
    score = (2 * shared + _SMOOTH_PX) / (predicted + true + _SMOOTH_PX)
    present = true > 0
    return ((1 - score) * present).sum() / present.sum().clamp(min=1)


def lovasz(pixels: Pixels) -> Tensor:
    """Lovász-softmax, mean over the classes present in the batch, its pixels pooled: a smooth 1 - IoU.

    Source: Berman et al., The Lovász-Softmax Loss, CVPR 2018, equation 9 and algorithm 1.
    """
    present = pixels.truth[pixels.labelled].unique().tolist()
    losses = [_lovasz_of_class(pixels, class_index) for class_index in present]
    return torch.stack(losses).mean() if losses else pixels.log_p.sum() * 0


PARTS: dict[str, Callable[[Pixels], Tensor]] = {
    "cross_entropy": cross_entropy,
    "dice": dice,
    "focal": focal,
    "lovasz": lovasz,
    "ohem": ohem,
    "boundary": boundary,
}


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum()
    return (values * weight).sum() / torch.where(total > 0, total, 1.0)


def _near_border(truth: Tensor, labelled: Tensor) -> Tensor:
    """bool (N, h, w): within BORDER_PX, another class is labelled. Pixels without a label are no class."""
    side = 2 * BORDER_PX + 1
    classes = truth.float().unsqueeze(1)
    shown = labelled.unsqueeze(1)
    largest = F.max_pool2d(torch.where(shown, classes, -1.0), side, 1, BORDER_PX)
    smallest = -F.max_pool2d(torch.where(shown, -classes, -1e6), side, 1, BORDER_PX)
    return (largest > smallest).squeeze(1) & labelled


def _lovasz_of_class(pixels: Pixels, class_index: int) -> Tensor:
    """A pixel that does not count has no error: it comes last and changes nothing."""
    p = pixels.log_p[:, class_index].exp()
    # Counted in integers: exact, and a GPU sums them in any order alike.
    inside = ((pixels.truth == class_index) & pixels.labelled).long().flatten()
    errors = ((inside - p.flatten()).abs() * pixels.labelled.flatten()).sort(descending=True, stable=True)
    inside = inside[errors.indices]
    intersection = inside.sum() - inside.cumsum(0)
    jaccard = 1 - intersection / (inside.sum() + (1 - inside).cumsum(0))
    return errors.values @ torch.cat([jaccard[:1], jaccard.diff()]).to(p.dtype)


def _sums_by_class(values: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """Sum of `values` over the pixels of each class, (C,); values and truth (N, h, w).

    Each row of pixels is summed by itself first: float32 that grows by ones stops growing at 2**24.
    """
    rows = truth.shape[0] * truth.shape[1]
    bins = torch.arange(rows, device=truth.device).unsqueeze(1) * num_classes + truth.view(rows, -1)
    sums = values.new_zeros(rows * num_classes).index_add(0, bins.flatten(), values.flatten())
    return sums.view(rows, num_classes).sum(dim=0)
