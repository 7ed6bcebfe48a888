"""Random numbers of a training: the order of images, seeds, and crop positions that favour rare classes.

Every draw is a function of the seed, the epoch and the step. No generator has to be saved, so a training that is
resumed at any step draws the same numbers.
"""

import numpy as np
import torch
from torch import Generator, Tensor

# Each purpose has a separate stream of random numbers.
ORDER, AUGMENT, NETWORK = range(3)


def seed_for(seed: int, purpose: int, epoch: int, step: int = 0) -> int:
    """A 63-bit seed for one step of the training. Source: numpy.random.SeedSequence.

    purpose: ORDER, AUGMENT or NETWORK.
    """
    return int(np.random.SeedSequence([seed, purpose, epoch, step]).generate_state(1, np.uint64)[0] >> 1)


def generator(seed: int, purpose: int, epoch: int, step: int = 0) -> torch.Generator:
    """A generator seeded by `seed_for`. It is on the CPU: all devices draw the same numbers."""
    return torch.Generator().manual_seed(seed_for(seed, purpose, epoch, step))


def epoch_order(count: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """The images of an epoch in random order: int64 (steps, batch_size), positions 0..count-1.

    Batch norm needs more than one image. The last batch is therefore filled up from the start of the order, and a data
    set smaller than a batch is repeated.

    >>> order = epoch_order(count=5, batch_size=2, seed=0, epoch=1)
    >>> order.shape, sorted(order.ravel()[:5].tolist()), bool(order[2, 1] == order[0, 0])
    ((3, 2), [0, 1, 2, 3, 4], True)
    """
    positions = np.random.default_rng(seed_for(seed, ORDER, epoch)).permutation(count)
    return np.resize(positions, (-(-count // batch_size), batch_size))


def class_rarity(class_pixels: np.ndarray) -> Tensor:
    """All pixels divided by the pixels of each class: float64 (C,), 0 for a class that does not occur.

    class_pixels: int64 (N, C), pixels per training image and class.

    >>> class_rarity(np.array([[6, 1, 0], [2, 1, 0]])).tolist()
    [1.25, 5.0, 0.0]
    """
    totals = torch.from_numpy(class_pixels.sum(axis=0).astype(np.float64))
    return torch.where(totals > 0, totals.sum() / totals.clamp(min=1), 0.0)


def focus_points(labels: Tensor, rarity: Tensor, share: float, generator: Generator) -> Tensor:
    """A point that the crop of each image should show, for about `share` of the images: float64 (N, 2), else NaN.

    The point is a pixel of a class in the image. A class is chosen with a probability proportional to its rarity.
    Points are (x, y) in the -1..1 coordinates of torch.nn.functional.affine_grid.
    labels: uint8 (N, H, W) on the CPU; rarity: float64 (C,), from `class_rarity`; share: 0..1.
    """
    uniform = torch.rand(3, len(labels), generator=generator, dtype=torch.float64)
    points = torch.full((len(labels), 2), torch.nan, dtype=torch.float64)
    for i in torch.nonzero(uniform[0] < share).flatten().tolist():
        pixels = torch.bincount(labels[i].flatten(), minlength=len(rarity))[: len(rarity)]
        cumulative = (rarity * (pixels > 0)).cumsum(0)
        if cumulative[-1] > 0:
            class_index = int(torch.searchsorted(cumulative, uniform[1, i] * cumulative[-1], right=True))
            points[i] = _pixel_centre(labels[i], class_index, float(uniform[2, i]))
    return points


def _pixel_centre(label_map: Tensor, class_index: int, uniform: float) -> Tensor:
    """The centre (x, y) in -1..1 of one pixel of the class. uniform: in 0..1, selects the pixel."""
    height, width = label_map.shape
    pixels = torch.nonzero(label_map.flatten() == class_index).flatten()
    y, x = divmod(int(pixels[int(uniform * len(pixels))]), width)
    return torch.tensor([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dtype=torch.float64)
