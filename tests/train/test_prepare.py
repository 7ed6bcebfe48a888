import sys

import pytest
import torch

from segpipe import params
from segpipe.commands import forecast
from segpipe.models import segmenter, weights
from segpipe.train import launch, prepare
from stages import train
from tests.conftest import ROOT

ENCODER = "mobilenetv3_small_050"


@pytest.fixture
def inputs_with(tmp_path, monkeypatch):
    """The name that training gives its checkpoint with some settings of train changed."""
    own = params.load()
    monkeypatch.chdir(tmp_path)
    prepare.STORE.mkdir(parents=True)
    for path in (prepare.STORE / "images.npy", prepare.SPLITS):
        path.write_bytes(b"the same")

    def inputs(network: segmenter.Segmenter | None = None, **changes: object) -> str:
        changed = own.model_copy(update={"train": own.train.model_copy(update={"weights": "random"} | changes)})
        return prepare.inputs(changed, network)

    return inputs


@pytest.mark.parametrize("change", [{"flip_test": True}, {"budget_hours": 1.0}, {"device": "cpu"}])
def test_a_setting_that_changes_no_weight_leaves_a_finished_training_finished(inputs_with, change):
    assert inputs_with(**change) == inputs_with()


@pytest.mark.parametrize("change", [{"lr": 0.5}, {"epochs": 3}, {"ema_decay": 0.5}])
def test_a_setting_that_changes_the_weights_starts_afresh(inputs_with, change):
    assert inputs_with(**change) != inputs_with()


def test_the_budget_decides_where_the_epochs_fill_it(inputs_with):
    assert inputs_with(epochs="auto", budget_hours=1.0) != inputs_with(epochs="auto", budget_hours=2.0)


@pytest.fixture
def started_from(tmp_path):
    """A network whose encoder starts from a file with the weights of that seed."""

    def started(seed: int, name: str = "weights.pt") -> segmenter.Segmenter:
        donor = segmenter.segmenter("fpn", ENCODER, 2, [True, True], seed)
        torch.save(donor.encoder.state_dict(), tmp_path / name)
        network = segmenter.segmenter("fpn", ENCODER, 2, [True, True])
        weights.load_pretrained(network, ENCODER, tmp_path / name)
        return network

    return started


def test_another_file_of_weights_under_the_same_name_starts_afresh(inputs_with, started_from):
    first = inputs_with(started_from(1), weights="file")
    assert inputs_with(started_from(2), weights="file") != first
    assert inputs_with(started_from(1), weights="file") == first
    assert inputs_with(started_from(1, "moved.pt"), weights="file", weights_file="moved.pt") == first


def test_weights_of_a_package_or_a_download_count_by_their_values(inputs_with, started_from):
    assert inputs_with(started_from(1), weights="imagenet") != inputs_with(started_from(2), weights="imagenet")


def test_a_file_that_is_not_used_does_not_count(inputs_with):
    assert inputs_with(weights_file="data/other.pt") == inputs_with()


@pytest.mark.parametrize("stage", [train, forecast])
def test_as_many_processes_as_asked_for_are_started(tmp_path, monkeypatch, stage):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("  processes: 1", "  processes: 2"))
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr(launch, "launch", lambda *given: started.append(given) or 3)
    with pytest.raises(SystemExit, match=r"^3$"):
        stage.main()
    assert started == [([sys.executable, "-m", stage.__name__], 2)]
