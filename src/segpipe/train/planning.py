"""The plan of a training: its number of epochs and whether it is compiled; made once, kept beside the checkpoint."""

import dataclasses
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from segpipe.core import files
from segpipe.core.plurals import counted
from segpipe.models.device import device_kind
from segpipe.models.segmenter import Segmenter
from segpipe.train import checkpoint, compiling, forecast
from segpipe.train.checkpoint import NOTHING, Completed
from segpipe.train.data import TrainingData
from segpipe.train.distributed import SINGLE, Group
from segpipe.train.recipe import CompileMode, RunRecipe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan:
    """A plan, and the machine that it was made for. Raises ValueError for invalid values."""

    epochs: int
    compile: CompileMode  # one of compiling.MODES or "off"
    device: str  # of `device_kind`
    processes: int

    def __post_init__(self) -> None:
        if type(self.epochs) is not int or self.epochs < 1 or self.compile not in (*compiling.MODES, "off"):
            raise ValueError(f"not a plan: {self.epochs!r} epochs, compile {self.compile!r}")


def planned_recipe(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: RunRecipe,
    path: Path,
    device: torch.device,
    group: Group = SINGLE,
    *,
    fills_budget: bool,
) -> RunRecipe:
    """The recipe with a planned number of epochs and mode of torch.compile.

    path: the checkpoint of the training, which may not exist; fills_budget: plan as many epochs as the budget allows.
    A new training is planned and its forecast logged. A resumed training keeps the plan beside its checkpoint. If that
    was made for another kind of device, the rest of the budget is planned again. With several processes, rank 0 decides
    and writes the plan. Raises OSError.
    """
    plan_path = checkpoint.plan_path(path)
    plan = _read(plan_path)
    if group.any(plan is None or (not group.rank and _is_outdated(plan, path, device, group))):
        completed = checkpoint.completed(path)
        plan = make_plan(
            segmenter, data, recipe, path.parent, device, group, fills_budget=fills_budget, completed=completed
        )
        if not group.rank:
            files.write_json(plan_path, dataclasses.asdict(plan))
    assert plan is not None
    return _apply(plan, recipe)


def make_plan(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: RunRecipe,
    folder: Path,
    device: torch.device,
    group: Group = SINGLE,
    *,
    fills_budget: bool,
    completed: Completed = NOTHING,
) -> TrainingPlan:
    """Measure a few steps, log the forecast, and plan the rest of the training.

    folder: for checkpoints; no file is left there. With several processes, the plan suits the slowest one.
    """
    seconds_left = max(0.0, recipe.budget_seconds - completed.seconds)
    measured = forecast.probe(segmenter, data, recipe, device, folder, group, fills_budget=fills_budget)
    epochs = recipe.epochs
    if fills_budget:
        epochs = group.reduce_min(completed.epochs + measured.epochs_within(seconds_left))
    if not group.rank:
        forecast.report(measured, epochs - completed.epochs, seconds_left, folder)
    return TrainingPlan(epochs=epochs, compile=measured.compile, device=device_kind(device), processes=group.world_size)


def _read(path: Path) -> TrainingPlan | None:
    try:
        return TrainingPlan(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        _log.warning("%s is not the plan of a training (%s): the training is planned again", path, error)
        return None


def _is_outdated(plan: TrainingPlan, path: Path, device: torch.device, group: Group) -> bool:
    here = (device_kind(device), group.world_size)
    if (plan.device, plan.processes) == here or checkpoint.completed(path).epochs >= plan.epochs:
        return False
    _log.info(
        "the plan is for %s and %s, but this is %s and %s: the training is planned again",
        *(plan.device, counted(plan.processes, "process")),
        *(here[0], counted(here[1], "process")),
    )
    return True


def _apply(plan: TrainingPlan, recipe: RunRecipe) -> RunRecipe:
    warmup = recipe.warmup_epochs
    if warmup >= plan.epochs:
        warmup = plan.epochs / 2
        _log.warning(
            "the budget allows %s, not more than train.warmup_epochs: the learning rate rises in the first half of the "
            "training; raise train.budget_hours or lower train.warmup_epochs",
            counted(plan.epochs, "epoch"),
        )
    planned = {"epochs": plan.epochs, "compile_mode": plan.compile, "warmup_epochs": warmup}
    return recipe.model_copy(update=planned)
