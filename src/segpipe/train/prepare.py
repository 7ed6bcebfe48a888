"""What `train` and `forecast` share: data and network, and params.yaml's train section as the library takes it."""

import sys
from pathlib import Path

import torch

from segpipe.data import split_table
from segpipe.data.store import Store
from segpipe.models import device as devices
from segpipe.models import sealed, weights
from segpipe.models import segmenter as build
from segpipe.params import Params
from segpipe.train import distributed, launch
from segpipe.train.data import TrainingData
from segpipe.train.inputs import inputs_hash
from segpipe.train.recipe import Augment, Loss, Recipe

STORE, SPLITS = Path("data/store"), Path("data/splits.csv")
CHECKPOINTS = Path(".segpipe/checkpoints")
UNDECISIVE = ("budget_hours", "checkpoint_minutes", "device", "flip_test", "weights_file")  # they change no weights


def device_and_team(params: Params, module: str) -> tuple[torch.device, distributed.Team]:
    """Where this process computes, and with whom.

    module: the command; where several processes are asked for and it runs in none of them, it is run in each, and this
    one ends with them.
    """
    own = params.train
    if own.processes > 1 and not launch.is_launched():
        sys.exit(launch.launch([sys.executable, "-m", module], own.processes))
    device = distributed.own_device(devices.pick(own.device))
    return device, distributed.join(device, own.batch_size)


def data_and_network(params: Params) -> tuple[Store, TrainingData, build.Segmenter, str]:
    """What is trained with, what is trained, and where its weights came from."""
    own, store = params.train, Store.open(STORE)
    data = TrainingData.of(store, split_table.read_splits(SPLITS))
    segmenter = build.segmenter(own.architecture, own.encoder, len(store.classes), data.seen, params.seed)
    source = Path(own.weights_file) if own.weights == "file" else own.weights
    return store, data, segmenter, weights.load_pretrained(segmenter, own.encoder, source)


def inputs(params: Params, segmenter: build.Segmenter) -> str:
    """A hash of all that decides the weights; the budget does only where it decides the number of epochs.

    segmenter: as `data_and_network` gives it: pretrained weights count by their values, wherever they came from.
    """
    undecisive = set(UNDECISIVE) - ({"budget_hours"} if params.train.epochs == "auto" else set())
    settings = params.train.model_dump(mode="json", exclude=undecisive) | {"seed": params.seed}
    if params.train.weights != "random":
        settings["pretrained"] = sealed.content_hash(segmenter.encoder.state_dict())
    return inputs_hash([*sorted(STORE.iterdir()), SPLITS, Path(__file__)], settings)


def recipe(params: Params) -> Recipe:
    """How to train; with `epochs: auto` for one epoch until `planning` says for how many."""
    own = params.train
    return Recipe(
        epochs=1 if own.epochs == "auto" else own.epochs,
        batch_size=own.batch_size,
        accumulate=own.accumulate,
        crop_hw=own.crop,
        optimizer=own.optimizer,
        schedule=own.schedule,
        lr=own.lr,
        weight_decay=own.weight_decay,
        encoder_lr_factor=own.encoder_lr_factor,
        warmup_epochs=own.warmup_epochs,
        loss=Loss(**own.loss.model_dump()),
        label_smoothing=own.label_smoothing,
        class_weights=own.class_weights,
        rare_class_share=own.rare_class_share,
        freeze_epochs=own.freeze_epochs,
        ema_decay=own.ema_decay,
        ship=own.ship,
        patience=own.patience,
        augment=Augment(**own.augment.model_dump()),
        budget_seconds=own.budget_hours * 3600,
        checkpoint_minutes=own.checkpoint_minutes,
        amp=own.amp,
        strict=own.strict,
        compile="auto" if own.compile else "off",
        seed=params.seed,
    )
