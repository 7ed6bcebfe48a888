import logging
from dataclasses import replace

import pytest
import torch

from segpipe.train import checkpoint, compiling, forecast, planning
from segpipe.train.compiling import Pace
from segpipe.train.distributed import SINGLE
from tests.train import tiny

GPU = torch.device("cuda")
HOUR = 3600.0


@pytest.fixture
def compiled_modes(monkeypatch):
    """The modes that torch.compile is called with. It traces the network and runs the trace without a C++ compiler."""
    compile_, modes = torch.compile, []

    def traced(network, mode, dynamic):
        modes.append(mode)
        return compile_(network, backend="eager", dynamic=dynamic)

    monkeypatch.setattr(torch, "compile", traced)
    yield modes
    torch.compiler.reset()


def test_compiling_is_tried_on_one_gpu_only_and_not_if_equal_bytes_are_required():
    recipe = tiny.recipe()
    assert compiling.candidate_modes(recipe, GPU, SINGLE, HOUR) == ("default", "reduce-overhead")
    assert compiling.candidate_modes(recipe, tiny.CPU, SINGLE, HOUR) == ()
    assert compiling.candidate_modes(recipe, GPU, replace(SINGLE, world_size=2), HOUR) == ()
    assert compiling.candidate_modes(recipe.model_copy(update={"strict": True}), GPU, SINGLE, HOUR) == ()
    assert compiling.candidate_modes(recipe.model_copy(update={"compile_mode": "off"}), GPU, SINGLE, HOUR) == ()
    assert compiling.candidate_modes(recipe, GPU, SINGLE, 60.0) == ()


def test_cuda_graphs_are_not_tried_with_accumulated_gradients():
    assert compiling.candidate_modes(tiny.recipe(accumulate=2), GPU, SINGLE, HOUR) == ("default",)


def test_the_fastest_mode_is_chosen_if_it_saves_more_time_than_compiling_needs(monkeypatch):
    clock = iter([0.0, 30.0, 100.0, 160.0] * 2)
    monkeypatch.setattr(compiling.time, "perf_counter", lambda: next(clock))
    paces = {"default": Pace(0.8, 0.1), "reduce-overhead": Pace(0.7, 0.2)}
    # 1000 steps: 1000 s, 30 + 800 s, 60 + 700 s; 200 steps: 200 s, 30 + 160 s, 60 + 140 s
    assert compiling.fastest_mode(Pace(1.0, 0.0), compiling.MODES, 1000, paces.get) == (
        "reduce-overhead",
        Pace(0.7, 0.2),
    )
    assert compiling.fastest_mode(Pace(1.0, 0.0), compiling.MODES, 200, paces.get) == ("default", Pace(0.8, 0.1))


def test_a_compiler_that_fails_is_logged_and_not_used(caplog):
    def measure(mode):
        raise RuntimeError(f"no C++\ncompiler for {mode}")

    assert compiling.fastest_mode(Pace(1.0, 0.0), ("default",), 1e6, measure) == ("off", Pace(1.0, 0.0))
    assert caplog.messages == [
        "torch.compile, mode default, does not work here: RuntimeError: no C++ compiler for default"
    ]


def test_a_plan_that_compiles_is_kept_and_trains_the_shipped_weights(tmp_path, monkeypatch, compiled_modes):
    monkeypatch.setattr(compiling, "candidate_modes", lambda *_: ("default",))
    monkeypatch.setattr(compiling, "fastest_mode", lambda plain, modes, steps, measure: (modes[0], measure(modes[0])))
    data, recipe = tiny.data(train=20), tiny.recipe(epochs=1, budget_seconds=HOUR)
    path = checkpoint.path_of(tmp_path, "abc")
    plan = planning.planned_recipe(tiny.segmenter(), data, recipe, path, tiny.CPU, fills_budget=False)
    assert plan == recipe.model_copy(update={"compile_mode": "default"})
    assert planning.planned_recipe(tiny.segmenter(), data, recipe, path, tiny.CPU, fills_budget=False) == plan
    network, records = tiny.fit(tmp_path / "compiled", data, plan)
    assert compiled_modes == ["default"] * 2  # the probe of the plan, the training
    plain, plain_records = tiny.fit(tmp_path / "plain", data, recipe)
    assert [r.train_loss for r in records] == pytest.approx([r.train_loss for r in plain_records], rel=1e-3)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, plain.state_dict()[name], rtol=0.05, atol=0.02)


def test_the_forecast_is_for_the_chosen_mode(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(compiling, "fastest_mode", lambda *_: ("reduce-overhead", Pace(0.5, 0.25)))
    with caplog.at_level(logging.INFO):
        measured = forecast.probe(tiny.segmenter(), tiny.data(), tiny.recipe(), tiny.CPU, tmp_path)
    assert (measured.compile, measured.step_seconds, measured.data_wait_share) == ("reduce-overhead", 0.5, 0.25)
