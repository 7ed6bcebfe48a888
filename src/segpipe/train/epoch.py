"""One pass over the training images, and one over the validation images."""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from segpipe.core.errors import UserError
from segpipe.data.classes import IGNORE_INDEX
from segpipe.train import augment
from segpipe.train.data import Batch, TrainingData
from segpipe.train.distributed import SINGLE, Group
from segpipe.train.losses import Criterion
from segpipe.train.optimizer import clip_gradients, set_lr

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSetup:
    """Everything that stays the same over the steps of a training."""

    network: nn.Module  # in training mode; it may be compiled
    criterion: Criterion
    optimizer: Optimizer  # its groups have a `peak_lr`
    crop_hw: tuple[int, int]  # (height, width) in pixels
    clip_norm: float  # limit of the gradient's norm
    parts: int  # a batch passes through the network in this many parts, or more if GPU memory is short
    autocast: torch.autocast  # around the network only
    group: Group = SINGLE  # the processes that share each batch


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """The measurements of one optimiser step."""

    loss: float  # 0 if no pixel was labelled
    lr: float  # learning rate of the decoder
    images: int
    is_all_ignored: bool  # no pixel was labelled
    redrawn_crops: int
    seconds: float  # since the previous step
    wait_seconds: float  # part of `seconds` spent waiting for data


def train_one_epoch(
    setup: TrainSetup,
    batches: Iterable[Batch],
    *,
    lr_factor: Callable[[int], float],
    step_seed: Callable[[int], int],
    first_step: int = 0,
) -> Generator[StepResult, None, None]:
    """Train step by step. The caller may stop between any two steps.

    batches: one per step, from `first_step` on; lr_factor, step_seed: functions of the step in the epoch, from 0.
    Raises UserError for a loss or gradient that is not finite, before it changes the weights.
    """
    start, parts = time.perf_counter(), setup.parts
    for step, batch in enumerate(batches, first_step):
        lr = set_lr(setup.optimizer, lr_factor(step))
        while True:
            torch.manual_seed(step_seed(step))  # for dropout
            setup.optimizer.zero_grad(set_to_none=True)
            try:
                loss, any_labelled = _backward(setup, batch.split(parts))
                break
            except torch.OutOfMemoryError:
                parts = _more_parts(parts, len(batch.images), setup.group)
        setup.group.all_reduce_gradients(setup.network)
        norm = clip_gradients(setup.network, setup.clip_norm)
        # The only wait for a GPU in a step.
        loss_value, norm_value, is_labelled = torch.stack([loss, norm, any_labelled.to(loss.dtype)]).tolist()
        _check_finite(loss_value, norm_value, step, lr, batch.keys)
        setup.optimizer.step()
        now = time.perf_counter()
        yield StepResult(
            loss=loss_value,
            lr=lr,
            images=len(batch.images) * setup.group.world_size,
            is_all_ignored=not is_labelled,
            redrawn_crops=batch.variations.redrawn if batch.variations else 0,
            seconds=now - start,
            wait_seconds=batch.wait_seconds,
        )
        start = time.perf_counter()


def validate(
    segmenter: nn.Module,
    criterion: Criterion,
    batches: Iterable[Batch],
    autocast: torch.autocast,
    group: Group = SINGLE,
) -> tuple[float, np.ndarray]:
    """The mean loss per validation image, and the confusion matrix of all processes: int64 (C, C), rows target.

    Images are predicted at the size of the store. Pixels of a class that does not occur in training count in the
    matrix, but not in the loss: their loss would exceed that of all other pixels. Leaves `segmenter` in eval mode.
    """
    segmenter.eval()
    seen = criterion.seen
    total, images = 0.0, 0.0
    matrix = torch.zeros(len(seen), len(seen), dtype=torch.int64, device=seen.device)
    for batch in batches:
        with torch.inference_mode(), autocast:
            logits = segmenter(batch.images)
        with torch.inference_mode():  # outside autocast, which would compute parts of the loss in bfloat16
            total += float(criterion(logits, _ignore_unseen(batch.labels, seen))) * len(batch.images)
            matrix += confusion_on_device(batch.labels, logits.argmax(dim=1), len(seen))
        images += len(batch.images)
    total, images = group.reduce_sum([total, images])
    group.all_reduce([matrix])
    return total / max(1, images), matrix.cpu().numpy()


