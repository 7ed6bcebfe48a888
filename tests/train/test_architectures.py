"""Every architecture trains a step, is saved, loaded, and predicts the same."""

import numpy as np
import pytest
import torch

from segpipe.inference.predict import predict
from segpipe.models import model_file, segmenter
from segpipe.train import epoch, optimizer
from segpipe.train.data import training_batches
from segpipe.train.losses import Criterion
from segpipe.train.recipe import Loss
from tests.models.test_segmenter import ALL
from tests.train import tiny


def train_a_step(network, data):
    optimizer.train_mode(network, is_encoder_frozen=False)
    recipe = tiny.recipe(batch_size=2, crop_hw=(64, 64))
    [result] = epoch.train_one_epoch(
        network,
        Criterion(Loss(), network.seen),
        optimizer.adamw(network, 1e-3, 1e-2, 0.5),
        training_batches(data, recipe, 1, 0, tiny.CPU),
        crop_hw=(64, 64),
        clip_norm=5.0,
        lr_factor=lambda step: 1.0,
        step_seed=lambda step: step,
        first_step=0,
        parts=1,
        autocast=torch.autocast("cpu", enabled=False),
    )
    return result


@pytest.mark.parametrize(("architecture", "encoder"), ALL.items())
def test_an_architecture_trains_is_saved_loaded_and_predicts(tmp_path, architecture, encoder):
    data = tiny.data(train=2, val=0)
    network = segmenter.segmenter(architecture, encoder, 4, data.seen)
    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    assert np.isfinite(train_a_step(network, data).loss)
    learnt = {name.split(".")[1] for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert "encoder" in learnt
    assert len(learnt) > 1  # and what follows it
    path, its_card = tmp_path / "model.pt", tiny.card_of(network, architecture, encoder)
    model_file.save(path, network, its_card)
    loaded, loaded_card = model_file.load(path)
    path.unlink()
    pictures = [data.images[0], np.ascontiguousarray(data.images[1][:33, :47])]
    ours, theirs = (predict(n.eval(), its_card, pictures, tiny.CPU) for n in (network, loaded))
    assert [label_map.shape for label_map in theirs] == [(40, 48), (33, 47)]
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert loaded_card == its_card
