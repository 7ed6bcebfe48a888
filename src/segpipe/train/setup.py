"""Network, loss and number format as a training on a device wants them."""

import torch

from segpipe.models.segmenter import Segmenter
from segpipe.train import heap
from segpipe.train.class_weights import class_weights
from segpipe.train.data import TrainingData
from segpipe.train.distributed import Team
from segpipe.train.losses import Criterion
from segpipe.train.recipe import RunRecipe


def placed(segmenter: Segmenter, device: torch.device, team: Team) -> Segmenter:
    """The segmenter itself, where and as it trains fastest."""
    heap.keep()
    team.prepare(segmenter, device)
    segmenter.to(device)
    segmenter.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
    return segmenter


def criterion(segmenter: Segmenter, data: TrainingData, recipe: RunRecipe, device: torch.device) -> Criterion:
    """What `recipe` says is to be minimised; the segmenter is on `device`."""
    weights = class_weights(recipe.class_weights, data.class_pixels[data.train_index])
    on_device = None if weights is None else torch.from_numpy(weights).to(device)
    return Criterion(recipe.loss, segmenter.seen, on_device, recipe.label_smoothing)


def autocast(device: torch.device, amp: bool) -> torch.autocast:
    """bfloat16 where the GPU computes in it; float32 elsewhere (on a CPU bfloat16 is slower).

    PyTorch emulates it on older GPUs (T4, V100), whose convolutions gain nothing by it. These have float16, whose small
    numbers need a scaled loss: not worth its code.
    """
    is_on = amp and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_on)
