"""Curves and sheets of a training for trackers: by step and epoch, and images with labels and predictions."""

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from segpipe.core.files import atomic_write
from segpipe.data.classes import ClassTable
from segpipe.pictures import sheets
from segpipe.pictures.sheets import Sample
from segpipe.tracking.run import Run
from segpipe.train import augment
from segpipe.train.data import TrainingData, crop_hw, training_batches
from segpipe.train.history import EpochRecord, Event, Predictions, StepValues
from segpipe.train.recipe import RunRecipe

TRAINING, VALIDATION = "training_pictures", "validation_predictions"  # names of the sheets in the trackers
_MAX_TRAINING_IMAGES = 16
_X_AXES = ("epoch", "step")  # fields of EpochRecord that are not curves
_log = logging.getLogger(__name__)


def follow(training: Iterable[Event], run: Run, data: TrainingData, folder: Path) -> list[EpochRecord]:
    """Run the training to its end and log its events to `run`. Returns the epochs. folder: for prediction sheets."""
    records = []
    for event in training:
        match event:
            case StepValues():
                run.log_steps({"step/loss": event.losses, "step/lr": event.lrs}, first=event.first)
            case EpochRecord():
                values = {name: value for name, value in dataclasses.asdict(event).items() if name not in _X_AXES}
                run.log_metrics({"epoch": values}, step=event.epoch)
                records.append(event)
            case Predictions():
                _log_predictions(event, run, data, folder / f"epoch-{event.epoch:04}.png")
    return records


def write_training_sheet(path: Path, data: TrainingData, recipe: RunRecipe) -> None:
    """Draw training images as the network sees them, with their labels. Raises OSError."""
    caption = ["Training images as the network sees them", "the first images of the first epoch, augmented"]
    _draw(path, training_samples(data, recipe), data, caption)


def write_prediction_sheet(path: Path, preds: np.ndarray, data: TrainingData, when: str) -> None:
    """Draw the monitored validation images with labels and predictions. Raises OSError.

    preds: uint8 (n, h, w), of `epoch.predict_monitored`; when: for the caption, like "epoch 3".
    """
    caption = [f"Validation images, {when}", "at the size that the network sees"]
    _draw(path, validation_samples(data, preds), data, caption)


def training_samples(data: TrainingData, recipe: RunRecipe) -> list[Sample]:
    """The first images of the first epoch, augmented as in training; at most _MAX_TRAINING_IMAGES."""
    size_hw = crop_hw(data, recipe)
    steps = -(-_MAX_TRAINING_IMAGES // recipe.images_per_step)
    samples = []
    for batch in islice(training_batches(data, recipe, 1, 0, torch.device("cpu")), steps):
        assert batch.variations is not None
        images, labels = augment.apply(batch.images, batch.labels, batch.variations, size_hw)
        pixels = images.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()  # (N, h, w, 3)
        for key, image, truth in zip(batch.keys, pixels, labels.numpy(), strict=True):
            samples.append(Sample(key=key, image=image, truth=truth))
    return samples[:_MAX_TRAINING_IMAGES]


def validation_samples(data: TrainingData, preds: np.ndarray) -> list[Sample]:
    """The images of `data.monitored_index` with labels and predictions. preds: uint8 (n, h, w), in this order."""
    return [
        Sample(key=data.keys[i], image=data.images[i], truth=data.labels[i], pred=pred)
        for i, pred in zip(data.monitored_index.tolist(), preds, strict=True)
    ]


def _log_predictions(event: Predictions, run: Run, data: TrainingData, path: Path) -> None:
    try:
        write_prediction_sheet(path, event.preds, data, f"epoch {event.epoch}")
    except OSError as error:  # a full disk must not end the training because of a sheet
        _log.warning("%s was not written (%s)", path, error.strerror)
    else:
        run.log_picture(path, VALIDATION, step=event.epoch)


def _draw(path: Path, samples: Sequence[Sample], data: TrainingData, caption: Sequence[str]) -> None:
    with atomic_write(path) as part:
        sheets.contact_sheet(samples, ClassTable(data.class_names), caption).save(part, "PNG")
