"""A training small enough for tests: stripes of three colours on 48 x 40 px, a network of 0.3 million weights."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from segpipe.models import model_file
from segpipe.models.segmenter import Segmenter, build_segmenter
from segpipe.train import loop
from segpipe.train.data import TrainingData
from segpipe.train.history import EpochRecord, Event
from segpipe.train.recipe import RunRecipe

CPU = torch.device("cpu")
ENCODER = "mobilenetv3_small_050"
CLASSES = ("background", "red", "green", "never")
_COLOURS = np.array([[20, 20, 90], [220, 40, 30], [30, 200, 60], [0, 0, 0]], np.uint8)


def data(train=6, val=2, size_hw=(40, 48)) -> TrainingData:
    """Images whose colour shows the class; the class "never" does not occur, the last columns are ignored."""
    random = np.random.default_rng(0)
    height, width = size_hw
    labels = random.integers(0, 3, (train + val, 1, width // 8)).astype(np.uint8)
    labels = np.broadcast_to(labels.repeat(8, axis=2), (train + val, height, width)).copy()
    images = _COLOURS[labels] + random.integers(0, 20, (*labels.shape, 3)).astype(np.uint8)
    pixels = np.stack([np.bincount(label_map.ravel(), minlength=len(CLASSES)) for label_map in labels])
    labels[:, :, -4:] = 255
    return TrainingData(
        images=images,
        labels=labels,
        keys=tuple(f"image{i}" for i in range(train + val)),
        train_index=np.arange(train),
        val_index=np.arange(train, train + val),
        class_pixels=pixels,
        class_names=CLASSES,
    )


def segmenter(seen=(True, True, True, False)) -> Segmenter:
    """PSPNet: small, and with dropout, which must be resumed as well."""
    return build_segmenter("pspnet", ENCODER, len(CLASSES), seen)


def recipe(crop_hw=(32, 32), budget_seconds=21_600.0, **changes) -> RunRecipe:
    """A few epochs of a few steps, with all randomness switched on."""
    few = {"epochs": 3, "batch_size": 2, "lr": 3e-3, "encoder_lr_factor": 0.3, "warmup_epochs": 0.5, "ema_decay": 0}
    augment = {"scale": 0.5, "rotate_deg": 5, "flip_vertical": 0, "brightness": 0.3, "contrast": 0.3, "saturation": 0.3}
    recipe = RunRecipe(**{**few, "augment": augment, **changes})
    return recipe.model_copy(update={"crop": crop_hw, "budget_hours": budget_seconds / 3600})


def fit(folder: Path, data: TrainingData, recipe: RunRecipe, inputs: str = "abc", **options):
    """Train to the end. Returns the network and the epochs' records. options: of `loop.fit`."""
    network = segmenter()
    return network, epochs(loop.fit(network, data, recipe, folder, inputs, CPU, **options))


def epochs(events: Iterable[Event]) -> list[EpochRecord]:
    """The epochs among the events of a training."""
    return [event for event in events if isinstance(event, EpochRecord)]


def save(path: Path, network: Segmenter) -> None:
    """Write the model file."""
    model_file.save(path, network, card_of(network, "pspnet", ENCODER))


def card_of(network: Segmenter, architecture: str, encoder: str) -> model_file.ModelCard:
    """The model card of a network."""
    return model_file.ModelCard(
        architecture=architecture,
        encoder=encoder,
        classes=CLASSES,
        seen=tuple(network.seen.tolist()),
        fit_mode="stretch",
        size_hw=(40, 48),
        mean=network.mean,
        std=network.std,
    )
