import dataclasses
import itertools
import logging

import numpy as np
import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.evaluate.confusion import confusion_matrix
from segpipe.evaluate.scores import class_iou, mean_iou
from segpipe.models.segmenter import build_segmenter
from segpipe.train import checkpoint, history, loop
from segpipe.train.history import EpochRecord, Predictions
from tests.train import tiny

A_WEIGHT = "network.encoder.model.conv_stem.weight"


def predicted(network, data, index):
    with torch.no_grad():
        images = torch.from_numpy(data.images[index]).permute(0, 3, 1, 2)
        return network.eval()(images).argmax(dim=1).numpy()


def without_times(record):
    return dataclasses.replace(
        record, images_per_second=0, data_wait_share=0, seconds=0, validation_seconds=0, memory_mib=0
    )


def test_a_network_learns_the_training_images(tmp_path):
    data = tiny.data(train=16, val=4, size_hw=(64, 64))
    network = build_segmenter("unet", tiny.ENCODER, 4, data.seen)
    recipe = tiny.recipe(epochs=5, batch_size=4, crop_hw=None, lr=1e-2)
    records = tiny.epochs(loop.fit(network, data, recipe, tmp_path, "abc", tiny.CPU))
    assert records[-1].train_loss < 0.5 * records[0].train_loss
    assert records[-1].val_miou > 0.8
    assert [(record.epoch, record.step) for record in records] == [(1, 4), (2, 8), (3, 12), (4, 16), (5, 20)]
    assert not (predicted(network, data, data.val_index) == tiny.CLASSES.index("never")).any()


def test_the_weights_of_the_best_epoch_are_shipped_and_have_its_scores(tmp_path):
    data = tiny.data()
    network, records = tiny.fit(tmp_path, data, tiny.recipe())
    best = max(records, key=lambda record: record.val_miou)  # max takes the first of equals
    matrix = confusion_matrix(data.labels[data.val_index], predicted(network, data, data.val_index), 4, 255)
    assert best.val_miou == mean_iou(matrix)
    iou = class_iou(matrix)
    assert best.val_iou == {tiny.CLASSES[i]: iou[i] for i in range(4) if not np.isnan(iou[i])}
    assert "never" not in best.val_iou
    is_best = [record.val_miou > max([-1, *(r.val_miou for r in records[:i])]) for i, record in enumerate(records)]
    assert [record.is_best for record in records] == is_best


def test_the_same_inputs_give_the_same_weights_and_records(tmp_path):
    data = tiny.data()
    first, records = tiny.fit(tmp_path / "a", data, tiny.recipe())
    second, again = tiny.fit(tmp_path / "b", data, tiny.recipe())
    tiny.save(tmp_path / "a.pt", first)
    tiny.save(tmp_path / "b.pt", second)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    assert [without_times(r) for r in records] == [without_times(r) for r in again]


def test_another_seed_gives_another_training(tmp_path):
    data = tiny.data()
    _, records = tiny.fit(tmp_path / "a", data, tiny.recipe(epochs=1))
    _, others = tiny.fit(tmp_path / "b", data, tiny.recipe(epochs=1, seed=1))
    assert records[0].train_loss != others[0].train_loss


def test_the_records_of_a_finished_training_are_repeated_without_a_step(tmp_path):
    data = tiny.data()
    network, records = tiny.fit(tmp_path, data, tiny.recipe())
    again, replayed = tiny.fit(tmp_path, data, tiny.recipe())
    assert replayed == [dataclasses.replace(record, resumed=True) for record in records]
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_other_inputs_start_from_scratch_with_a_log_line(tmp_path, caplog):
    data = tiny.data()
    tiny.fit(tmp_path, data, tiny.recipe(epochs=1))
    with caplog.at_level(logging.INFO):
        _, records = tiny.fit(tmp_path, data, tiny.recipe(epochs=1), inputs="def")
    assert not records[0].resumed
    assert "the inputs have changed since the last training: training starts from scratch" in caplog.messages


def test_one_image_is_enough(tmp_path):
    _, records = tiny.fit(tmp_path, tiny.data(train=1, val=1), tiny.recipe(epochs=2))
    assert [record.complete for record in records] == [True, True]


def test_a_last_batch_of_one_image_is_filled_up_for_batch_norm(tmp_path):
    _, records = tiny.fit(tmp_path, tiny.data(train=3), tiny.recipe(epochs=1))
    assert records[0].step == 2  # 3 images, 2 per step


