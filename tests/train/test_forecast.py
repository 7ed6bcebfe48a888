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


def test_the_disk_is_that_of_two_checkpoints_and_the_model(tmp_path):
    data, recipe = tiny.data(), tiny.recipe(epochs=1)
    measured = forecast.probe(tiny.segmenter(), data, recipe, tiny.CPU, tmp_path)
    network, _ = tiny.fit(tmp_path, data, recipe)
    tiny.save(tmp_path / "model.pt", network)
    written = 2 * checkpoint.path_of(tmp_path, "abc").stat().st_size + (tmp_path / "model.pt").stat().st_size
    assert measured.disk_bytes == pytest.approx(written, rel=0.2)  # names and the like


def test_without_validation_pictures_validation_takes_no_time(tmp_path):
    measured = forecast.probe(tiny.segmenter(), tiny.data(val=0), tiny.recipe(), tiny.CPU, tmp_path)
    assert measured.validation_seconds == 0


def test_what_a_network_does_only_once_is_no_part_of_a_step_or_a_validation(tmp_path):
    network, known = tiny.segmenter(), set()

    def first_is_slow(module, images):
        kind = (module.training, images[0].shape)
        if kind not in known:
            time.sleep(1)  # as a GPU's library that tries its kernels
        known.add(kind)

    network.network.register_forward_pre_hook(first_is_slow)
    data = tiny.data(train=2, val=40)  # an epoch of one step, and 20 batches of validation
    measured = forecast.probe(network, data, tiny.recipe(), tiny.CPU, tmp_path)
    assert len(known) == 2
    assert measured.step_seconds < 0.9
    assert measured.validation_seconds < 9  # 1 s scaled up would be 10


def test_a_disk_that_takes_no_checkpoint_is_warned_of(tmp_path, caplog):
    with full_disk(2**16):
        forecast.probe(tiny.segmenter(), tiny.data(), tiny.recipe(), tiny.CPU, tmp_path)
    assert caplog.messages == [f"no checkpoint can be written to {tmp_path} (File too large)"]
    assert not list(tmp_path.iterdir())


def test_the_epochs_that_fill_a_budget_leave_a_twentieth_of_it_and_room_for_checkpoints():
    assert MINUTE.epoch_seconds == pytest.approx(60.6)  # 3 s of 300 s are a checkpoint's
    assert MINUTE.seconds(10) == pytest.approx(606 + 6)  # the first one and the last
    assert MINUTE.epochs_within(3600) == 56  # (3420 - 6) / 60.6
    assert MINUTE.epochs_within(1) == 1
    after_each_step = replace(MINUTE, save_every_seconds=0.0)
    assert after_each_step.epoch_seconds == pytest.approx(60 * (1 + 3 / 2))


def test_what_to_expect_is_told_in_two_lines(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        forecast.tell(MINUTE, 30, 3600, tmp_path / "not" / "yet")
    first, second = caplog.messages
    assert first == (
        "forecast: 30 epochs of 60.6 s (25 steps of 2.00 s, then 10.0 s of validation): 30 min of a budget of 60 min"
    )
    assert second.startswith("forecast: 3072 MiB of memory, 100 MiB of disk (")
    assert second.endswith(" MiB free), 3.0 s for a checkpoint, 3 % of the time waiting for pictures")


def test_a_budget_that_will_not_do_and_a_full_disk_are_warned_of(tmp_path, caplog, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda path: usage(2**30, 2**30, 2**20))
    forecast.tell(MINUTE, 100, 3600, tmp_path)
    forecast.tell(MINUTE, 1, 30, tmp_path)
    assert caplog.messages[::2] == [
        "the budget ends training after about 59 of 100 epochs; train.epochs: auto fits them",
        "the budget ends training after about 0 of 1 epochs; raise train.budget_hours",
    ]
    assert caplog.messages[1::2] == ["the disk is too full for checkpoint and model"] * 2
