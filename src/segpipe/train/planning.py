"""For how many epochs and how to train: decided once, kept beside the checkpoint, and told with what to expect."""

import dataclasses
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from segpipe.core import files
from segpipe.models import device as devices
from segpipe.models.segmenter import Segmenter
from segpipe.train import checkpoint, compiling, forecast
from segpipe.train.checkpoint import NOTHING, Reached
from segpipe.train.data import TrainingData
from segpipe.train.distributed import ALONE, Team
from segpipe.train.recipe import CompileMode, RunRecipe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How many epochs, compiled in which mode of segpipe.train.compiling or "off"; and where that was measured: the
    kind of device and how many processes. Raises ValueError for anything else."""

    epochs: int
    compile: CompileMode
    device: str
    processes: int

    def __post_init__(self) -> None:
        if type(self.epochs) is not int or self.epochs < 1 or self.compile not in (*compiling.MODES, "off"):
            raise ValueError(f"no plan: {self.epochs!r} epochs, compile {self.compile!r}")


def planned(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: RunRecipe,
    path: Path,
    device: torch.device,
    team: Team = ALONE,
    *,
    fills_budget: bool,
) -> RunRecipe:
    """`recipe` for the epochs it says, or for as many as fill its budget, compiled if that pays.

    path: the training's checkpoint, there or not. A new training is forecast in the log; one that goes on keeps its
    plan, that of the note beside the checkpoint, unless that was made on another kind of device: then what is left of
    the budget is planned again. In a team the first process decides and writes the note. Raises OSError.
    """
    note = checkpoint.note_of(path)
    plan = _kept(note)
    if team.any(plan is None or (not team.rank and _is_outdated(plan, path, device, team))):
        reached = checkpoint.reached(path)
        plan = made(segmenter, data, recipe, path.parent, device, team, fills_budget=fills_budget, reached=reached)
        if not team.rank:
            files.write_json(note, dataclasses.asdict(plan))
    assert plan is not None
    return _followed(recipe, plan)


def made(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: RunRecipe,
    folder: Path,
    device: torch.device,
    team: Team = ALONE,
    *,
    fills_budget: bool,
    reached: Reached = NOTHING,
) -> Plan:
    """Measure a few steps, log what to expect, and plan what is left to do after what is `reached`.

    folder: for checkpoints; nothing stays there. In a team everybody plans what the slowest can do.
    """
    left = max(0.0, recipe.budget_seconds - reached.seconds)
    measured = forecast.probe(segmenter, data, recipe, device, folder, team, fills_budget=fills_budget)
    epochs = recipe.epochs
    if fills_budget:
        epochs = team.least(reached.epochs + measured.epochs_within(left))
    if not team.rank:
        forecast.tell(measured, epochs - reached.epochs, left, folder)
    return Plan(epochs=epochs, compile=measured.compile, device=devices.kind(device), processes=team.size)


def _kept(note: Path) -> Plan | None:
    try:
        return Plan(**json.loads(note.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        _log.warning("%s is no plan of a training (%s): it is planned again", note, error)
        return None


def _is_outdated(plan: Plan, path: Path, device: torch.device, team: Team) -> bool:
    here = (devices.kind(device), team.size)
    if (plan.device, plan.processes) == here or checkpoint.reached(path).epochs >= plan.epochs:
        return False
    _log.info("planned for %s, %d processes, and now %s, %d: it is planned again", plan.device, plan.processes, *here)
    return True


def _followed(recipe: RunRecipe, plan: Plan) -> RunRecipe:
    warmup = recipe.warmup_epochs
    if warmup >= plan.epochs:
        warmup = plan.epochs / 2
        _log.warning(
            "%d epochs fill the budget, fewer than train.warmup_epochs: the learning rate rises in the first half of "
            "them; raise train.budget_hours or lower train.warmup_epochs",
            plan.epochs,
        )
    planned = {"epochs": plan.epochs, "compile_mode": plan.compile, "warmup_epochs": warmup}
    return recipe.model_copy(update=planned)
