"""What one epoch of training gave."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One epoch; everything but `lr` and the times is None or empty where there was nothing to measure.

    epoch: from 1; step: optimiser steps since the start; complete: False where the budget ended the epoch early;
    train_loss, val_loss: mean over batches; val_miou: 0..1 at the store's size; val_iou: the same by class name, absent
    classes left out; lr: the last step's, of the decoder; images_per_second, seconds: of training, validation_seconds:
    of validation; data_wait_share: 0..1 of `seconds` spent waiting for pictures; all_ignore_batches: steps without one
    labelled pixel; redrawn_crops: crops drawn again because they showed nothing labelled; is_best: best val_miou so
    far; resumed: an earlier process did this epoch, this one tells of it again.
    """

    epoch: int
    step: int
    complete: bool
    train_loss: float | None
    val_loss: float | None
    val_miou: float | None
    val_iou: dict[str, float]
    lr: float
    images_per_second: float
    data_wait_share: float
    seconds: float
    validation_seconds: float
    all_ignore_batches: int
    redrawn_crops: int
    is_best: bool
    resumed: bool = False


def as_json(records: Sequence[EpochRecord]) -> str:
    """The records as one JSON text."""
    return json.dumps([dataclasses.asdict(record) for record in records])


def from_json(text: str) -> list[EpochRecord]:
    """What `as_json` wrote."""
    return [EpochRecord(**entry) for entry in json.loads(text)]
