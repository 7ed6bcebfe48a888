import threading

import numpy as np
import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit
from segpipe.data.store import Store
from segpipe.train import augment
from segpipe.train import data as batches
from segpipe.train.data import TrainingData
from tests.train import tiny


def test_an_epochs_batches_hold_its_pictures_and_their_labels():
    data = tiny.data(train=5, val=2)
    given = list(batches.training_batches(data, tiny.recipe(), 1, 0, tiny.CPU))
    assert len(given) == batches.steps_per_epoch(data, tiny.recipe()) == 3
    keys = [key for batch in given for key in batch.keys]
    assert len(keys) == 6
    assert set(keys) == {f"picture{i}" for i in range(5)}  # none of validation's
    for batch in given:
        positions = [data.keys.index(key) for key in batch.keys]
        assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), data.images[positions])
        assert np.array_equal(batch.labels.numpy(), data.labels[positions])
        assert batch.waited >= 0


def test_an_epoch_that_is_resumed_goes_on_with_the_same_batches():
    data, recipe = tiny.data(train=8), tiny.recipe()
    whole = list(batches.training_batches(data, recipe, 2, 0, tiny.CPU))
    rest = list(batches.training_batches(data, recipe, 2, 3, tiny.CPU))
    assert [batch.keys for batch in rest] == [batch.keys for batch in whole[3:]]
    assert torch.equal(rest[0].draws.theta, whole[3].draws.theta)
    assert torch.equal(rest[0].draws.colour, whole[3].draws.colour)


def test_beside_a_network_on_the_cpu_no_other_thread_runs_pytorch(monkeypatch):
    drawing, draw = [], augment.draw

    def noted(*args, **kwargs):
        drawing.append(threading.current_thread())
        return draw(*args, **kwargs)

    monkeypatch.setattr(augment, "draw", noted)
    given = list(batches.training_batches(tiny.data(train=5), tiny.recipe(), 1, 0, tiny.CPU))
    assert drawing == [threading.main_thread()] * len(given)


def test_leaving_an_epoch_early_leaves_nothing_running():
    given = batches.training_batches(tiny.data(), tiny.recipe(), 1, 0, tiny.CPU)
    next(given)
    given.close()


def test_validation_shows_every_picture_once_in_order():
    data = tiny.data(train=2, val=5)
    given = list(batches.validation_batches(data, 2, tiny.CPU))
    assert [batch.keys for batch in given] == [("picture2", "picture3"), ("picture4", "picture5"), ("picture6",)]
    assert all(batch.draws is None for batch in given)


def test_pictures_are_read_from_a_file_as_from_memory(tmp_path):
    data = tiny.data()
    np.save(tmp_path / "images.npy", data.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    from_file = batches.replace(data, images=mapped)
    first, second = (next(batches.validation_batches(d, 2, tiny.CPU)) for d in (data, from_file))
    assert torch.equal(first.images, second.images)


def test_seen_classes_are_those_of_the_training_pictures():
    assert tiny.data().seen == (True, True, True, False)


def store(row_pixels):
    keys = ("tree", "field", "field", "field", "lake")
    boxes = np.array([[0, 0, 8, 8], *([0, x, 8, x + 8] for x in (0, 6, 12)), [0, 0, 8, 8]], np.int32)
    pictures = np.zeros((5, 8, 8, 3), np.uint8)
    classes, fit = ClassTable(("background", "cat")), Fit("letterbox", (8, 8), 8, 2)
    return Store(keys, classes, fit, pictures, pictures[..., 0], boxes, np.array(row_pixels))


def test_tiles_go_where_their_picture_goes_but_for_those_without_a_label():
    opened = store([[64, 0], [0, 0], [60, 0], [0, 64], [3, 4]])
    data = TrainingData.of(opened, {"tree": "val", "field": "train", "lake": ""})
    assert (data.train_index.tolist(), data.val_index.tolist()) == ([2, 3], [0])
    assert data.keys[2:] == ("field (x 6-14, y 0-8)", "field (x 12-20, y 0-8)", "lake")
    assert data.seen == (True, True)  # the cat of a tile


def test_a_store_without_a_labelled_row_to_train_on_is_told():
    opened = store([[64, 0], [0, 0], [0, 0], [0, 0], [0, 64]])
    with pytest.raises(UserError, match="no image is left to train on"):
        TrainingData.of(opened, {"tree": "val", "field": "train", "lake": "test"})
