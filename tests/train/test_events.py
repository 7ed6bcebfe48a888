"""What a training tells besides its epochs."""

import math

import numpy as np
import torch

from segpipe.train import augment, loop, monitor, optimizer
from segpipe.train import data as batches
from segpipe.train.events import Predictions, Steps
from segpipe.train.history import EpochRecord
from tests.train import tiny


def told(folder, data, recipe, network=None):
    return list(loop.fit(network or tiny.segmenter(), data, recipe, folder, "abc", tiny.CPU))


def curve(events):
    """(step, loss, learning rate) of every step that was told."""
    return [
        (event.first + i, *values)
        for event in events
        if isinstance(event, Steps)
        for i, values in enumerate(zip(event.losses, event.lrs, strict=True))
    ]


def test_every_step_is_told_once_before_its_epochs_record(tmp_path):
    recipe = tiny.recipe(epochs=2, warmup_epochs=1.0)
    events = told(tmp_path, tiny.data(), recipe)
    assert [type(event) for event in events] == [Steps, EpochRecord, Predictions] * 2
    assert [step for step, _, _ in curve(events)] == [1, 2, 3, 4, 5, 6]
    rates = [recipe.lr * optimizer.lr_factor(step, 6, 3) for step in range(6)]
    assert [lr for _, _, lr in curve(events)] == rates
    losses = [loss for _, loss, _ in curve(events)]
    records = tiny.epochs(events)
    assert [record.train_loss for record in records] == [sum(losses[:3]) / 3, sum(losses[3:]) / 3]
    assert all(record.memory_mib > 50 for record in records)


def test_steps_are_told_while_an_epoch_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_TELL_SECONDS", 0.0)
    events = told(tmp_path, tiny.data(), tiny.recipe(epochs=1))
    assert [event.first for event in events if isinstance(event, Steps)] == [1, 2, 3]


def test_a_step_that_showed_no_label_has_no_loss(tmp_path):
    data = tiny.data()
    data.labels[data.train_index] = 255
    assert all(math.isnan(loss) for _, loss, _ in curve(told(tmp_path, data, tiny.recipe(epochs=1))))


def test_a_resumed_training_tells_the_earlier_steps_again_and_none_twice(tmp_path):
    data, recipe = tiny.data(), tiny.recipe(checkpoint_minutes=0)
    whole = curve(told(tmp_path / "whole", data, recipe))
    begun = loop.fit(tiny.segmenter(), data, recipe, tmp_path / "cut", "abc", tiny.CPU)
    next(event for event in begun if isinstance(event, EpochRecord))
    begun.close()
    assert curve(told(tmp_path / "cut", data, recipe)) == whole


def test_predictions_are_the_networks_at_that_epoch(tmp_path):
    data, network = tiny.data(val=20), tiny.segmenter()
    events = told(tmp_path, data, tiny.recipe(epochs=1), network)
    [predictions] = [event for event in events if isinstance(event, Predictions)]
    assert predictions.epoch == 1
    assert monitor.validation_positions(data).tolist() == [6 + i for i in (0, 2, 5, 7, 10, 12, 15, 17)]
    with torch.no_grad():
        images = torch.from_numpy(data.images[monitor.validation_positions(data)]).permute(0, 3, 1, 2)
        expected = network(images).argmax(dim=1).numpy()
    assert np.array_equal(predictions.preds, expected)
    pictures = monitor.validation_pictures(data, predictions.preds)
    assert [picture.key for picture in pictures[:2]] == ["picture6", "picture8"]
    assert np.array_equal(pictures[1].truth, data.labels[8])
    assert np.array_equal(pictures[1].pred, predictions.preds[1])


def test_predictions_are_shown_after_the_first_epoch_the_last_and_some_between():
    data = tiny.data()
    assert [epoch for epoch in range(1, 41) if monitor.is_due(epoch, 40, data)] == [1, 5, 10, 15, 20, 25, 30, 35, 40]
    assert [epoch for epoch in range(1, 4) if monitor.is_due(epoch, 3, data)] == [1, 2, 3]
    assert not monitor.is_due(1, 1, tiny.data(val=0))


def test_the_training_pictures_that_are_shown_are_those_of_the_first_steps():
    data, recipe = tiny.data(train=7), tiny.recipe(batch_size=2)
    pictures = monitor.training_pictures(data, recipe)
    assert len(pictures) == 8  # 4 steps of 2, the last one filled up
    first = next(batches.training_batches(data, recipe, 1, 0, tiny.CPU))
    images, truths = augment.apply(first.images, first.labels, first.draws, recipe.crop_hw)
    assert [picture.key for picture in pictures[:2]] == list(first.keys)
    assert np.abs(pictures[1].image - images[1].permute(1, 2, 0).numpy()).max() <= 0.5  # rounded
    assert np.array_equal(pictures[1].truth, truths[1].numpy())
