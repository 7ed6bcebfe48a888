"""The parts of a training that trackers show: curves in a real MLflow database, and sheets."""

import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from segpipe.tracking.run import open_training
from segpipe.tracking.settings import Tracking
from segpipe.tracking.tracker import RunFacts
from segpipe.train import augment, loop, monitor
from segpipe.train.data import training_batches
from segpipe.train.history import Predictions
from tests.tracking.test_run import only_run, pictures, steps
from tests.train import tiny

FACTS = RunFacts(name="unet", inputs="abcdef1234", classes=tiny.CLASSES)
SETTINGS = Tracking(experiment="shapes")


def train(data, recipe, sheets):
    training = loop.fit(tiny.segmenter(), data, recipe, Path("checkpoints"), "abc", tiny.CPU)
    with open_training(FACTS, SETTINGS) as run:
        return monitor.follow(training, run, data, sheets)


def test_a_run_shows_steps_epochs_classes_pace_and_predictions(mlflow_client):
    data = tiny.data()
    records = train(data, tiny.recipe(epochs=2), Path("sheets"))
    run = only_run(mlflow_client)
    assert steps(mlflow_client, run, "step/loss") == steps(mlflow_client, run, "step/lr") == [1, 2, 3, 4, 5, 6]
    of_epochs = {"train_loss", "val_loss", "val_miou", "images_per_second", "data_wait_share", "memory_mib", "lr"}
    of_epochs |= {f"val_iou/{name}" for name in ("background", "red", "green")}
    for name in of_epochs:
        assert steps(mlflow_client, run, f"epoch/{name}") == [1, 2], name
    assert run.data.metrics["epoch/val_iou/red"] == records[-1].val_iou["red"]
    assert pictures(mlflow_client, run) == [("validation_predictions", 1), ("validation_predictions", 2)]
    assert sorted(path.name for path in Path("sheets").iterdir()) == ["epoch-0001.png", "epoch-0002.png"]


def test_a_sheet_that_cannot_be_written_does_not_end_the_training(mlflow_client, caplog):
    Path("file").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        records = train(tiny.data(), tiny.recipe(epochs=1), Path("file/sheets"))
    assert [record.complete for record in records] == [True]
    assert "file/sheets/epoch-0001.png was not written (Not a directory)" in caplog.text


def test_equal_trainings_draw_equal_sheets(workplace):
    data, recipe = tiny.data(), tiny.recipe()
    preds = np.zeros((2, 40, 48), np.uint8)
    for name in ("a", "b"):
        monitor.write_training_sheet(Path(name), data, recipe)
        monitor.write_prediction_sheet(Path(name * 2), preds, data, "as shipped")
    assert Path("a").read_bytes() == Path("b").read_bytes()
    assert Path("aa").read_bytes() == Path("bb").read_bytes()
    with Image.open("a") as sheet:
        assert sheet.format == "PNG"


def test_predictions_are_those_of_the_network_after_the_epoch(tmp_path):
    data, network = tiny.data(val=20), tiny.segmenter()
    events = loop.fit(network, data, tiny.recipe(epochs=1), tmp_path, "abc", tiny.CPU)
    [predictions] = [event for event in events if isinstance(event, Predictions)]
    assert predictions.epoch == 1
    assert data.monitored_index.tolist() == [6 + i for i in (0, 2, 5, 7, 10, 12, 15, 17)]
    with torch.no_grad():
        images = torch.from_numpy(data.images[data.monitored_index]).permute(0, 3, 1, 2)
        expected = network(images).argmax(dim=1).numpy()
    assert np.array_equal(predictions.preds, expected)
    samples = monitor.validation_samples(data, predictions.preds)
    assert [sample.key for sample in samples[:2]] == ["image6", "image8"]
    assert np.array_equal(samples[1].truth, data.labels[8])
    assert np.array_equal(samples[1].pred, predictions.preds[1])


def test_the_training_samples_are_the_images_of_the_first_steps():
    data, recipe = tiny.data(train=7), tiny.recipe(batch_size=2)
    samples = monitor.training_samples(data, recipe)
    assert len(samples) == 8  # 4 steps of 2 images, the last one filled up
    first = next(training_batches(data, recipe, 1, 0, tiny.CPU))
    images, labels = augment.apply(first.images, first.labels, first.variations, recipe.crop)
    assert [sample.key for sample in samples[:2]] == list(first.keys)
    assert np.abs(samples[1].image - images[1].permute(1, 2, 0).numpy()).max() <= 0.5  # rounded
    assert np.array_equal(samples[1].truth, labels[1].numpy())
