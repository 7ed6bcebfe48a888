"""Records of a training: one per epoch, the events that `loop.fit` yields, and the files written from them."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.core import csv_files
from segpipe.train.recipe import Ship


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """The measurements of one epoch; None or empty where there was nothing to measure."""

    epoch: int  # from 1
    step: int  # optimiser steps since the start of the training
    complete: bool  # False if the budget ended the epoch early
    train_loss: float | None  # mean over the batches
    val_loss: float | None  # mean over the images
    val_miou: float | None  # 0..1, at the size of the store
    val_iou: dict[str, float]  # by class name, 0..1, without absent classes
    lr: float  # learning rate of the decoder in the last step
    images_per_second: float  # in training
    data_wait_share: float  # 0..1, the share of `seconds` spent waiting for images
    seconds: float  # of training
    validation_seconds: float
    memory_mib: float  # peak so far, of the GPU if there is one
    all_ignore_batches: int  # steps without a labelled pixel
    redrawn_crops: int  # crops drawn again because no pixel in them was labelled
    is_best: bool  # best val_miou so far
    resumed: bool = False  # an earlier process trained this epoch; this process repeats the record


@dataclass(frozen=True, kw_only=True, slots=True)
class StepValues:
    """The values of consecutive steps."""

    first: int  # number of the first step, from 1 over the whole training
    losses: tuple[float, ...]  # NaN where no pixel was labelled
    lrs: tuple[float, ...]  # learning rates of the decoder


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """The predictions for `TrainingData.monitored_index` after an epoch."""

    epoch: int
    preds: np.ndarray  # uint8 (n, h, w), class_index


Event = StepValues | Predictions | EpochRecord


def as_json(records: Sequence[EpochRecord]) -> str:
    """The records as one JSON text."""
    return json.dumps([dataclasses.asdict(record) for record in records])


def from_json(text: str) -> list[EpochRecord]:
    """The records of a text that `as_json` wrote."""
    return [EpochRecord(**entry) for entry in json.loads(text)]


def shipped(records: Sequence[EpochRecord], ship: Ship) -> EpochRecord:
    """The epoch whose weights are shipped: the best one, or the last one if `ship` is "last"."""
    return records[-1] if ship == "last" else [record for record in records if record.is_best][-1]


def is_out_of_patience(records: Sequence[EpochRecord], patience: int) -> bool:
    """Whether none of the last `patience` epochs was the best so far; always False for a patience of 0."""
    return 0 < patience < len(records) and not any(record.is_best for record in records[-patience:])


def summary(records: Sequence[EpochRecord], epochs: int, patience: int, ship: Ship) -> dict[str, Any]:
    """The metrics file of a training: the scores of the shipped epoch, and how the training ended.

    Only "ended_early_by_budget" depends on the clock. epochs: the planned number; patience, ship: as in Recipe.
    """
    record = shipped(records, ship)
    out_of_patience = is_out_of_patience(records, patience)
    is_short = len(records) < epochs or not records[-1].complete
    scores = {"train_loss": record.train_loss, "val_loss": record.val_loss, "val_mean_iou": record.val_miou}
    return {name: value for name, value in scores.items() if value is not None} | {
        "shipped_epoch": record.epoch,
        "epochs": len(records),
        "ended_early_by_budget": int(is_short and not out_of_patience),
        "ended_early_by_patience": int(is_short and out_of_patience),
        "val_iou": record.val_iou,
        "all_ignore_batches": sum(record.all_ignore_batches for record in records),
        "redrawn_crops": sum(record.redrawn_crops for record in records),
    }


def facts(records: Sequence[EpochRecord], ship: Ship) -> dict[str, str | int | float]:
    """The facts for the model file: the shipped epoch and, if there was validation, its mIoU at training size."""
    record = shipped(records, ship)
    score = {} if record.val_miou is None else {"val_mean_iou": record.val_miou}
    return {"epoch": record.epoch, **score}


def write_curves(path: Path, records: Sequence[EpochRecord]) -> None:
    """Write a CSV file with a row per epoch: epoch, train_loss, val_loss, val_miou, lr; empty where not measured."""
    names = ("epoch", "train_loss", "val_loss", "val_miou", "lr")
    csv_files.write(path, names, ([getattr(record, name) for name in names] for record in records))


def write_class_curves(path: Path, records: Sequence[EpochRecord]) -> None:
    """Write a CSV file with a row per epoch and class: epoch, class, iou."""
    rows = ((record.epoch, name, iou) for record in records for name, iou in record.val_iou.items())
    csv_files.write(path, ("epoch", "class", "iou"), rows)
