"""W&B without a network: runs are folders that `wandb sync` uploads later."""

import importlib.util
import json
import math
import time
from pathlib import Path

import pytest
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.tracking.run import open_trained, open_training
from segpipe.tracking.settings import Tracking
from segpipe.tracking.tracker import RunFacts

FACTS = RunFacts(
    name="unet", inputs="abcdef1234", params={"train": {"lr": 0.001}}, tags={"git.dirty": "false"}, classes=("sky",)
)
OFFLINE = Tracking(experiment="shapes", mlflow=False, wandb="offline")
INSTALLED = importlib.util.find_spec("wandb") is not None


@pytest.fixture
def no_login(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workplace without a W&B login."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(workplace))
    monkeypatch.setenv("NETRC", str(workplace / "netrc"))
    return workplace


@pytest.mark.skipif(INSTALLED, reason="wandb is installed")
def test_without_the_package_there_is_an_error_before_the_run(workplace):
    with pytest.raises(UserError) as caught:
        open_training(FACTS, OFFLINE)
    assert str(caught.value) == (
        "tracking.wandb in params.yaml is on, but wandb is not installed; run `pip install segpipe[wandb]` "
        "or set tracking.wandb: off"
    )


@pytest.mark.skipif(not INSTALLED, reason="needs the extra wandb")
def test_an_offline_run_has_params_curves_and_files(no_login):
    Path("params.yaml").write_text("seed: 7\n")
    Path("model.pt").write_bytes(b"weights")
    Image.new("RGB", (4, 3)).save("sheet.png")
    with open_training(FACTS, OFFLINE) as run:
        for epoch, score in enumerate([0.25, 0.5]):
            run.log_metrics({"val": {"iou": {"sky": score}}}, step=epoch)
        run.log_metrics({"test": {"miou": 0.75}})
        run.log_steps({"step/loss": [4.0, math.nan, 3.0], "step/lr": [0.1, 0.2, 0.3]}, first=1)
        run.log_picture(Path("sheet.png"), "predictions", step=2)
        run.log_file(Path("params.yaml"), "settings")
        run.log_model(Path("model.pt"))
    [folder] = Path("wandb").glob("offline-run-*")
    [log] = folder.glob("run-*.wandb")
    expected = (
        b"val/iou/sky",
        b"test/miou",
        b"step/loss",
        b"step/lr",
        b"predictions",
        b"train",
        b"lr",
        b"git.dirty",
        b"unet-abcdef12",
    )
    until = time.monotonic() + 20  # W&B writes in another process, at the latest when this one ends
    while not all(text in log.read_bytes() for text in expected):
        assert time.monotonic() < until, f"one of {expected} is not in {log}"
        time.sleep(0.05)
    assert list(folder.glob("files/media/images/predictions*.png"))
    assert json.loads(next(Path("wandb").glob("*.json")).read_text()) == {"epoch": 1, "predictions": 2, "step": 3}
    assert (folder / "files/settings/params.yaml").read_text() == "seed: 7\n"
    assert (folder / "files/model/model.pt").read_bytes() == b"weights"
    assert not list(Path(".segpipe/tracking").glob("*.jsonl"))


@pytest.mark.skipif(not INSTALLED, reason="needs the extra wandb")
def test_a_continued_offline_run_stores_nothing_twice(no_login):
    for _ in range(2):
        run = open_training(FACTS, OFFLINE)
        run.log_steps({"step/loss": [4.0, 3.0]}, first=1)
        run.log_metrics({"loss": 2.0}, step=1)
        run.end("KILLED", 30.0)
    first, second = sorted(Path("wandb").glob("offline-run-*/run-*.wandb"), key=lambda log: log.stat().st_mtime)
    assert b"step/loss" in first.read_bytes()
    assert b"step/loss" not in second.read_bytes().replace(b"step/*", b"")


@pytest.mark.skipif(not INSTALLED, reason="needs the extra wandb")
def test_later_stages_add_to_the_same_run(no_login):
    Path("model.pt").write_bytes(b"weights")
    with open_training(FACTS, OFFLINE) as run:
        run.log_model(Path("model.pt"))
    with open_trained(Path("model.pt"), ("sky",), OFFLINE) as run:
        run.log_metrics({"test/miou": 0.75})
    logs = [log.name for log in Path("wandb").glob("offline-run-*/run-*.wandb")]
    assert len(logs) == 2
    assert len(set(logs)) == 1  # the file name has the run's id


@pytest.mark.skipif(not INSTALLED, reason="needs the extra wandb")
def test_online_mode_without_a_key_is_an_error_before_the_training(no_login):
    with pytest.raises(UserError, match=r"there is no W&B key; run `wandb login`"):
        open_training(FACTS, Tracking(experiment="shapes", mlflow=False, wandb="online"))