def predict_monitored(segmenter: nn.Module, data: TrainingData, device: torch.device) -> np.ndarray:
    """The predictions for the images of `data.monitored_index`: uint8 (n, h, w). Leaves `segmenter` in eval mode."""
    images = torch.from_numpy(data.images[data.monitored_index]).permute(0, 3, 1, 2)
    segmenter.eval()
    with torch.inference_mode():
        return segmenter(images.to(device)).argmax(dim=1).to(torch.uint8).cpu().numpy()


def confusion_on_device(target: Tensor, pred: Tensor, num_classes: int) -> Tensor:
    """The confusion matrix of a batch, int64 (num_classes, num_classes), rows target, without copying it to the CPU.

    segpipe.evaluate.confusion does the same for NumPy arrays and checks their values.
    target: uint8 (N, h, w), class_index or IGNORE_INDEX; pred: int64 (N, h, w), class_index.
    """
    labelled = target != IGNORE_INDEX
    cells = target[labelled].long() * num_classes + pred[labelled]
    return torch.bincount(cells, minlength=num_classes**2).view(num_classes, num_classes)


def _backward(setup: TrainSetup, parts: Sequence[Batch]) -> tuple[Tensor, Tensor]:
    """Accumulate the gradient of the parts' mean loss. Returns this loss and whether any pixel is labelled, scalars."""
    losses, any_labelled = [], []
    for part in parts:
        images, labels = _augmented(part, setup.crop_hw)
        with setup.autocast:
            logits = setup.network(images)
        labels = setup.group.gather(labels)
        loss = setup.criterion(setup.group.gather(logits), labels) / len(parts)
        loss.backward()
        losses.append(loss.detach())
        any_labelled.append((labels != IGNORE_INDEX).any())
    return torch.stack(losses).sum(), torch.stack(any_labelled).any()


def _more_parts(parts: int, images: int, group: Group) -> int:
    """Twice as many parts. Raises UserError if a part would have less than 2 images, which batch norm needs."""
    if images < 4 * parts or group.world_size > 1:  # the other processes do not know of it
        raise UserError(
            f"GPU memory is too small for {-(-images // parts)} images at once; "
            "lower train.crop or train.batch_size, or choose a smaller train.encoder"
        ) from None
    torch.cuda.empty_cache()
    _log.warning("GPU memory is too small: each batch now passes through the network in %d parts", 2 * parts)
    return 2 * parts


def _augmented(batch: Batch, crop_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    assert batch.variations is not None
    images, labels = augment.apply(batch.images, batch.labels, batch.variations, crop_hw)
    return images.contiguous(memory_format=torch.channels_last), labels


def _check_finite(loss: float, norm: float, step: int, lr: float, keys: tuple[str, ...]) -> None:
    if math.isfinite(loss) and math.isfinite(norm):
        return
    raise UserError(
        f"step {step + 1}: loss {loss:.4g} and gradient norm {norm:.4g} at learning rate {lr:.3g} with the images "
        f"{', '.join(sorted(set(keys)))}; lower train.lr or check these images (the last checkpoint is kept)"
    )


def _ignore_unseen(labels: Tensor, seen: Tensor) -> Tensor:
    """The labels with IGNORE_INDEX for classes that are not seen."""
    is_seen = torch.zeros(IGNORE_INDEX + 1, dtype=torch.bool, device=labels.device)
    is_seen[: len(seen)] = seen
    return torch.where(is_seen[labels.long()], labels, IGNORE_INDEX)
