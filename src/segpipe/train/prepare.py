"""What the stage `train` and the command `forecast` prepare alike: device, data, network, and the inputs' hash."""

import sys
from pathlib import Path

import torch

from segpipe.data import split_table
from segpipe.data.store import Store
from segpipe.models import sealed, weights
from segpipe.models.device import pick_device
from segpipe.models.segmenter import Segmenter, build_segmenter
from segpipe.train import distributed
from segpipe.train.checkpoint import inputs_hash
from segpipe.train.data import TrainingData
from segpipe.train.recipe import Recipe

STORE, SPLITS = Path("data/store"), Path("data/splits.csv")
CHECKPOINTS = Path(".segpipe/checkpoints")
UNDECISIVE = ("budget_hours", "flip_test", "weights_file")  # they change no weights


def device_and_group(recipe: Recipe, device: str, *command: str) -> tuple[torch.device, distributed.Group]:
    """The device of this process, and its group of processes.

    device: auto, cpu or cuda; command: the module to run and its arguments. If the recipe asks for several processes
    and this one was not started as one of them, the command is started once per process, and this process exits when
    they have ended.
    """
    if recipe.processes > 1 and not distributed.is_launched():
        sys.exit(distributed.launch([sys.executable, "-m", *command], recipe.processes))
    chosen = distributed.local_device(pick_device(device))
    return chosen, distributed.join(chosen, recipe.batch_size)


def data_and_network(recipe: Recipe, seed: int) -> tuple[Store, TrainingData, Segmenter, str]:
    """The packed images, those of them to train on, the network, and a text that names the source of its weights."""
    store = Store.open(STORE)
    data = TrainingData.of(store, split_table.read_splits(SPLITS))
    network = build_segmenter(recipe.architecture, recipe.encoder, len(store.classes), data.seen, seed)
    source = Path(recipe.weights_file) if recipe.weights == "file" else recipe.weights
    return store, data, network, weights.load_pretrained(network, recipe.encoder, source)


def inputs(recipe: Recipe, network: Segmenter, seed: int) -> str:
    """A hash of all that decides the trained weights. The budget does only if it decides the number of epochs.

    network: as `data_and_network` returns it; pretrained weights count by their values, not by their source.
    """
    undecisive = set(UNDECISIVE) - ({"budget_hours"} if recipe.epochs == "auto" else set())
    settings = recipe.model_dump(mode="json", exclude=undecisive) | {"seed": seed}
    if recipe.weights != "random":
        settings["pretrained"] = sealed.content_hash(network.encoder.state_dict())
    return inputs_hash([*sorted(STORE.iterdir()), SPLITS], settings)
