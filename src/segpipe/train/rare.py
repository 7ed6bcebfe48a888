"""Where crops are placed so that rare classes are seen more often."""

import numpy as np
import torch
from torch import Generator, Tensor


def rarity(class_pixels: np.ndarray) -> Tensor:
    """How much rarer each class is than all pixels: float64 (C,), 0 where it does not occur.

    class_pixels: int64 (N, C), pixels per training picture and class.
    """
    totals = torch.from_numpy(class_pixels.sum(axis=0).astype(np.float64))
    return torch.where(totals > 0, totals.sum() / totals.clamp(min=1), 0.0)


def aims(labels: Tensor, rarity: Tensor, share: float, generator: Generator) -> Tensor:
    """A point per picture that its crop should show, for about `share` of them; NaN for the others.

    The point is a pixel of a class that the picture shows, the rarer the class in training, the more likely it is.
    labels: uint8 (N, H, W) on the CPU; rarity: float64 (C,). Returns float64 (N, 2), x and y in the -1..1 coordinates
    of torch.nn.functional.affine_grid.
    """
    uniform = torch.rand(3, len(labels), generator=generator, dtype=torch.float64)
    points = torch.full((len(labels), 2), torch.nan, dtype=torch.float64)
    for i in torch.nonzero(uniform[0] < share).flatten().tolist():
        shown = torch.bincount(labels[i].flatten(), minlength=len(rarity))[: len(rarity)]
        chances = (rarity * (shown > 0)).cumsum(0)
        if chances[-1] > 0:
            chosen = int(torch.searchsorted(chances, uniform[1, i] * chances[-1], right=True))
            points[i] = _pixel(labels[i], chosen, float(uniform[2, i]))
    return points


def _pixel(label_map: Tensor, class_index: int, uniform: float) -> Tensor:
    """The centre (x, y) in -1..1 of one of the class's pixels, which one by `uniform` in 0..1."""
    height, width = label_map.shape
    places = torch.nonzero(label_map.flatten() == class_index).flatten()
    y, x = divmod(int(places[int(uniform * len(places))]), width)
    return torch.tensor([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dtype=torch.float64)
