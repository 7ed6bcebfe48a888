import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from segpipe.core.errors import UserError
from segpipe.train import data as batches
from segpipe.train import epoch, optimizer, setup
from segpipe.train.distributed import ALONE
from segpipe.train.losses import PARTS, Criterion
from segpipe.train.recipe import Loss
from segpipe.train.weight_average import WeightAverage
from tests.train import tiny
from tests.train.test_augment import NOTHING

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
    second = steps(in_parts, recipe.model_copy(update={"batch_size": 2, "accumulate": 4}), data())[0]
    assert in_parts.saw == [2, 2, 2, 2]
    assert second.pictures == first.pictures == 8
    assert second.loss == pytest.approx(first.loss, rel=1e-5)
    assert torch.allclose(in_parts.layer.weight, whole.layer.weight, rtol=1e-5)


class Ready(nn.Module):
    """Logits as they come out of a network, whatever the number format."""

    def forward(self, images):
        return images[:, :1] / 255 * torch.linspace(-2, 3, 4).view(1, -1, 1, 1)


@pytest.mark.parametrize("part", PARTS)
def test_the_validation_loss_is_computed_in_float32_whatever_the_network_computes_in(part):
    criterion = Criterion(Loss(**dict.fromkeys(PARTS, 0.0) | {part: 1.0}), SEEN)
    losses = []
    for is_on in (False, True):
        pictures = batches.validation_batches(tiny.data(), 2, tiny.CPU)
        autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_on)
        losses.append(epoch.validate(Ready(), criterion, pictures, SEEN, autocast)[0])
    assert losses[0] == losses[1]


class NoFloat64(TorchDispatchMode):
    """A device without float64, as Apple's GPUs are: no operation may give one."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            assert getattr(tensor, "dtype", None) != torch.float64, function
        return result


def test_no_step_or_validation_needs_float64():
    recipe, pictures = tiny.recipe(class_weights="median_frequency", rare_class_share=0.5), tiny.data()
    network = setup.placed(tiny.segmenter(), tiny.CPU, ALONE)
    criterion = setup.criterion(network, pictures, recipe, tiny.CPU)
    drawn = list(batches.training_batches(pictures, recipe, 1, 0, tiny.CPU))  # on the CPU, whatever the device
    with NoFloat64():
        list(
            epoch.train_one_epoch(
                network,
                criterion,
                optimizer.adamw(network, 1e-3, 0.1, 0.5),
                drawn,
                crop_hw=(32, 32),
                clip_norm=1.0,
                lr_factor=lambda step: 1.0,
                step_seed=lambda step: step,
                first_step=0,
                parts=1,
                autocast=setup.autocast(tiny.CPU, amp=True),
            )
        )
        average = WeightAverage(network, 0.9)
        average.update(1)
        epoch.validate(
            network,
            criterion,
            batches.validation_batches(pictures, 2, tiny.CPU),
            network.seen,
            setup.autocast(tiny.CPU, amp=True),
        )


@pytest.mark.parametrize(("capability", "is_on"), [(7, False), (8, True)])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(monkeypatch, capability, is_on):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(major=capability))
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True, raising=False)
    assert setup.autocast(torch.device("cuda"), amp=True)._enabled == is_on
