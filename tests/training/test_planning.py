import dataclasses
import json
import logging

from segpipe.training import checkpoint, planning
from tests.training import tiny
from tests.training.test_forecast import MINUTE


def test_a_plan_is_made_once_and_kept(tmp_path, monkeypatch):
    path, recipe = tmp_path / "abc.pt", tiny.recipe(budget_seconds=3600.0)
    monkeypatch.setattr(planning.forecast, "probe", lambda *_, **__: MINUTE)
    planned = planning.planned(None, None, recipe, path, tiny.CPU, fills_budget=True)
    assert planned == dataclasses.replace(recipe, epochs=57, compile="off")
    assert json.loads(checkpoint.note_of(path).read_text()) == {"epochs": 57, "compile": "off"}
    monkeypatch.setattr(planning.forecast, "probe", None)
    assert planning.planned(None, None, recipe, path, tiny.CPU, fills_budget=True) == planned


def test_old_plans_go_with_their_checkpoints(tmp_path):
    for name in ("a", "b", "c", "d", "own"):
        (tmp_path / f"{name}.pt").touch()
        (tmp_path / f"{name}.json").touch()
    checkpoint.keep_few(tmp_path / "own.pt")
    assert {path.stem for path in tmp_path.glob("*.json")} == {path.stem for path in tmp_path.glob("*.pt")}
    assert len(list(tmp_path.iterdir())) == 8


def test_a_new_training_is_forecast_and_one_that_goes_on_is_not(tmp_path, caplog):
    path = checkpoint.path_of(tmp_path, "abc")
    recipe, data = tiny.recipe(budget_seconds=3600.0), tiny.data()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            planned = planning.planned(tiny.segmenter(), data, recipe, path, tiny.CPU, fills_budget=False)
            assert planned == dataclasses.replace(recipe, compile="off")
    assert sum(message.startswith("forecast: ") for message in caplog.messages) == 2


def test_a_plan_that_fills_the_budget_is_the_recipes_number_of_epochs(tmp_path):
    path = checkpoint.path_of(tmp_path, "abc")
    recipe = tiny.recipe(budget_seconds=3600.0)
    planned = planning.planned(tiny.segmenter(), tiny.data(), recipe, path, tiny.CPU, fills_budget=True)
    assert planned.epochs == json.loads(checkpoint.note_of(path).read_text())["epochs"] > recipe.epochs
    assert dataclasses.replace(planned, epochs=recipe.epochs, compile=recipe.compile) == recipe