def test_without_validation_images_the_last_epoch_is_shipped(tmp_path):
    _, records = tiny.fit(tmp_path, tiny.data(val=0), tiny.recipe(epochs=2))
    assert [(r.val_miou, r.val_loss, r.val_iou, r.is_best) for r in records] == [(None, None, {}, True)] * 2


def test_predictions_are_due_after_the_first_epoch_the_last_and_some_in_between(tmp_path):
    due = [epoch for epoch in range(1, 41) if loop.are_predictions_due(epoch, 40)]
    assert due == [1, 5, 10, 15, 20, 25, 30, 35, 40]
    assert [epoch for epoch in range(1, 4) if loop.are_predictions_due(epoch, 3)] == [1, 2, 3]
    events = loop.fit(tiny.segmenter(), tiny.data(val=0), tiny.recipe(epochs=1), tmp_path, "abc", tiny.CPU)
    assert not any(isinstance(event, Predictions) for event in events)  # without validation images


def test_batches_without_labels_are_counted_and_harmless(tmp_path):
    data = tiny.data()
    data.labels[data.train_index] = 255
    _, records = tiny.fit(tmp_path, data, tiny.recipe(epochs=1))
    assert records[0].all_ignore_batches == 3
    assert records[0].redrawn_crops == 6 * 3  # each of 6 crops is drawn again 3 times
    assert records[0].train_loss is None
    assert records[0].val_miou is not None


def test_a_class_that_occurs_only_in_validation_counts_in_the_score_but_not_in_the_loss(tmp_path):
    data = tiny.data()
    _, plain = tiny.fit(tmp_path / "a", data, tiny.recipe(epochs=1))
    data.labels[data.val_index, :5] = tiny.CLASSES.index("never")
    _, records = tiny.fit(tmp_path / "b", data, tiny.recipe(epochs=1))
    assert records[0].val_iou["never"] == 0
    assert records[0].val_loss < 2 * plain[0].val_loss  # the logit of -1e4 would raise it to thousands


def test_a_loss_that_is_not_finite_ends_the_training_and_names_the_images(tmp_path):
    data = tiny.data(train=2)
    recipe = tiny.recipe(warmup_epochs=0.0, checkpoint_minutes=0).model_copy(update={"lr": 1e30})
    with pytest.raises(UserError) as caught:
        tiny.fit(tmp_path, data, recipe)
    message = str(caught.value)
    assert message.startswith("training, epoch ")
    assert "with the images image0, image1; lower train.lr" in message
    assert "\n" not in message
    assert (tmp_path / "abc.pt").is_file()  # the last good checkpoint is kept


