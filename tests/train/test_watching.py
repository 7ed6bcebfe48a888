"""A whole training in a real MLflow database: what its pages then have to show."""

import logging
from pathlib import Path

import numpy as np
from PIL import Image

from segpipe.tracking.run import open_training
from segpipe.tracking.settings import Tracking
from segpipe.tracking.tracker import RunFacts
from segpipe.train import loop, watching
from tests.tracking.test_run import only_run, pictures, steps
from tests.train import tiny

FACTS = RunFacts(name="unet", inputs="abcdef1234", classes=tiny.CLASSES)
SETTINGS = Tracking(experiment="shapes")


def train(data, recipe, sheets):
    training = loop.fit(tiny.segmenter(), data, recipe, Path("checkpoints"), "abc", tiny.CPU)
    with open_training(FACTS, SETTINGS) as run:
        return watching.follow(training, run, data, sheets)


def test_a_run_shows_steps_epochs_classes_pace_and_predictions(mlflow_client):
    data = tiny.data()
    records = train(data, tiny.recipe(epochs=2), Path("sheets"))
    found = only_run(mlflow_client)
    assert steps(mlflow_client, found, "step/loss") == steps(mlflow_client, found, "step/lr") == [1, 2, 3, 4, 5, 6]
    of_epochs = {"train_loss", "val_loss", "val_miou", "images_per_second", "data_wait_share", "memory_mib", "lr"}
    of_epochs |= {f"val_iou/{name}" for name in ("background", "red", "green")}
    for name in of_epochs:
        assert steps(mlflow_client, found, f"epoch/{name}") == [1, 2], name
    assert found.data.metrics["epoch/val_iou/red"] == records[-1].val_iou["red"]
    assert pictures(mlflow_client, found) == [("validation_predictions", 1), ("validation_predictions", 2)]
    assert sorted(path.name for path in Path("sheets").iterdir()) == ["epoch-0001.png", "epoch-0002.png"]


def test_a_sheet_that_cannot_be_written_ends_no_training(mlflow_client, caplog):
    Path("file").write_text("where the folder should be")
    with caplog.at_level(logging.WARNING):
        records = train(tiny.data(), tiny.recipe(epochs=1), Path("file/sheets"))
    assert [record.complete for record in records] == [True]
    assert "file/sheets/epoch-0001.png was not written (Not a directory)" in caplog.text


def test_equal_trainings_draw_equal_sheets(workplace):
    data, recipe = tiny.data(), tiny.recipe()
    preds = np.zeros((2, 40, 48), np.uint8)
    for name in ("a", "b"):
        watching.write_training_pictures(Path(name), data, recipe)
        watching.write_predictions(Path(name * 2), preds, data, "as shipped")
    assert Path("a").read_bytes() == Path("b").read_bytes()
    assert Path("aa").read_bytes() == Path("bb").read_bytes()
    with Image.open("a") as sheet:
        assert sheet.format == "PNG"
