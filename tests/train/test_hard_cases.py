"""Trainings on unusual data and on full disks."""

import numpy as np
import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.train import loop
from segpipe.train.data import TrainingData
from segpipe.train.history import EpochRecord
from tests import stores
from tests.disk import full_disk
from tests.train import tiny


def a_store(folder, count):
    images = np.zeros((count, 32, 32, 3), np.uint8)
    return stores.put(folder, images, images[..., 0])


def test_the_split_decides_which_images_train_and_validate(tmp_path):
    splits = {"image0": "val", "image1": "train", "image2": "", "image3": "train", "elsewhere": "train"}
    data = TrainingData.of(a_store(tmp_path, 4), splits)
    assert (data.train_index.tolist(), data.val_index.tolist()) == ([1, 3], [0])


def test_a_split_without_training_images_is_an_error_of_one_line(tmp_path):
    with pytest.raises(UserError) as caught:
        TrainingData.of(a_store(tmp_path, 1), {"image0": "test"})
    assert str(caught.value) == (
        "data/splits.csv: no image is left to train on; lower split.val and split.test in params.yaml"
    )


@pytest.mark.parametrize("size_hw", [(40, 48), (33, 47)])
def test_sizes_need_not_be_a_multiple_of_the_encoders_stride(tmp_path, size_hw):
    data = tiny.data(size_hw=(49, 56))
    _, records = tiny.fit(tmp_path, data, tiny.recipe(epochs=1, crop_hw=size_hw))
    assert (records[0].complete, records[0].val_miou is not None) == (True, True)


def test_a_class_that_does_not_occur_in_training_leaves_loss_and_weights_finite(tmp_path):
    changes = {"class_weights": "median_frequency", "rare_class_share": 1.0, "label_smoothing": 0.1}
    network, records = tiny.fit(tmp_path, tiny.data(), tiny.recipe(epochs=1, **changes))
    assert np.isfinite(records[0].train_loss)
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


def test_a_full_disk_neither_ends_the_training_nor_damages_the_checkpoint(tmp_path, caplog):
    data, recipe = tiny.data(), tiny.recipe(epochs=2, checkpoint_minutes=1e-9)
    whole, _ = tiny.fit(tmp_path / "whole", data, recipe)
    begun = loop.fit(tiny.segmenter(), data, recipe, tmp_path / "full", "abc", tiny.CPU)
    next(event for event in begun if isinstance(event, EpochRecord))
    begun.close()
    checkpoint = tmp_path / "full" / "abc.pt"
    before = checkpoint.read_bytes()
    with full_disk(100_000):  # in the middle of a write
        network, records = tiny.fit(tmp_path / "full", data, recipe)
    assert [(record.complete, record.resumed) for record in records] == [(True, True), (True, False)]
    assert f"checkpoint {checkpoint} was not written (File too large): training continues" in caplog.text
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["abc.pt"]
    pairs = zip(network.state_dict().values(), whole.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
