"""Random numbers that need no state: every draw is a function of the seed and of where in the training it is made."""

import numpy as np
import torch

# What the numbers are for: two purposes never share a stream.
ORDER, AUGMENT, NETWORK = range(3)


def seed_for(seed: int, purpose: int, epoch: int, step: int = 0) -> int:
    """A 63-bit seed from the run's seed and a place in the training. Source: numpy.random.SeedSequence."""
    return int(np.random.SeedSequence([seed, purpose, epoch, step]).generate_state(1, np.uint64)[0] >> 1)


def generator(seed: int, purpose: int, epoch: int, step: int = 0) -> torch.Generator:
    """A CPU generator that starts at that place, so that every device draws the same numbers."""
    return torch.Generator().manual_seed(seed_for(seed, purpose, epoch, step))


def order(count: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """The epoch's pictures in a random order, batch by batch.

    Returns int64 (steps, batch_size) of positions 0..count-1. Every batch is full: the last one is filled up from the
    start of the same order (and a set smaller than a batch is repeated), so that no batch norm meets a batch of one.
    """
    positions = np.random.default_rng(seed_for(seed, ORDER, epoch)).permutation(count)
    return np.resize(positions, (-(-count // batch_size), batch_size))
