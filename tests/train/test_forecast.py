import logging
import time
from collections import namedtuple
from dataclasses import replace

import pytest
import torch

from segpipe.train import checkpoint, forecast
from segpipe.train.forecast import Forecast
from tests.disk import full_disk
from tests.train import tiny

MINUTE = Forecast(
    step_seconds=2.0,
    steps=25,
    validation_seconds=10.0,
    save_seconds=3.0,
    save_every_seconds=300.0,
    data_wait_share=0.03,
    memory_bytes=3 * 2**30,
    disk_bytes=100 * 2**20,
)


def test_a_probe_measures_and_changes_nothing(tmp_path):
    network, data = tiny.segmenter(), tiny.data(train=12, val=5)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    measured = forecast.probe(network, data, tiny.recipe(), tiny.CPU, tmp_path)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert measured.steps == 6
    assert 0 < measured.step_seconds < 5
    assert 0 < measured.validation_seconds < 5
    assert 0 < measured.save_seconds < 5
    assert not list(tmp_path.iterdir())
    assert 0 <= measured.data_wait_share <= 1
    assert measured.memory_bytes > 50 * 2**20  # PyTorch alone


def test_the_disk_space_is_that_of_two_checkpoints_and_the_model(tmp_path):
    data, recipe = tiny.data(), tiny.recipe(epochs=1)
    measured = forecast.probe(tiny.segmenter(), data, recipe, tiny.CPU, tmp_path)
    network, _ = tiny.fit(tmp_path, data, recipe)
    tiny.save(tmp_path / "model.pt", network)
    written = 2 * checkpoint.path_of(tmp_path, "abc").stat().st_size + (tmp_path / "model.pt").stat().st_size
    assert measured.disk_bytes == pytest.approx(written, rel=0.2)  # names and the like


def test_without_validation_images_validation_takes_no_time(tmp_path):
    measured = forecast.probe(tiny.segmenter(), tiny.data(val=0), tiny.recipe(), tiny.CPU, tmp_path)
    assert measured.validation_seconds == 0


def test_one_time_costs_of_a_network_are_not_counted(tmp_path):
    network, warm_kinds = tiny.segmenter(), set()

    def first_is_slow(module, images):
        kind = (module.training, images[0].shape)
        if kind not in warm_kinds:
            time.sleep(1)  # like a GPU library that tries its kernels
        warm_kinds.add(kind)

    network.network.register_forward_pre_hook(first_is_slow)
    data = tiny.data(train=2, val=40)  # an epoch of one step, and 20 batches of validation
    measured = forecast.probe(network, data, tiny.recipe(), tiny.CPU, tmp_path)
    assert len(warm_kinds) == 2
    assert measured.step_seconds < 0.9
    assert measured.validation_seconds < 9  # 1 s scaled up would be 10


def test_a_disk_too_full_for_a_checkpoint_is_a_warning(tmp_path, caplog):
    with full_disk(2**16):
        forecast.probe(tiny.segmenter(), tiny.data(), tiny.recipe(), tiny.CPU, tmp_path)
    assert caplog.messages == [f"no checkpoint can be written to {tmp_path} (File too large)"]
    assert not list(tmp_path.iterdir())


def test_epochs_fill_95_percent_of_the_budget_less_the_checkpoints():
    assert MINUTE.epoch_seconds == pytest.approx(60.6)  # 3 s of 300 s are for a checkpoint
    assert MINUTE.seconds(10) == pytest.approx(606 + 6)  # the first one and the last
    assert MINUTE.epochs_within(3600) == 56  # (3420 - 6) / 60.6
    assert MINUTE.epochs_within(1) == 1
    after_each_step = replace(MINUTE, save_every_seconds=0.0)
    assert after_each_step.epoch_seconds == pytest.approx(60 * (1 + 3 / 2))


def test_a_forecast_is_two_log_lines(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        forecast.report(MINUTE, 30, 3600, tmp_path / "not" / "yet")
    first, second = caplog.messages
    assert first == (
        "forecast: 30 epochs of 60.6 s (25 steps of 2.00 s, then 10.0 s of validation): 30 min of a budget of 60 min"
    )
    assert second.startswith("forecast: 3072 MiB of memory, 100 MiB of disk (")
    assert second.endswith(" MiB free), 3.0 s per checkpoint, 3 % of the time waiting for images")


def test_a_budget_or_a_disk_that_is_too_small_is_a_warning(tmp_path, caplog, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda path: usage(2**30, 2**30, 2**20))
    forecast.report(MINUTE, 100, 3600, tmp_path)
    forecast.report(MINUTE, 1, 30, tmp_path)
    assert caplog.messages[::2] == [
        "the budget ends the training after about 59 of 100 epochs; set train.epochs: auto to fit them",
        "the budget ends the training after about 0 of 1 epoch; raise train.budget_hours",
    ]
    assert caplog.messages[1::2] == ["the disk has too little space for checkpoint and model"] * 2
