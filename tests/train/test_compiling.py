import logging
from dataclasses import replace

import pytest
import torch

from segpipe.train import checkpoint, compiling, forecast, planning
from segpipe.train.compiling import Pace
from segpipe.train.distributed import ALONE
from tests.train import tiny

GPU = torch.device("cuda")
HOUR = 3600.0


@pytest.fixture
def asked(monkeypatch):
    """The modes that torch.compile is asked for; it traces, but what it traced runs as it is: no C++ compiler."""
    compile_, modes = torch.compile, []

    def traced(network, mode, dynamic):
        modes.append(mode)
        return compile_(network, backend="eager", dynamic=dynamic)

    monkeypatch.setattr(torch, "compile", traced)
    yield modes
    torch.compiler.reset()


def test_compiling_is_tried_on_one_gpu_alone_and_not_where_equal_bytes_are_asked_for():
    recipe = tiny.recipe()
    assert compiling.candidates(recipe, GPU, ALONE, HOUR) == ("default", "reduce-overhead")
    assert compiling.candidates(recipe, tiny.CPU, ALONE, HOUR) == ()
    assert compiling.candidates(recipe, GPU, replace(ALONE, size=2), HOUR) == ()
    assert compiling.candidates(recipe.model_copy(update={"strict": True}), GPU, ALONE, HOUR) == ()
    assert compiling.candidates(recipe.model_copy(update={"compile_mode": "off"}), GPU, ALONE, HOUR) == ()
    assert compiling.candidates(recipe, GPU, ALONE, 60.0) == ()


def test_no_graph_is_replayed_while_gradients_are_summed_over_parts():
    assert compiling.candidates(tiny.recipe(accumulate=2), GPU, ALONE, HOUR) == ("default",)


def test_the_quickest_mode_is_taken_if_it_saves_more_than_compiling_takes(monkeypatch):
    clock = iter([0.0, 30.0, 100.0, 160.0] * 2)
    monkeypatch.setattr(compiling.time, "perf_counter", lambda: next(clock))
    paces = {"default": Pace(0.8, 0.1), "reduce-overhead": Pace(0.7, 0.2)}
    # 1000 steps: 1000 s, 30 + 800 s, 60 + 700 s; 200 steps: 200 s, 30 + 160 s, 60 + 140 s
    assert compiling.quickest(Pace(1.0, 0.0), compiling.MODES, 1000, paces.get) == ("reduce-overhead", Pace(0.7, 0.2))
    assert compiling.quickest(Pace(1.0, 0.0), compiling.MODES, 200, paces.get) == ("default", Pace(0.8, 0.1))


def test_a_compiler_that_fails_is_told_of_and_done_without(caplog):
    def measure(mode):
        raise RuntimeError(f"no C++\ncompiler for {mode}")

    assert compiling.quickest(Pace(1.0, 0.0), ("default",), 1e6, measure) == ("off", Pace(1.0, 0.0))
    assert caplog.messages == [
        "torch.compile, mode default, does not work here: RuntimeError: no C++ compiler for default"
    ]


def test_a_plan_that_compiles_is_kept_and_trains_what_is_shipped(tmp_path, monkeypatch, asked):
    monkeypatch.setattr(compiling, "candidates", lambda *_: ("default",))
    monkeypatch.setattr(compiling, "quickest", lambda plain, modes, steps, measure: (modes[0], measure(modes[0])))
    data, recipe = tiny.data(train=20), tiny.recipe(epochs=1, budget_seconds=HOUR)
    path = checkpoint.path_of(tmp_path, "abc")
    plan = planning.planned(tiny.segmenter(), data, recipe, path, tiny.CPU, fills_budget=False)
    assert plan == recipe.model_copy(update={"compile_mode": "default"})
    assert planning.planned(tiny.segmenter(), data, recipe, path, tiny.CPU, fills_budget=False) == plan
    network, records = tiny.fit(tmp_path / "compiled", data, plan)
    assert asked == ["default"] * 2  # the plan's probe, the training
    plain, own_records = tiny.fit(tmp_path / "plain", data, recipe)
    assert [r.train_loss for r in records] == pytest.approx([r.train_loss for r in own_records], rel=1e-3)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, plain.state_dict()[name], rtol=0.05, atol=0.02)


def test_the_forecast_is_of_the_mode_that_is_taken(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(compiling, "quickest", lambda *_: ("reduce-overhead", Pace(0.5, 0.25)))
    with caplog.at_level(logging.INFO):
        measured = forecast.probe(tiny.segmenter(), tiny.data(), tiny.recipe(), tiny.CPU, tmp_path)
    assert (measured.compile, measured.step_seconds, measured.data_wait_share) == ("reduce-overhead", 0.5, 0.25)
