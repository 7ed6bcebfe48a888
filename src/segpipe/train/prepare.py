"""A training, prepared alike for the stage `train` and the command `forecast`: device, data, network, inputs' hash."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from segpipe.core.settings import Compute
from segpipe.data import split_table
from segpipe.data.store import Store
from segpipe.models import sealed, weights
from segpipe.models.device import pick_device
from segpipe.models.model_file import ModelCard
from segpipe.models.segmenter import Segmenter, build_segmenter
from segpipe.train import checkpoint, distributed, history, loop, planning
from segpipe.train.checkpoint import inputs_hash
from segpipe.train.data import TrainingData
from segpipe.train.history import EpochRecord, Event
from segpipe.train.recipe import Recipe, RunRecipe

logger = logging.getLogger(__name__)
PHOTOS, LABELS, SPLITS = Path("data/photos"), Path("data/labels"), Path("data/splits.csv")
CHECKPOINTS = Path(".segpipe/checkpoints")
UNDECISIVE = ("budget_hours", "flip_test", "weights_file")  # they change no weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One training, ready to start."""

    recipe: RunRecipe
    fills_budget: bool  # the number of epochs is not planned yet
    device: torch.device
    group: distributed.Group
    store: Store
    data: TrainingData
    network: Segmenter
    first_weights: str  # where the first weights came from, in words
    inputs: str  # hash of all that decides the trained weights

    @property
    def checkpoint(self) -> Path:
        """The file that a stopped training continues from."""
        return checkpoint.path_of(CHECKPOINTS, self.inputs)

    def planned(self) -> "Job":
        """The job with its epochs and its mode of torch.compile decided, measured or read from an earlier start."""
        common = self.network, self.data, self.recipe, self.checkpoint, self.device, self.group
        return replace(self, recipe=planning.planned_recipe(*common, fills_budget=self.fills_budget))

    def fit(self) -> Iterator[Event]:
        """Train, or continue; the events of the training. At the end the network has the weights of the model."""
        return loop.fit(self.network, self.data, self.recipe, CHECKPOINTS, self.inputs, self.device, self.group)

    def fit_without_log(self) -> None:
        """Train in a process other than the first, which logs and writes the results."""
        for _ in self.fit():
            pass
        distributed.leave(self.group)

    def card(self, records: list[EpochRecord]) -> ModelCard:
        """The card of the model file. records: the epochs of the training."""
        return ModelCard(
            architecture=self.recipe.architecture,
            encoder=self.recipe.encoder,
            classes=self.store.classes.names,
            seen=self.data.seen,
            fit_mode=self.store.fit.mode,
            size_hw=self.store.fit.size_hw,
            tile_side=self.store.fit.tile_side,
            tile_overlap=self.store.fit.tile_overlap,
            mean=self.network.mean,
            std=self.network.std,
            flip_test=self.recipe.flip_test,
            facts=history.facts(records, self.recipe.ship) | {"inputs": self.inputs, "weights": self.first_weights},
        )


def prepare(recipe: Recipe, seed: int, compute: Compute, *command: str) -> Job:
    """The training of `recipe` on this process's device. command: as for device_and_group. Raises UserError."""
    device, group = device_and_group(recipe, compute.device, *command)
    store, data, network, first_weights = data_and_network(recipe, seed)
    logger.info("%s on %s, weights: %s, %s", recipe.architecture, recipe.encoder, first_weights, device)
    return Job(
        recipe=RunRecipe.of(recipe, seed, compute.checkpoint_minutes),
        fills_budget=recipe.epochs == "auto",
        device=device,
        group=group,
        store=store,
        data=data,
        network=network,
        first_weights=first_weights,
        inputs=inputs(recipe, store, network, seed),
    )


def device_and_group(recipe: Recipe, device: str, *command: str) -> tuple[torch.device, distributed.Group]:
    """The device of this process, and its group of processes.

    device: auto, cpu or cuda; command: the module to run and its arguments. If the recipe needs several processes and
    this process does not belong to such a group, the command is started once per process, and this process exits when
    they have ended.
    """
    if recipe.processes > 1 and not distributed.is_launched():
        sys.exit(distributed.launch([sys.executable, "-m", *command], recipe.processes))
    chosen = distributed.local_device(pick_device(device))
    return chosen, distributed.join(chosen, recipe.batch_size)


def data_and_network(recipe: Recipe, seed: int) -> tuple[Store, TrainingData, Segmenter, str]:
    """The packed images, those of them to train on, the network, and a text that names the source of its weights."""
    store = Store.open(PHOTOS, LABELS)
    data = TrainingData.of(store, split_table.read_splits(SPLITS))
    network = build_segmenter(recipe.architecture, recipe.encoder, len(store.classes), data.seen, seed)
    source = Path(recipe.weights_file) if recipe.weights == "file" else recipe.weights
    return store, data, network, weights.load_pretrained(network, recipe.encoder, source)


def inputs(recipe: Recipe, store: Store, network: Segmenter, seed: int) -> str:
    """A hash of all that decides the trained weights. The budget does only if it decides the number of epochs.

    store, network: as `data_and_network` returns them; images count by their pixels and their order, pretrained weights
    by their values, not by their source.
    """
    undecisive = set(UNDECISIVE) - ({"budget_hours"} if recipe.epochs == "auto" else set())
    settings = recipe.model_dump(mode="json", exclude=undecisive) | {"seed": seed, "store": store.content_hash()}
    if recipe.weights != "random":
        settings["pretrained"] = sealed.content_hash(network.encoder.state_dict())
    return inputs_hash([SPLITS], settings)
