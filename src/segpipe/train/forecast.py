"""How long a training will take and what it needs, measured in a few of its own steps on a copy of the network."""

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
from segpipe.models.segmenter import Segmenter
from segpipe.train import checkpoint, compiling, determinism, epoch, memory, setup
from segpipe.train import data as batches
from segpipe.train import optimizer as schedule
from segpipe.train.checkpoint import State
from segpipe.train.compiling import Pace
from segpipe.train.data import TrainingData
from segpipe.train.distributed import ALONE, Team
from segpipe.train.recipe import CompileMode, RunRecipe

_WARM_STEPS, _COUNTED_STEPS = 1, 3
_VALIDATION_BATCHES = 2
_FILLED = 0.95  # of the budget is planned: later steps may be slower than the first
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What was measured. seconds: of one step, of a whole validation, of writing a checkpoint; steps: per epoch;
    save_every_seconds: the time between checkpoints; data_wait_share: 0..1 of a step; memory_bytes: the peak so far,
    of the GPU where there is one; disk_bytes: checkpoint and model; compile: the mode of torch.compile that pays, or
    "off".
    """

    step_seconds: float
    steps: int
    validation_seconds: float
    save_seconds: float
    save_every_seconds: float
    data_wait_share: float
    memory_bytes: int
    disk_bytes: int
    compile: CompileMode = "off"

    @property
    def epoch_seconds(self) -> float:
        """An epoch with its validation and the checkpoints of that time."""
        saving = self.save_seconds / max(self.save_every_seconds, self.step_seconds)
        return (1 + saving) * (self.steps * self.step_seconds + self.validation_seconds)

    def seconds(self, epochs: int) -> float:
        """So many epochs, with the checkpoints after the first step and at the end."""
        return epochs * self.epoch_seconds + 2 * self.save_seconds

    def epochs_within(self, seconds: float) -> int:
        """How many epochs fill that time, at least one."""
        return max(1, int((_FILLED * seconds - 2 * self.save_seconds) / self.epoch_seconds))


def probe(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: RunRecipe,
    device: torch.device,
    folder: Path,
    team: Team = ALONE,
    *,
    fills_budget: bool = False,
) -> Forecast:
    """Train a copy of the network for a few steps and validate with a few pictures; nothing else is changed.

    folder: for checkpoints; one is written and removed again. fills_budget: the training will have as many epochs as
    fill its budget, whatever the recipe says.
    """
    determinism.prepare(device, recipe.strict)
    with torch.random.fork_rng():
        twin = setup.placed(copy.deepcopy(segmenter), device, team)
        optimizer = schedule.OPTIMIZERS[recipe.optimizer](twin, recipe.lr, recipe.weight_decay, 1.0)

        def measure(mode: CompileMode) -> Pace:
            network = compiling.compiled(twin, mode)
            warm = _WARM_STEPS if network is twin else compiling.WARM_STEPS
            return _pace(_timed_steps(twin, network, optimizer, data, recipe, device, team, warm), warm)

        plain = measure("off")
        measured = Forecast(
            step_seconds=plain.step_seconds,
            steps=batches.steps_per_epoch(data, recipe),
            validation_seconds=_timed_validation(twin, data, recipe, device, team),
            save_seconds=0.0 if team.rank else _timed_save(twin, optimizer, recipe, folder),
            save_every_seconds=60 * recipe.checkpoint_minutes,
            data_wait_share=plain.data_wait_share,
            memory_bytes=memory.peak_bytes(device),
            disk_bytes=_disk(twin, optimizer, has_average=recipe.ema_decay > 0),
        )
        epochs = measured.epochs_within(recipe.budget_seconds) if fills_budget else recipe.epochs
        modes = compiling.candidates(recipe, device, team, measured.seconds(epochs))
        mode, pace = compiling.quickest(plain, modes, epochs * measured.steps, measure)
    return replace(measured, compile=mode, step_seconds=pace.step_seconds, data_wait_share=pace.data_wait_share)


def tell(forecast: Forecast, epochs: int, budget_seconds: float, folder: Path) -> None:
    """Log what to expect of so many epochs, and warn if the budget or the disk under `folder` will not do."""
    total, free = forecast.seconds(epochs), _free_bytes(folder)
    _log.info(
        "forecast: %d epochs of %s (%d steps of %.2f s, then %.1f s of validation): %s of a budget of %s",
        *(epochs, _duration(forecast.epoch_seconds), forecast.steps, forecast.step_seconds),
        *(forecast.validation_seconds, _duration(total), _duration(budget_seconds)),
    )
    _log.info(
        "forecast: %.0f MiB of memory, %.0f MiB of disk (%.0f MiB free), %.1f s for a checkpoint, %.0f %% of the time "
        "waiting for pictures",
        *(part / memory.MIB for part in (forecast.memory_bytes, forecast.disk_bytes, free)),
        *(forecast.save_seconds, 100 * forecast.data_wait_share),
    )
    if total > budget_seconds:
        remedy = "train.epochs: auto fits them" if epochs > 1 else "raise train.budget_hours"
        within = int(budget_seconds / total * epochs)
        _log.warning("the budget ends training after about %d of %d epochs; %s", within, epochs, remedy)
    if forecast.disk_bytes > free:
        _log.warning("the disk is too full for checkpoint and model")


def _pace(steps: list[epoch.StepResult], warm: int) -> Pace:
    counted = steps[warm:]
    seconds = sum(step.seconds for step in counted)
    return Pace(seconds / len(counted), sum(step.waited for step in counted) / seconds)


def _timed_steps(
    twin: Segmenter,
    network: nn.Module,
    optimizer: Optimizer,
    data: TrainingData,
    recipe: RunRecipe,
    device: torch.device,
    team: Team,
    warm: int,
) -> list[epoch.StepResult]:
    """Steps of the twin's training, by itself or by what it is compiled to; of several epochs where one has too few."""
    epochs = (batches.training_batches(data, recipe, number, 0, device, team) for number in itertools.count(1))
    schedule.train_mode(twin, is_encoder_frozen=False)
    steps = epoch.train_one_epoch(
        network,
        setup.criterion(twin, data, recipe, device),
        optimizer,
        itertools.chain.from_iterable(epochs),
        crop_hw=batches.crop_hw(data, recipe),
        clip_norm=recipe.clip_norm,
        lr_factor=lambda step: 0.0,  # the weights do not matter, and so nothing can go wrong with them
        step_seed=lambda step: step,
        first_step=0,
        parts=recipe.accumulate,
        autocast=setup.autocast(device, recipe.amp),
        team=team,
    )
    with closing(steps):
        return list(islice(steps, warm + _COUNTED_STEPS))


