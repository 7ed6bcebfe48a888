import dataclasses
import logging

import pytest
import torch
from torch import nn

from segpipe.errors import UserError
from segpipe.training import batches, epoch
from segpipe.training.losses import Criterion
from segpipe.training.recipe import Loss
from tests.training import tiny
from tests.training.test_augment import NOTHING

SEEN = torch.tensor([True, True, True, False])


class Small(nn.Module):
    """A network for as many pictures at once as its memory holds."""

    def __init__(self, holds):
        super().__init__()
        self.layer, self.holds, self.saw = nn.Conv2d(3, 4, 1), holds, []
        nn.init.constant_(self.layer.weight, 1e-3)

    def forward(self, images):
        if len(images) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.saw.append(len(images))
        return self.layer(images)


def steps(network, recipe, data):
    return list(
        epoch.train_one_epoch(
            network,
            Criterion(Loss(dice=0), SEEN),
            torch.optim.SGD([{"params": list(network.parameters()), "peak_lr": 1e-3}], lr=1e-3),
            batches.training_batches(data, recipe, 1, 0, tiny.CPU),
            crop_hw=(16, 16),
            clip_norm=1e9,
            lr_factor=lambda step: 1.0,
            step_seed=lambda step: step,
            first_step=0,
            parts=recipe.accumulate,
            autocast=torch.autocast("cpu", enabled=False),
        )
    )


def data():
    made = tiny.data(train=8)
    made.labels[made.labels == 255] = 0  # every part of a batch has as many labels
    return made


STRAIGHT = tiny.recipe(batch_size=8, crop_hw=(16, 16))


def test_what_does_not_fit_into_memory_goes_through_in_parts(caplog):
    whole, in_parts = Small(holds=8), Small(holds=2)
    in_parts.load_state_dict(whole.state_dict())
    with caplog.at_level(logging.WARNING):
        for network in (whole, in_parts):
            steps(network, STRAIGHT, data())
    assert whole.saw == [8]
    assert in_parts.saw == [2, 2, 2, 2]
    assert "a step's pictures go through the network in 4 parts" in caplog.text


def test_pictures_that_do_not_fit_by_twos_are_said_in_one_line():
    with pytest.raises(UserError, match=r"^the GPU's memory is too small for 2 pictures at once; lower train.crop"):
        steps(Small(holds=1), STRAIGHT, data())


def test_parts_that_are_accumulated_give_the_step_of_the_whole():
    recipe = tiny.recipe(batch_size=8, crop_hw=(16, 16), augment=NOTHING)
    whole, in_parts = Small(holds=8), Small(holds=8)
    in_parts.load_state_dict(whole.state_dict())
    first = steps(whole, recipe, data())[0]
    second = steps(in_parts, dataclasses.replace(recipe, batch_size=2, accumulate=4), data())[0]
    assert in_parts.saw == [2, 2, 2, 2]
    assert second.pictures == first.pictures == 8
    assert second.loss == pytest.approx(first.loss, rel=1e-5)
    assert torch.allclose(in_parts.layer.weight, whole.layer.weight, rtol=1e-5)
