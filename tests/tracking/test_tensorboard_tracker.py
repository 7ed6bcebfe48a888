import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from segpipe.tracking.run import open_trained, open_training
from segpipe.tracking.settings import Tracking
from segpipe.tracking.tracker import RunFacts

FACTS = RunFacts(
    name="unet",
    inputs="abcdef1234",
    params={"train": {"lr": 0.001, "scene": "a|b"}},
    tags={"git.dirty": "false"},
    classes=("sky",),
)
SETTINGS = Tracking(experiment="shapes", mlflow=False, tensorboard=True)


def events() -> EventAccumulator:
    return EventAccumulator("runs/unet-abcdef12").Reload()


def scalars(name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events().Scalars(name)]


def test_curves_sheets_params_and_tags_are_in_the_event_files(workplace):
    Image.fromarray(np.full((4, 6, 3), 200, np.uint8)).save("worst.png")
    with open_training(FACTS, SETTINGS) as run:
        for epoch, score in enumerate([0.25, 0.5]):
            run.log_metrics({"val": {"iou": {"sky": score}}}, step=epoch)
        run.log_metrics({"test": {"miou": 0.75}})
        run.log_steps({"step/loss": [4.0, math.nan, 3.0]}, first=1)
        for epoch in (1, 2):
            run.log_picture(Path("worst.png"), "predictions", step=epoch)
        run.log_file(Path("worst.png"), "samples")

    assert scalars("val/iou/sky") == [(0, 0.25), (1, 0.5)]
    assert scalars("test/miou") == [(0, 0.75)]
    assert scalars("step/loss") == [(1, 4.0), (3, 3.0)]
    assert [picture.step for picture in events().Images("predictions")] == [1, 2]
    [picture] = events().Images("samples/worst")
    assert (picture.height, picture.width) == (4, 6)
    [params] = events().Tensors("params/text_summary")
    assert b"| train.lr | 0.001 |\n| train.scene | a\\|b |\n" in params.tensor_proto.string_val[0]
    [tag] = events().Tensors("tags/git.dirty/text_summary")
    assert tag.tensor_proto.string_val[0] == b"false"


def test_a_continued_training_stores_no_step_twice(workplace):
    Image.new("RGB", (4, 3)).save("sheet.png")

    def stopped() -> None:
        with open_training(FACTS, SETTINGS) as run:
            run.log_metrics({"loss": 2.0}, step=0)
            run.log_steps({"step/loss": [4.0, 3.0]}, first=1)
            run.log_picture(Path("sheet.png"), "predictions", step=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with open_training(FACTS, SETTINGS) as run:
        run.log_metrics({"loss": 2.0}, step=0)
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_steps({"step/loss": [3.0, 2.0]}, first=2)
        for epoch in (1, 2):
            run.log_picture(Path("sheet.png"), "predictions", step=epoch)
    assert scalars("step/loss") == [(1, 4.0), (2, 3.0), (3, 2.0)]
    assert [picture.step for picture in events().Images("predictions")] == [1, 2]
    assert scalars("loss") == [(0, 2.0), (1, 1.0)]


def test_later_stages_find_the_run_by_the_model(workplace):
    Path("model.pt").write_bytes(b"weights")
    with open_training(FACTS, SETTINGS) as run:
        run.log_model(Path("model.pt"))
    with open_trained(Path("model.pt"), ("sky",), SETTINGS) as run:
        run.log_metrics({"test/miou": 0.75})
    assert scalars("test/miou") == [(0, 0.75)]


def test_an_unknown_model_creates_no_run(workplace, caplog):
    Path("model.pt").write_bytes(b"weights")
    with open_trained(Path("model.pt"), ("sky",), SETTINGS) as run:
        run.log_metrics({"test/miou": 0.75})
    assert not Path("runs").exists()
    assert "runs has no run that trained model" in caplog.text
