import dataclasses
import json
import logging

import pytest

from segpipe.train import checkpoint, planning
from segpipe.train.distributed import SINGLE, Group
from segpipe.train.planning import TrainingPlan
from tests.train import tiny
from tests.train.test_forecast import MINUTE

HERE = TrainingPlan(epochs=56, compile="off", device="cpu", processes=1)
RECIPE = tiny.recipe(budget_seconds=3600.0)


@pytest.fixture
def probes(monkeypatch):
    """One item per measurement; its result is always MINUTE."""
    made = []
    monkeypatch.setattr(planning.forecast, "probe", lambda *_, **__: made.append(1) or MINUTE)
    return made


def planned(path, fills_budget=True, recipe=RECIPE, group=SINGLE):
    return planning.planned_recipe(None, None, recipe, path, tiny.CPU, group, fills_budget=fills_budget)


def kept(path):
    return TrainingPlan(**json.loads(checkpoint.plan_path(path).read_text()))


def write(path, plan):
    checkpoint.plan_path(path).write_text(json.dumps(dataclasses.asdict(plan)))


def test_a_plan_is_made_once_and_kept(tmp_path, probes):
    path = tmp_path / "abc.pt"
    assert planned(path) == planned(path) == RECIPE.model_copy(update={"epochs": 56, "compile_mode": "off"})
    assert kept(path) == HERE
    assert len(probes) == 1


@pytest.mark.parametrize("there", [{"device": "NVIDIA T4", "compile": "reduce-overhead"}, {"processes": 4}])
def test_a_plan_for_another_device_is_made_again(tmp_path, probes, there):
    path = tmp_path / "abc.pt"
    write(path, dataclasses.replace(HERE, epochs=3000, **there))
    assert planned(path) == RECIPE.model_copy(update={"epochs": 56, "compile_mode": "off"})
    assert kept(path) == HERE


def test_the_rest_of_the_budget_is_planned_again_unless_the_training_is_finished(tmp_path, probes):
    path = checkpoint.path_of(tmp_path, "abc")
    tiny.fit(tmp_path, tiny.data(), tiny.recipe(epochs=2))
    for epochs, expected in ((2, 2), (3000, 2 + 56)):
        write(path, dataclasses.replace(HERE, epochs=epochs, device="NVIDIA T4"))
        assert planned(path).epochs == expected
    assert len(probes) == 1
    assert planned(path, fills_budget=False).epochs == 58


def test_rank_0_decides_whether_a_plan_is_kept(tmp_path, probes):
    path = tmp_path / "abc.pt"
    write(path, dataclasses.replace(HERE, epochs=5, device="NVIDIA T4"))
    assert planned(path, group=Group(1, 2)).epochs == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"epochs": 3}',
        '{"epochs": 0, "compile": "off", "device": "cpu", "processes": 1}',
        '{"epochs": "3", "compile": "off", "device": "cpu", "processes": 1}',
        '{"epochs": 3, "compile": "fast", "device": "cpu", "processes": 1}',
        "\xff",
    ],
)
def test_a_damaged_plan_is_a_warning_and_planned_again(tmp_path, probes, caplog, text):
    path = tmp_path / "abc.pt"
    checkpoint.plan_path(path).write_bytes(text.encode("latin-1"))
    assert planned(path).epochs == 56
    assert kept(path) == HERE
    assert f"{checkpoint.plan_path(path)} is not the plan of a training (" in caplog.text


def test_the_warm_up_is_at_most_half_of_the_planned_epochs(tmp_path, probes, caplog):
    recipe = tiny.recipe(warmup_epochs=1.0, budget_seconds=90.0)
    assert [planned(tmp_path / "abc.pt", recipe=recipe).warmup_epochs for _ in range(2)] == [0.5, 0.5]
    assert "the budget allows 1 epoch, not more than train.warmup_epochs" in caplog.text
    assert planned(tmp_path / "def.pt").warmup_epochs == RECIPE.warmup_epochs


def test_old_plans_are_removed_with_their_checkpoints(tmp_path):
    for name in ("a", "b", "c", "d", "current"):
        (tmp_path / f"{name}.pt").touch()
        (tmp_path / f"{name}.json").touch()
    checkpoint.remove_old(tmp_path / "current.pt")
    assert {path.stem for path in tmp_path.glob("*.json")} == {path.stem for path in tmp_path.glob("*.pt")}
    assert len(list(tmp_path.iterdir())) == 8


def test_a_new_training_is_forecast_and_a_resumed_training_is_not(tmp_path, caplog):
    path = checkpoint.path_of(tmp_path, "abc")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            plan = planning.planned_recipe(tiny.segmenter(), tiny.data(), RECIPE, path, tiny.CPU, fills_budget=False)
            assert plan == RECIPE.model_copy(update={"compile_mode": "off"})
    assert sum(message.startswith("forecast: ") for message in caplog.messages) == 2


def test_a_plan_that_fills_the_budget_sets_the_recipes_epochs(tmp_path):
    path = checkpoint.path_of(tmp_path, "abc")
    plan = planning.planned_recipe(tiny.segmenter(), tiny.data(), RECIPE, path, tiny.CPU, fills_budget=True)
    assert plan.epochs == kept(path).epochs > RECIPE.epochs
    assert plan.model_copy(update={"epochs": RECIPE.epochs, "compile_mode": RECIPE.compile_mode}) == RECIPE
