"""What a training tells while it goes on."""

from dataclasses import dataclass

import numpy as np

from segpipe.train.history import EpochRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """What single steps gave, one after another. first: the first one's number, from 1 over the whole training; losses:
    NaN where nothing was labelled; lrs: the decoder's learning rates."""

    first: int
    losses: tuple[float, ...]
    lrs: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """What the network makes of the pictures of `shown.validation_positions` after an epoch: uint8 (n, h, w)."""

    epoch: int
    preds: np.ndarray


Event = Steps | Predictions | EpochRecord