def test_a_used_up_budget_ends_the_training_with_a_model(tmp_path):
    def fit():
        clock = map(float, itertools.count()).__next__  # a second passes with each look at the clock
        return tiny.fit(tmp_path, data, recipe, clock=clock)

    data, recipe = tiny.data(train=40), tiny.recipe(epochs=10_000, budget_seconds=100.0)
    network, records = fit()
    assert 0 < records[-1].step < 100  # at least one second per step
    assert any(record.is_best for record in records)
    again, replayed = fit()
    assert replayed[-1].step == records[-1].step  # the budget counts over all processes
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_with_a_larger_budget_a_training_continues_where_it_ended(tmp_path):
    data = tiny.data()
    _, short = tiny.fit(tmp_path / "a", data, tiny.recipe(budget_seconds=1e-9))
    assert [(record.step, record.complete) for record in short] == [(0, False)]
    longer, _ = tiny.fit(tmp_path / "a", data, tiny.recipe())
    whole, _ = tiny.fit(tmp_path / "b", data, tiny.recipe())
    assert all(
        torch.equal(a, b) for a, b in zip(longer.state_dict().values(), whole.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(("minutes", "saves"), [(5, 2), (0, 3 * 3 + 3)])
def test_checkpoints_are_written_after_the_first_step_at_intervals_and_after_the_last_epoch(
    tmp_path, monkeypatch, minutes, saves
):
    save, made = checkpoint.save, []
    monkeypatch.setattr(checkpoint, "save", lambda *args: made.append(args[-1].epoch) or save(*args))
    tiny.fit(tmp_path, tiny.data(), tiny.recipe(checkpoint_minutes=minutes))  # 3 epochs of 3 steps
    assert len(made) == saves
    assert (made[0], made[-1]) == (1, 4)  # the epoch to continue with


def test_an_end_by_patience_is_always_saved(tmp_path):
    data = tiny.data()
    data.labels[data.val_index] = tiny.CLASSES.index("never")
    _, records = tiny.fit(tmp_path, data, tiny.recipe(epochs=50, patience=1))
    assert checkpoint.completed(checkpoint.path_of(tmp_path, "abc")).epochs == len(records) == 2


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(tmp_path, caplog):
    (tmp_path / "file").write_text("a file where the folder should be")
    network = tiny.segmenter()
    records = tiny.epochs(loop.fit(network, tiny.data(), tiny.recipe(epochs=1), tmp_path / "file", "abc", tiny.CPU))
    assert records[0].complete
    assert ": training continues" in caplog.text


def test_the_average_of_the_weights_is_validated_and_shipped(tmp_path):
    data = tiny.data()
    plain, _ = tiny.fit(tmp_path / "a", data, tiny.recipe())
    network, records = tiny.fit(tmp_path / "b", data, tiny.recipe(ema_decay=0.9, ship="last"))
    assert not torch.equal(network.state_dict()[A_WEIGHT], plain.state_dict()[A_WEIGHT])
    matrix = confusion_matrix(data.labels[data.val_index], predicted(network, data, data.val_index), 4, 255)
    assert records[-1].val_miou == mean_iou(matrix)


def test_the_last_epochs_weights_are_shipped_if_ship_is_last(tmp_path):
    data = tiny.data()
    network, records = tiny.fit(tmp_path, data, tiny.recipe(ship="last"))
    matrix = confusion_matrix(data.labels[data.val_index], predicted(network, data, data.val_index), 4, 255)
    assert records[-1].val_miou == mean_iou(matrix)
    assert history.shipped(records, "last").epoch == 3
    assert history.shipped(records, "best").val_miou == max(record.val_miou for record in records)


def test_training_ends_after_patience_epochs_without_a_better_one(tmp_path):
    data = tiny.data()
    data.labels[data.val_index] = tiny.CLASSES.index("never")  # always wrong: no epoch is better than the first
    _, records = tiny.fit(tmp_path, data, tiny.recipe(epochs=50, patience=2))
    assert [record.is_best for record in records] == [True, False, False]
    summary = history.summary(records, 50, 2, "best")
    assert (summary["ended_early_by_patience"], summary["ended_early_by_budget"]) == (1, 0)
    _, again = tiny.fit(tmp_path, data, tiny.recipe(epochs=50, patience=2))
    assert len(again) == 3


def test_a_frozen_encoder_does_not_change_until_freeze_epochs_are_over(tmp_path):
    data, before = tiny.data(), tiny.segmenter().state_dict()
    frozen, _ = tiny.fit(tmp_path / "a", data, tiny.recipe(epochs=1, freeze_epochs=1))
    unfrozen, _ = tiny.fit(tmp_path / "b", data, tiny.recipe(epochs=2, freeze_epochs=1, ship="last"))
    encoder = [name for name in before if ".encoder." in name]
    assert all(torch.equal(frozen.state_dict()[name], before[name]) for name in encoder)
    assert any(not torch.equal(frozen.state_dict()[name], before[name]) for name in before)
    assert not torch.equal(unfrozen.state_dict()[A_WEIGHT], before[A_WEIGHT])
    assert all(parameter.requires_grad for parameter in frozen.parameters())


def test_accumulated_batches_make_one_step(tmp_path):
    _, records = tiny.fit(tmp_path, tiny.data(train=8), tiny.recipe(epochs=1, accumulate=2))
    assert records[0].step == 2  # 8 images, 2 x 2 per step


@pytest.mark.parametrize(
    "changes",
    [{"ema_decay": 0.9, "accumulate": 2, "freeze_epochs": 1}, {"optimizer": "sgd", "schedule": "poly"}],
)
def test_a_resumed_training_ends_as_an_uninterrupted_one_with_every_option(tmp_path, changes):
    data, recipe = tiny.data(), tiny.recipe(checkpoint_minutes=0, rare_class_share=0.5, ship="last", **changes)
    whole, _ = tiny.fit(tmp_path / "whole", data, recipe)
    begun = loop.fit(tiny.segmenter(), data, recipe, tmp_path / "cut", "abc", tiny.CPU)
    next(event for event in begun if isinstance(event, EpochRecord))
    begun.close()  # after the first epoch
    resumed, again = tiny.fit(tmp_path / "cut", data, recipe)
    assert [record.resumed for record in again] == [True, False, False]
    tiny.save(tmp_path / "a.pt", whole)
    tiny.save(tmp_path / "b.pt", resumed)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
