"""A training as its trackers see it: curves by step and by epoch, and sheets of what the network sees and predicts."""

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from segpipe.core.files import atomic_write
from segpipe.data.classes import ClassTable
from segpipe.pictures import sheets
from segpipe.pictures.sheets import Sample
from segpipe.tracking.run import Run
from segpipe.train import monitor
from segpipe.train.data import TrainingData
from segpipe.train.events import Event, Predictions, Steps
from segpipe.train.history import EpochRecord
from segpipe.train.recipe import RunRecipe

_log = logging.getLogger(__name__)
_AXES = ("epoch", "step")  # of curves, no curves themselves
TRAINING, VALIDATION = "training_pictures", "validation_predictions"  # what the sheets are called


def follow(training: Iterable[Event], run: Run, data: TrainingData, folder: Path) -> list[EpochRecord]:
    """Let the training go on to its end and tell `run` all of it; the sheets stay in `folder`. Returns the epochs."""
    records = []
    for event in training:
        match event:
            case Steps():
                run.log_steps({"step/loss": event.losses, "step/lr": event.lrs}, first=event.first)
            case EpochRecord():
                values = {name: value for name, value in dataclasses.asdict(event).items() if name not in _AXES}
                run.log_metrics({"epoch": values}, step=event.epoch)
                records.append(event)
            case Predictions():
                _show(event, run, data, folder / f"epoch-{event.epoch:04}.png")
    return records


def write_training_pictures(path: Path, data: TrainingData, recipe: RunRecipe) -> None:
    """Draw what the network sees: varied training pictures and what they are to be taken for. Raises OSError."""
    caption = ["Training pictures as the network sees them", "the first ones of the first epoch, varied"]
    _draw(path, monitor.training_pictures(data, recipe), data, caption)


def write_predictions(path: Path, preds: np.ndarray, data: TrainingData, when: str) -> None:
    """Draw what the network makes of the validation pictures that are shown. Raises OSError."""
    caption = [f"Validation pictures, {when}", "at the size that the network sees"]
    _draw(path, monitor.validation_pictures(data, preds), data, caption)


def _show(event: Predictions, run: Run, data: TrainingData, path: Path) -> None:
    try:
        write_predictions(path, event.preds, data, f"epoch {event.epoch}")
    except OSError as error:  # a full disk ends no training for the sake of a picture
        _log.warning("%s was not written (%s)", path, error.strerror)
    else:
        run.log_picture(path, VALIDATION, step=event.epoch)


def _draw(path: Path, pictures: Sequence[Sample], data: TrainingData, caption: Sequence[str]) -> None:
    with atomic_write(path) as part:
        sheets.contact_sheet(pictures, ClassTable(data.class_names), caption).save(part, "PNG")
