import logging

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from segpipe.core.errors import UserError
from segpipe.data.classes import IGNORE_INDEX
from segpipe.evaluate.confusion import confusion_matrix
from segpipe.train import epoch, runtime
from segpipe.train.data import training_batches, validation_batches
from segpipe.train.losses import LOSSES, Criterion
from segpipe.train.optimizer import adamw
from segpipe.train.recipe import Loss
from segpipe.train.weight_average import WeightAverage
from tests.train import tiny
from tests.train.test_augment import IDENTITY

SEEN = torch.tensor([True, True, True, False])
EIGHT = tiny.recipe(batch_size=8, crop_hw=(16, 16))


class Small(nn.Module):
    """A network that is out of memory for more than `capacity` images at once."""

    def __init__(self, capacity):
        super().__init__()
        self.layer, self.capacity, self.batch_sizes = nn.Conv2d(3, 4, 1), capacity, []
        nn.init.constant_(self.layer.weight, 1e-3)

    def forward(self, images):
        if len(images) > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.batch_sizes.append(len(images))
        return self.layer(images)


def steps(network, recipe, data):
    setup = epoch.TrainSetup(
        network=network,
        criterion=Criterion(Loss(dice=0), SEEN),
        optimizer=torch.optim.SGD([{"params": list(network.parameters()), "peak_lr": 1e-3}], lr=1e-3),
        crop_hw=(16, 16),
        clip_norm=1e9,
        parts=recipe.accumulate,
        autocast=torch.autocast("cpu", enabled=False),
    )
    batches = training_batches(data, recipe, 1, 0, tiny.CPU)
    return list(epoch.train_one_epoch(setup, batches, lr_factor=lambda step: 1.0, step_seed=lambda step: step))


def fully_labelled():
    data = tiny.data(train=8)
    data.labels[data.labels == 255] = 0  # every part of a batch has as many labels
    return data


def test_a_batch_that_does_not_fit_into_memory_passes_in_parts(caplog):
    whole, in_parts = Small(capacity=8), Small(capacity=2)
    in_parts.load_state_dict(whole.state_dict())
    with caplog.at_level(logging.WARNING):
        for network in (whole, in_parts):
            steps(network, EIGHT, fully_labelled())
    assert whole.batch_sizes == [8]
    assert in_parts.batch_sizes == [2, 2, 2, 2]
    assert "each batch now passes through the network in 4 parts" in caplog.text


def test_memory_for_less_than_two_images_is_an_error_of_one_line():
    with pytest.raises(UserError, match=r"^GPU memory is too small for 2 images at once; lower train.crop"):
        steps(Small(capacity=1), EIGHT, fully_labelled())


def test_accumulated_parts_give_the_step_of_the_whole_batch():
    recipe = tiny.recipe(batch_size=8, crop_hw=(16, 16), augment=IDENTITY)
    whole, in_parts = Small(capacity=8), Small(capacity=8)
    in_parts.load_state_dict(whole.state_dict())
    first = steps(whole, recipe, fully_labelled())[0]
    second = steps(in_parts, recipe.model_copy(update={"batch_size": 2, "accumulate": 4}), fully_labelled())[0]
    assert in_parts.batch_sizes == [2, 2, 2, 2]
    assert second.images == first.images == 8
    assert second.loss == pytest.approx(first.loss, rel=1e-5)
    assert torch.allclose(in_parts.layer.weight, whole.layer.weight, rtol=1e-5)


class FixedLogits(nn.Module):
    """Logits in float32, also under autocast."""

    def forward(self, images):
        return images[:, :1] / 255 * torch.linspace(-2, 3, 4).view(1, -1, 1, 1)


@pytest.mark.parametrize("name", LOSSES)
def test_the_validation_loss_is_computed_in_float32_with_and_without_autocast(name):
    criterion = Criterion(Loss(**dict.fromkeys(LOSSES, 0.0) | {name: 1.0}), SEEN)
    losses = []
    for is_on in (False, True):
        batches = validation_batches(tiny.data(), 2, tiny.CPU)
        autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_on)
        losses.append(epoch.validate(FixedLogits(), criterion, batches, autocast)[0])
    assert losses[0] == losses[1]


class NoFloat64(TorchDispatchMode):
    """A device without float64, like Apple's GPUs: no operation may return float64."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            assert getattr(tensor, "dtype", None) != torch.float64, function
        return result


def test_no_step_or_validation_needs_float64():
    recipe, data = tiny.recipe(class_weights="median_frequency", rare_class_share=0.5), tiny.data()
    network = runtime.place(tiny.segmenter(), tiny.CPU)
    setup = runtime.train_setup(network, adamw(network, 1e-3, 0.1, 0.5), data, recipe, tiny.CPU)
    batches = list(training_batches(data, recipe, 1, 0, tiny.CPU))  # drawn on the CPU for every device
    with NoFloat64():
        list(epoch.train_one_epoch(setup, batches, lr_factor=lambda step: 1.0, step_seed=lambda step: step))
        average = WeightAverage(network, 0.9)
        average.update(1)
        epoch.validate(network, setup.criterion, validation_batches(data, 2, tiny.CPU), setup.autocast)


def test_the_confusion_matrix_on_the_device_is_that_of_the_evaluation():
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(4, (3, 20, 30), generator=generator).to(torch.uint8)
    pred = torch.randint(4, (3, 20, 30), generator=generator)
    target[:, :5] = IGNORE_INDEX
    matrix = epoch.confusion_on_device(target, pred, 4).numpy()
    assert np.array_equal(matrix, confusion_matrix(target.numpy(), pred.numpy(), 4, IGNORE_INDEX))
    assert matrix.sum() == 3 * 15 * 30
