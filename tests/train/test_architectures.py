"""Every architecture trains a step; the saved and loaded model has the same predictions."""

import numpy as np
import pytest
import torch

from segpipe.inference.predict import predict
from segpipe.models import model_file
from segpipe.models.segmenter import build_segmenter
from segpipe.train import optimizer, runtime
from segpipe.train.data import training_batches
from segpipe.train.epoch import train_one_epoch
from tests.models.test_segmenter import ALL
from tests.train import tiny


def train_a_step(network, data):
    optimizer.train_mode(network, is_encoder_frozen=False)
    recipe = tiny.recipe(batch_size=2, crop_hw=(64, 64))
    setup = runtime.train_setup(network, optimizer.adamw(network, 1e-3, 1e-2, 0.5), data, recipe, tiny.CPU)
    batches = training_batches(data, recipe, 1, 0, tiny.CPU)
    [result] = train_one_epoch(setup, batches, lr_factor=lambda step: 1.0, step_seed=lambda step: step)
    return result


@pytest.mark.parametrize(("architecture", "encoder"), ALL.items())
def test_an_architecture_trains_is_saved_loaded_and_predicts(tmp_path, architecture, encoder):
    data = tiny.data(train=2, val=0)
    network = build_segmenter(architecture, encoder, 4, data.seen)
    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    assert np.isfinite(train_a_step(network, data).loss)
    learnt = {name.split(".")[1] for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert "encoder" in learnt
    assert len(learnt) > 1  # and the decoder
    path, card = tmp_path / "model.pt", tiny.card_of(network, architecture, encoder)
    model_file.save(path, network, card)
    loaded, loaded_card = model_file.load(path)
    path.unlink()
    images = [data.images[0], np.ascontiguousarray(data.images[1][:33, :47])]
    trained, reloaded = (predict(n.eval(), card, images, tiny.CPU) for n in (network, loaded))
    assert [label_map.shape for label_map in reloaded] == [(40, 48), (33, 47)]
    assert all(np.array_equal(a, b) for a, b in zip(trained, reloaded, strict=True))
    assert loaded_card == card
