"""For how many epochs and how to train: decided once, kept beside the checkpoint, and told with what to expect."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from segpipe import files
from segpipe.models.build import Segmenter
from segpipe.training import checkpoint, forecast
from segpipe.training.batches import TrainingData
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
    """`recipe` for the epochs it says, or for as many as fill its budget, compiled if that pays.

    path: the training's checkpoint, there or not. A new training is forecast in the log; one that goes on keeps its
    plan, that of the note beside the checkpoint. In a team everybody plans what the slowest can do, and the first
    writes the note. Raises OSError.
    """
    note = checkpoint.note_of(path)
    if note.is_file():
        return dataclasses.replace(recipe, **json.loads(note.read_text(encoding="utf-8")))
    budget = recipe.budget_seconds
    assert budget is not None
    measured = forecast.probe(segmenter, data, recipe, device, team, fills_budget=fills_budget)
    epochs = team.least(measured.epochs_within(budget)) if fills_budget else recipe.epochs
    plan: dict[str, Any] = {"epochs": epochs, "compile": measured.compile}
    if not team.rank:
        files.write_json(note, plan)
    forecast.tell(measured, epochs, budget, path.parent)
    return dataclasses.replace(recipe, **plan)
