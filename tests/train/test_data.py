import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.train import augment
from segpipe.train.data import TrainingData, steps_per_epoch, training_batches, validation_batches
from tests import stores
from tests.train import tiny


def test_the_batches_of_an_epoch_have_the_training_images_and_their_labels():
    data = tiny.data(train=5, val=2)
    batches = list(training_batches(data, tiny.recipe(), 1, 0, tiny.CPU))
    assert len(batches) == steps_per_epoch(data, tiny.recipe()) == 3
    keys = [key for batch in batches for key in batch.keys]
    assert len(keys) == 6
    assert set(keys) == {f"image{i}" for i in range(5)}  # no validation images
    for batch in batches:
        positions = [data.keys.index(key) for key in batch.keys]
        assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), data.images[positions])
        assert np.array_equal(batch.labels.numpy(), data.labels[positions])
        assert batch.wait_seconds >= 0


def test_a_resumed_epoch_continues_with_the_same_batches():
    data, recipe = tiny.data(train=8), tiny.recipe()
    whole = list(training_batches(data, recipe, 2, 0, tiny.CPU))
    rest = list(training_batches(data, recipe, 2, 3, tiny.CPU))
    assert [batch.keys for batch in rest] == [batch.keys for batch in whole[3:]]
    assert torch.equal(rest[0].variations.theta, whole[3].variations.theta)
    assert torch.equal(rest[0].variations.colour, whole[3].variations.colour)


def test_with_a_network_on_the_cpu_no_other_thread_runs_pytorch(monkeypatch):
    threads, draw = [], augment.draw

    def recorded(*args, **kwargs):
        threads.append(threading.current_thread())
        return draw(*args, **kwargs)

    monkeypatch.setattr(augment, "draw", recorded)
    batches = list(training_batches(tiny.data(train=5), tiny.recipe(), 1, 0, tiny.CPU))
    assert threads == [threading.main_thread()] * len(batches)


def test_no_thread_is_left_running_after_an_epoch_that_is_left_early():
    batches = training_batches(tiny.data(), tiny.recipe(), 1, 0, tiny.CPU)
    next(batches)
    assert any(thread.name.startswith("batches") for thread in threading.enumerate())
    batches.close()
    assert not any(thread.name.startswith("batches") for thread in threading.enumerate())


def test_validation_shows_every_image_once_in_order():
    data = tiny.data(train=2, val=5)
    batches = list(validation_batches(data, 2, tiny.CPU))
    assert [batch.keys for batch in batches] == [("image2", "image3"), ("image4", "image5"), ("image6",)]
    assert all(batch.variations is None for batch in batches)


def test_a_training_from_files_equals_one_from_memory(tmp_path):
    data, recipe = tiny.data(), tiny.recipe(epochs=1)
    opened = stores.put(tmp_path, data.images, data.labels)
    from_files = replace(data, images=opened.images, labels=opened.labels)
    trained = [tiny.fit(tmp_path / name, d, recipe)[0] for name, d in (("memory", data), ("files", from_files))]
    one, other = (network.state_dict() for network in trained)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_seen_classes_are_the_classes_of_the_training_images():
    assert tiny.data().seen == (True, True, True, False)


def store(folder, row_pixels):
    keys = ("tree", "field", "field", "field", "lake")
    boxes = [[0, 0, 8, 8], *([0, x, 8, x + 8] for x in (0, 6, 12)), [0, 0, 8, 8]]
    images = np.zeros((5, 8, 8, 3), np.uint8)
    return stores.put(folder, images, images[..., 0], keys=keys, boxes=boxes, row_pixels=row_pixels)


def test_tiles_are_on_the_side_of_their_image_and_tiles_without_a_label_are_left_out(tmp_path):
    opened = store(tmp_path, [[64, 0], [0, 0], [60, 0], [0, 64], [3, 4]])
    data = TrainingData.of(opened, {"tree": "val", "field": "train", "lake": ""})
    assert (data.train_index.tolist(), data.val_index.tolist()) == ([2, 3], [0])
    assert data.keys[2:] == ("field (x 6-14, y 0-8)", "field (x 12-20, y 0-8)", "lake")
    assert data.seen == (True, True)  # the cat of a tile


def test_a_store_without_a_labelled_row_to_train_on_is_an_error(tmp_path):
    opened = store(tmp_path, [[64, 0], [0, 0], [0, 0], [0, 0], [0, 64]])
    with pytest.raises(UserError, match="no image is left to train on"):
        TrainingData.of(opened, {"tree": "val", "field": "train", "lake": "test"})
