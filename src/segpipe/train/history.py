"""What one epoch of training gave."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.core import csv_files
from segpipe.train.recipe import Ship


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One epoch; everything but `lr` and the times is None or empty where there was nothing to measure.

    epoch: from 1; step: optimiser steps since the start; complete: False where the budget ended the epoch early;
    train_loss, val_loss: mean over batches; val_miou: 0..1 at the store's size; val_iou: the same by class name, absent
    classes left out; lr: the last step's, of the decoder; images_per_second, seconds: of training, validation_seconds:
    of validation; memory_mib: the most that was used so far, of the GPU where there is one; data_wait_share: 0..1 of
    `seconds` spent waiting for pictures; all_ignore_batches: steps without one labelled pixel; redrawn_crops: crops
    drawn again because they showed nothing labelled; is_best: best val_miou so far; resumed: an earlier process did
    this epoch, this one tells of it again.
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
    memory_mib: float
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


def shipped(records: Sequence[EpochRecord], ship: Ship) -> EpochRecord:
    """The epoch whose weights are shipped: the last that was the best so far, or the last of all."""
    return records[-1] if ship == "last" else [record for record in records if record.is_best][-1]


def is_out_of_patience(records: Sequence[EpochRecord], patience: int) -> bool:
    """Whether the last `patience` epochs brought nothing better; never for a patience of 0."""
    return 0 < patience < len(records) and not any(record.is_best for record in records[-patience:])


def summary(records: Sequence[EpochRecord], epochs: int, patience: int, ship: Ship) -> dict[str, Any]:
    """For a metrics file: what the shipped epoch scored; nothing that depends on the clock but whether it ended early.

    epochs: as many as were planned; patience, ship: as in Recipe.
    """
    one = shipped(records, ship)
    out_of_patience = is_out_of_patience(records, patience)
    missing = len(records) < epochs or not records[-1].complete
    scores = {"train_loss": one.train_loss, "val_loss": one.val_loss, "val_mean_iou": one.val_miou}
    return {name: value for name, value in scores.items() if value is not None} | {
        "shipped_epoch": one.epoch,
        "epochs": len(records),
        "ended_early_by_budget": int(missing and not out_of_patience),
        "ended_early_by_patience": int(missing and out_of_patience),
        "val_iou": one.val_iou,
        "all_ignore_batches": sum(record.all_ignore_batches for record in records),
        "redrawn_crops": sum(record.redrawn_crops for record in records),
    }


def facts(records: Sequence[EpochRecord], ship: Ship) -> dict[str, str | int | float]:
    """For the model file: the epoch it is from, and its validation score at training size if there was one."""
    one = shipped(records, ship)
    score = {} if one.val_miou is None else {"val_mean_iou": one.val_miou}
    return {"epoch": one.epoch, **score}


def write_curves(path: Path, records: Sequence[EpochRecord]) -> None:
    """One CSV row an epoch: epoch, train_loss, val_loss, val_miou, lr; empty where there was nothing to measure."""
    names = ("epoch", "train_loss", "val_loss", "val_miou", "lr")
    csv_files.write(path, names, ([getattr(record, name) for name in names] for record in records))


def write_class_curves(path: Path, records: Sequence[EpochRecord]) -> None:
    """One CSV row an epoch and class: epoch, class, iou."""
    rows = ((record.epoch, name, iou) for record in records for name, iou in record.val_iou.items())
    csv_files.write(path, ("epoch", "class", "iou"), rows)
