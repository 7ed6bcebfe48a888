import argparse
import sys

import numpy as np
import pytest
import torch

from segpipe import params
from segpipe.commands import forecast
from segpipe.data.store import Store
from segpipe.models import weights
from segpipe.models.segmenter import Segmenter, build_segmenter
from segpipe.train import distributed, prepare
from stages import train
from tests import stores
from tests.conftest import ROOT

ENCODER = "mobilenetv3_small_050"


@pytest.fixture
def inputs_with(tmp_path, monkeypatch):
    """A function that returns the hash of the inputs after changes of section `train`."""
    settings = params.load()
    monkeypatch.chdir(tmp_path)
    images = np.zeros((2, 8, 8, 3), np.uint8)
    store = stores.put(tmp_path / "data", images, images[..., 0])
    prepare.SPLITS.write_bytes(b"the same")

    def inputs(network: Segmenter | None = None, store: Store = store, **changes: object) -> str:
        recipe = settings.train.model_copy(update={"weights": "random"} | changes)
        return prepare.inputs(recipe, store, network, settings.seed)

    return inputs


@pytest.mark.parametrize("change", [{"flip_test": True}, {"budget_hours": 1.0}])
def test_a_setting_that_does_not_change_the_weights_leaves_the_hash_unchanged(inputs_with, change):
    assert inputs_with(**change) == inputs_with()


@pytest.mark.parametrize("change", [{"lr": 0.5}, {"epochs": 3}, {"ema_decay": 0.5}])
def test_a_setting_that_changes_the_weights_changes_the_hash(inputs_with, change):
    assert inputs_with(**change) != inputs_with()


def test_other_images_and_other_splits_change_the_hash(inputs_with, tmp_path):
    before, images = inputs_with(), np.ones((2, 8, 8, 3), np.uint8)
    assert inputs_with(store=stores.put(tmp_path / "other", images, images[..., 0])) != before
    prepare.SPLITS.write_bytes(b"others")
    assert inputs_with() != before


def test_the_budget_changes_the_hash_if_the_epochs_fill_it(inputs_with):
    assert inputs_with(epochs="auto", budget_hours=1.0) != inputs_with(epochs="auto", budget_hours=2.0)


@pytest.fixture
def started_from(tmp_path):
    """A function that returns a network whose encoder is loaded from a file with the weights of a seed."""

    def started(seed: int, name: str = "weights.pt") -> Segmenter:
        donor = build_segmenter("fpn", ENCODER, 2, [True, True], seed)
        torch.save(donor.encoder.state_dict(), tmp_path / name)
        network = build_segmenter("fpn", ENCODER, 2, [True, True])
        weights.load_pretrained(network, ENCODER, tmp_path / name)
        return network

    return started


def test_other_weights_in_a_file_of_the_same_name_change_the_hash(inputs_with, started_from):
    first = inputs_with(started_from(1), weights="file")
    assert inputs_with(started_from(2), weights="file") != first
    assert inputs_with(started_from(1), weights="file") == first
    assert inputs_with(started_from(1, "moved.pt"), weights="file", weights_file="moved.pt") == first


def test_weights_of_a_package_or_a_download_count_by_their_values(inputs_with, started_from):
    assert inputs_with(started_from(1), weights="imagenet") != inputs_with(started_from(2), weights="imagenet")


def test_a_file_that_is_not_used_does_not_count(inputs_with):
    assert inputs_with(weights_file="data/other.pt") == inputs_with()


@pytest.mark.parametrize(
    ("run", "command"),
    [(train.main, ["stages.train"]), (lambda: forecast.run(argparse.Namespace()), ["segpipe", "forecast"])],
)
def test_train_processes_is_the_number_of_started_processes(tmp_path, monkeypatch, run, command):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("train:\n", "train:\n  processes: 2\n"))
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr(distributed, "launch", lambda *args: started.append(args) or 3)
    with pytest.raises(SystemExit, match=r"^3$"):
        run()
    assert started == [([sys.executable, "-m", *command], 2)]
