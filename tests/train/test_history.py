"""Records, events and curves of a training."""

import dataclasses
import math

from segpipe.train import history, loop, optimizer
from segpipe.train.history import EpochRecord, Predictions, StepValues
from tests.train import tiny
from tests.train.test_progress import RECORD


def events_of(folder, data, recipe, **options):
    return list(loop.fit(tiny.segmenter(), data, recipe, folder, "abc", tiny.CPU, **options))


def curve(events):
    """(step, loss, learning rate) of every step in the events."""
    return [
        (event.first + i, *values)
        for event in events
        if isinstance(event, StepValues)
        for i, values in enumerate(zip(event.losses, event.lrs, strict=True))
    ]


def test_every_step_is_reported_once_before_its_epochs_record(tmp_path):
    recipe = tiny.recipe(epochs=2, warmup_epochs=1.0)
    events = events_of(tmp_path, tiny.data(), recipe)
    assert [type(event) for event in events] == [StepValues, EpochRecord, Predictions] * 2
    assert [step for step, _, _ in curve(events)] == [1, 2, 3, 4, 5, 6]
    rates = [recipe.lr * optimizer.lr_factor(step, 6, 3) for step in range(6)]
    assert [lr for _, _, lr in curve(events)] == rates
    losses = [loss for _, loss, _ in curve(events)]
    records = tiny.epochs(events)
    assert [record.train_loss for record in records] == [sum(losses[:3]) / 3, sum(losses[3:]) / 3]
    assert all(record.memory_mib > 50 for record in records)


def test_steps_are_reported_during_an_epoch(tmp_path):
    events = events_of(tmp_path, tiny.data(), tiny.recipe(epochs=1), report_seconds=0.0)
    assert [event.first for event in events if isinstance(event, StepValues)] == [1, 2, 3]


def test_a_step_without_a_label_has_no_loss(tmp_path):
    data = tiny.data()
    data.labels[data.train_index] = 255
    assert all(math.isnan(loss) for _, loss, _ in curve(events_of(tmp_path, data, tiny.recipe(epochs=1))))


def test_a_resumed_training_reports_every_step_once(tmp_path):
    data, recipe = tiny.data(), tiny.recipe(checkpoint_minutes=0)
    whole = curve(events_of(tmp_path / "whole", data, recipe))
    begun = loop.fit(tiny.segmenter(), data, recipe, tmp_path / "cut", "abc", tiny.CPU)
    next(event for event in begun if isinstance(event, EpochRecord))
    begun.close()
    assert curve(events_of(tmp_path / "cut", data, recipe)) == whole


def test_curves_have_a_row_per_epoch_with_empty_cells_where_nothing_was_measured(tmp_path):
    history.write_curves(tmp_path / "a.csv", [RECORD, dataclasses.replace(RECORD, epoch=2, val_loss=0.75)])
    assert (tmp_path / "a.csv").read_text() == (
        "epoch,train_loss,val_loss,val_miou,lr\n1,1.25,,0.5,0.001\n2,1.25,0.75,0.5,0.001\n"
    )


def test_class_curves_have_a_row_for_each_class_with_a_score(tmp_path):
    records = [dataclasses.replace(RECORD, val_iou={"sky, blue": 0.5, "road": 0.25})]
    history.write_class_curves(tmp_path / "a.csv", records)
    assert (tmp_path / "a.csv").read_text() == 'epoch,class,iou\n1,"sky, blue",0.5\n1,road,0.25\n'


def test_records_survive_json():
    records = [RECORD, dataclasses.replace(RECORD, epoch=2, val_iou={"road": 0.25})]
    assert history.from_json(history.as_json(records)) == records
