"""For how many epochs to train: decided once, kept beside the checkpoint, and told with what to expect of it."""

import dataclasses
import json
from pathlib import Path

import torch

from segpipe import files
from segpipe.models.build import Segmenter
from segpipe.training import checkpoint, forecast
from segpipe.training.batches import TrainingData
from segpipe.training.forecast import Forecast
from segpipe.training.recipe import Recipe
from segpipe.training.team import ALONE, Team


def planned(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: Recipe,
    path: Path,
    device: torch.device,
    team: Team = ALONE,
    *,
    fills_budget: bool,
) -> Recipe:
    """`recipe` for the epochs it says, or for as many as fill its budget; a new training is forecast in the log.

    path: the training's checkpoint, there or not. Raises OSError.
    """
    if path.is_file() and not fills_budget:
        return recipe
    measured, budget = forecast.probe(segmenter, data, recipe, device, team), recipe.budget_seconds
    assert budget is not None
    if fills_budget:
        recipe = dataclasses.replace(recipe, epochs=kept_plan(checkpoint.note_of(path), measured, budget, team))
    forecast.tell(measured, recipe.epochs, budget, path.parent)
    return recipe


def kept_plan(note: Path, measured: Forecast, budget_seconds: float, team: Team = ALONE) -> int:
    """How many epochs fill the budget: what the note says, so that a resumed training keeps its plan, else as forecast.

    In a team everybody plans what the slowest can do, and the first writes the note. Raises OSError.
    """
    if note.is_file():
        return int(json.loads(note.read_text(encoding="utf-8"))["epochs"])
    epochs = team.least(measured.epochs_within(budget_seconds))
    if not team.rank:
        files.write_json(note, {"epochs": epochs})
    return epochs
