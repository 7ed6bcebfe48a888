"""Forecast of a training's duration, memory and disk space, from a few training steps on a copy of the network."""

import copy
import itertools
import logging
import shutil
import time
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from segpipe.core import files
from segpipe.core.plurals import counted
from segpipe.models.segmenter import Segmenter
from segpipe.train import checkpoint, compiling, runtime
from segpipe.train.checkpoint import TrainingState
from segpipe.train.compiling import Pace
from segpipe.train.data import TrainingData, steps_per_epoch, training_batches, validation_batches
from segpipe.train.distributed import SINGLE, Group
from segpipe.train.epoch import StepResult, TrainSetup, train_one_epoch, validate
from segpipe.train.optimizer import OPTIMIZERS, train_mode
from segpipe.train.recipe import CompileMode, RunRecipe

_WARM_STEPS, _COUNTED_STEPS = 1, 3
_VALIDATION_BATCHES = 2
_PLANNED_SHARE = 0.95  # of the budget: later steps may be slower than the first ones
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The measured cost of a training."""

    step_seconds: float  # of one step
    steps: int  # per epoch
    validation_seconds: float  # of one whole validation
    save_seconds: float  # of one checkpoint
    save_every_seconds: float  # time between checkpoints
    data_wait_share: float  # 0..1 of a step
    memory_bytes: int  # peak so far, of the GPU if there is one
    disk_bytes: int  # of checkpoint and model
    compile: CompileMode = "off"  # the fastest mode of torch.compile

    @property
    def epoch_seconds(self) -> float:
        """Time of an epoch with its validation and its share of the checkpoints."""
        saving = self.save_seconds / max(self.save_every_seconds, self.step_seconds)
        return (1 + saving) * (self.steps * self.step_seconds + self.validation_seconds)

    def seconds(self, epochs: int) -> float:
        """Time of a training, with the checkpoints after the first step and at the end."""
        return epochs * self.epoch_seconds + 2 * self.save_seconds

    def epochs_within(self, seconds: float) -> int:
        """The number of epochs that fit into this time; at least one."""
        return max(1, int((_PLANNED_SHARE * seconds - 2 * self.save_seconds) / self.epoch_seconds))


def probe(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: RunRecipe,
    device: torch.device,
    folder: Path,
    group: Group = SINGLE,
    *,
    fills_budget: bool = False,
) -> Forecast:
    """Measure a few training steps and validation batches on a copy of the network. Nothing else changes.

    folder: for checkpoints; one is written and removed. fills_budget: the number of epochs will fill the budget;
    the recipe's number is not used.
    """
    runtime.set_determinism(device, recipe.strict)
    with torch.random.fork_rng():
        network = runtime.place(copy.deepcopy(segmenter), device, group)
        optimizer = OPTIMIZERS[recipe.optimizer](network, recipe.lr, recipe.weight_decay, 1.0)
        setup = runtime.train_setup(network, optimizer, data, recipe, device, group)

        def measure(mode: CompileMode) -> Pace:
            train_mode(network, is_encoder_frozen=False)
            warm_steps = _WARM_STEPS if mode == "off" else compiling.WARM_STEPS
            compiled = replace(setup, network=compiling.compile_network(network, mode))
            return _pace(_run_steps(compiled, data, recipe, device, warm_steps + _COUNTED_STEPS)[warm_steps:])

        plain = measure("off")
        measured = Forecast(
            step_seconds=plain.step_seconds,
            steps=steps_per_epoch(data, recipe),
            validation_seconds=_time_validation(network, setup, data, recipe, device),
            save_seconds=0.0 if group.rank else _time_save(network, optimizer, recipe, folder),
            save_every_seconds=60 * recipe.checkpoint_minutes,
            data_wait_share=plain.data_wait_share,
            memory_bytes=runtime.peak_memory_bytes(device),
            disk_bytes=_disk_bytes(network, optimizer, has_average=recipe.ema_decay > 0),
        )
        epochs = measured.epochs_within(recipe.budget_seconds) if fills_budget else recipe.epochs
        modes = compiling.candidate_modes(recipe, device, group, measured.seconds(epochs))
        mode, pace = compiling.fastest_mode(plain, modes, epochs * measured.steps, measure)
    return replace(measured, compile=mode, step_seconds=pace.step_seconds, data_wait_share=pace.data_wait_share)


def report(forecast: Forecast, epochs: int, budget_seconds: float, folder: Path) -> None:
    """Log the forecast for a number of epochs. Warn if the budget, or the disk of `folder`, is too small."""
    total, free = forecast.seconds(epochs), _free_bytes(folder)
    _log.info(
        "forecast: %s of %s (%d steps of %.2f s, then %.1f s of validation): %s of a budget of %s",
        *(counted(epochs, "epoch"), _duration(forecast.epoch_seconds), forecast.steps, forecast.step_seconds),
        *(forecast.validation_seconds, _duration(total), _duration(budget_seconds)),
    )
    _log.info(
        "forecast: %.0f MiB of memory, %.0f MiB of disk (%.0f MiB free), %.1f s per checkpoint, %.0f %% of the time "
        "waiting for images",
        *(size / runtime.MIB for size in (forecast.memory_bytes, forecast.disk_bytes, free)),
        *(forecast.save_seconds, 100 * forecast.data_wait_share),
    )
    if total > budget_seconds:
        remedy = "set train.epochs: auto to fit them" if epochs > 1 else "raise train.budget_hours"
        done = int(budget_seconds / total * epochs)
        _log.warning("the budget ends the training after about %d of %s; %s", done, counted(epochs, "epoch"), remedy)
    if forecast.disk_bytes > free:
        _log.warning("the disk has too little space for checkpoint and model")


def _pace(steps: list[StepResult]) -> Pace:
    seconds = sum(step.seconds for step in steps)
    return Pace(seconds / len(steps), sum(step.wait_seconds for step in steps) / seconds)


def _run_steps(
    setup: TrainSetup, data: TrainingData, recipe: RunRecipe, device: torch.device, count: int
) -> list[StepResult]:
    """The first `count` steps of a training; of several epochs if one has fewer."""
    epochs = (training_batches(data, recipe, number, 0, device, setup.group) for number in itertools.count(1))
    steps = train_one_epoch(
        setup,
        itertools.chain.from_iterable(epochs),
        lr_factor=lambda step: 0.0,  # the weights stay finite
        step_seed=lambda step: step,
    )
    with closing(steps):
        return list(islice(steps, count))


def _time_validation(
    network: Segmenter, setup: TrainSetup, data: TrainingData, recipe: RunRecipe, device: torch.device
) -> float:
    """Seconds of a whole validation, estimated from a few batches."""
    few = data.val_index[: _VALIDATION_BATCHES * recipe.batch_size * setup.group.world_size]
    if not len(few):
        return 0.0

    def seconds() -> float:
        start = time.perf_counter()
        batches = validation_batches(replace(data, val_index=few), recipe.batch_size, device, setup.group)
        validate(network, setup.criterion, batches, setup.autocast, setup.group)
        return time.perf_counter() - start

    seconds()  # the first call chooses kernels and allocates memory, which a training does only once
    return seconds() * len(data.val_index) / len(few)


def _time_save(network: Segmenter, optimizer: Optimizer, recipe: RunRecipe, folder: Path) -> float:
    path, weights = checkpoint.path_of(folder, "probe"), network.state_dict()
    average = {name: tensor.clone() for name, tensor in weights.items()} if recipe.ema_decay else None
    files.remove_parts(path)
    start = time.perf_counter()
    try:
        checkpoint.save(path, network, optimizer, TrainingState(shipped=weights, average=average))
    except OSError as error:
        _log.warning("no checkpoint can be written to %s (%s)", folder, error.strerror)
    finally:
        path.unlink(missing_ok=True)
    return time.perf_counter() - start


def _disk_bytes(network: nn.Module, optimizer: Optimizer, has_average: bool) -> int:
    """Bytes of two checkpoints (a new one is written before the old one is removed) and the model.

    A checkpoint has the current weights, those to ship, their average, and the state of the optimiser.
    """
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    states = [value for state in optimizer.state.values() for value in state.values()]
    optimizer_bytes = sum(value.nbytes for value in states if isinstance(value, torch.Tensor))
    return 2 * ((2 + has_average) * weights + optimizer_bytes) + weights


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(existing).free


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