def _timed_validation(
    twin: Segmenter, data: TrainingData, recipe: RunRecipe, device: torch.device, team: Team
) -> float:
    few = data.val_index[: _VALIDATION_BATCHES * recipe.batch_size * team.size]
    if not len(few):
        return 0.0
    criterion, autocast = setup.criterion(twin, data, recipe, device), setup.autocast(device, recipe.amp)

    def once() -> float:
        start = time.perf_counter()
        pictures = batches.validation_batches(replace(data, val_index=few), recipe.batch_size, device, team)
        epoch.validate(twin, criterion, pictures, twin.seen, autocast, team)
        return time.perf_counter() - start

    once()  # it chooses kernels and asks for memory, which a training's validations do only once
    return once() * len(data.val_index) / len(few)


def _timed_save(twin: Segmenter, optimizer: Optimizer, recipe: RunRecipe, folder: Path) -> float:
    path, weights = checkpoint.path_of(folder, "probe"), twin.state_dict()
    state = State(shipped=weights, average={k: v.clone() for k, v in weights.items()} if recipe.ema_decay else None)
    files.remove_parts(path)
    start = time.perf_counter()
    try:
        checkpoint.save(path, twin, optimizer, state)
    except OSError as error:
        _log.warning("no checkpoint can be written to %s (%s)", folder, error.strerror)
    finally:
        path.unlink(missing_ok=True)
    return time.perf_counter() - start


def _disk(network: nn.Module, optimizer: Optimizer, has_average: bool) -> int:
    """Bytes of the checkpoint (weights, those to ship, the average, the optimiser's), twice while the next one is
    written, and of the model."""
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    states = [value for state in optimizer.state.values() for value in state.values()]
    optimizers = sum(value.nbytes for value in states if isinstance(value, torch.Tensor))
    return 2 * ((2 + has_average) * weights + optimizers) + weights


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(existing).free


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
