"""One pass over the training pictures, and one over the validation pictures."""

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
from segpipe.train import optimizer as schedule
from segpipe.train.data import Batch
from segpipe.train.distributed import ALONE, Team

Criterion = Callable[[Tensor, Tensor], Tensor]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """One optimiser step. loss: 0 where all was ignored; lr: the decoder's; seconds: since the step before, `waited` of
    them for data."""

    loss: float
    lr: float
    pictures: int
    is_all_ignored: bool
    redrawn_crops: int
    seconds: float
    waited: float


def train_one_epoch(
    segmenter: nn.Module,
    criterion: Criterion,
    optimizer: Optimizer,
    batches: Iterable[Batch],
    *,
    crop_hw: tuple[int, int],
    clip_norm: float,
    lr_factor: Callable[[int], float],
    step_seed: Callable[[int], int],
    first_step: int,
    parts: int,
    autocast: torch.autocast,
    team: Team = ALONE,
) -> Generator[StepResult, None, None]:
    """Train step by step; the caller may stop between any two.

    segmenter: in the mode to train in; criterion: (logits, target) -> loss; lr_factor, step_seed: of the 0-based step
    in the epoch; batches: from `first_step` on, one a step; parts: in so many parts a batch goes through the network,
    in more where the GPU's memory is too small; autocast: around the network only; team: with whom each batch is
    shared. Raises UserError for a loss or gradient that is not finite, before it reaches the weights.
    """
    start = time.perf_counter()
    for step, batch in enumerate(batches, first_step):
        lr = schedule.set_lr(optimizer, lr_factor(step))
        while True:
            torch.manual_seed(step_seed(step))  # dropout and the like
            optimizer.zero_grad(set_to_none=True)
            try:
                loss, labelled = _backward(segmenter, criterion, batch.split(parts), crop_hw, autocast, team)
                break
            except torch.OutOfMemoryError:
                parts = _more_parts(parts, len(batch.images), team)
        team.sum_gradients(segmenter)
        norm = schedule.clip_gradients(segmenter, clip_norm)
        # The step's only wait for a GPU.
        loss_value, norm_value, any_labelled = torch.stack([loss, norm, labelled.to(loss.dtype)]).tolist()
        _check_finite(loss_value, norm_value, step, lr, batch.keys)
        optimizer.step()
        now = time.perf_counter()
        yield StepResult(
            loss=loss_value,
            lr=lr,
            pictures=len(batch.images) * team.size,
            is_all_ignored=not any_labelled,
            redrawn_crops=batch.draws.redrawn if batch.draws else 0,
            seconds=now - start,
            waited=batch.waited,
        )
        start = time.perf_counter()


def validate(
    segmenter: nn.Module,
    criterion: Criterion,
    batches: Iterable[Batch],
    seen: Tensor,
    autocast: torch.autocast,
    team: Team = ALONE,
) -> tuple[float, np.ndarray]:
    """Predict every validation picture at the store's size.

    seen: bool (C,), on the device; pixels of classes that training never showed do not count in the loss, in which
    they would drown all others, but do in the matrix. Returns the mean loss per picture and the confusion matrix,
    int64 (C, C), rows target (as segpipe.evaluate.confusion counts it), over the batches of the whole team.
    """
    segmenter.eval()
    total, pictures = 0.0, 0.0
    matrix = torch.zeros(len(seen), len(seen), dtype=torch.int64, device=seen.device)
    for batch in batches:
        with torch.inference_mode(), autocast:
            logits = segmenter(batch.images)
        with torch.inference_mode():  # outside autocast, which would compute parts of the loss in bfloat16
            total += float(criterion(logits, _shown_only(batch.labels, seen))) * len(batch.images)
            matrix += _confusion(batch.labels, logits.argmax(dim=1), len(seen))
        pictures += len(batch.images)
    total, pictures = team.totals([total, pictures])
    team.sum([matrix])
    return total / max(1, pictures), matrix.cpu().numpy()


def _backward(
    segmenter: nn.Module,
    criterion: Criterion,
    parts: Sequence[Batch],
    crop_hw: tuple[int, int],
    autocast: torch.autocast,
    team: Team,
) -> tuple[Tensor, Tensor]:
    """Add up the gradient of the parts' mean loss. Returns that loss and whether any pixel has a label, scalars."""
    losses, labelled = [], []
    for part in parts:
        images, labels = _varied(part, crop_hw)
        with autocast:
            logits = segmenter(images)
        labels = team.gathered(labels)
        loss = criterion(team.gathered(logits), labels) / len(parts)
        loss.backward()
        losses.append(loss.detach())
        labelled.append((labels != IGNORE_INDEX).any())
    return torch.stack(losses).sum(), torch.stack(labelled).any()


def _more_parts(parts: int, pictures: int, team: Team) -> int:
    """Twice as many, each of 2 pictures or more (batch norm). Raises UserError where that is not possible."""
    if pictures < 4 * parts or team.size > 1:  # the others do not know
        raise UserError(
            f"the GPU's memory is too small for {-(-pictures // parts)} pictures at once; "
            "lower train.crop or train.batch_size, or choose a smaller train.encoder"
        ) from None
    torch.cuda.empty_cache()
    _log.warning("the GPU's memory is too small: a step's pictures go through the network in %d parts", 2 * parts)
    return 2 * parts


def _varied(batch: Batch, crop_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    assert batch.draws is not None
    images, labels = augment.apply(batch.images, batch.labels, batch.draws, crop_hw)
    return images.contiguous(memory_format=torch.channels_last), labels


def _check_finite(loss: float, norm: float, step: int, lr: float, keys: tuple[str, ...]) -> None:
    if math.isfinite(loss) and math.isfinite(norm):
        return
    raise UserError(
        f"step {step + 1}: loss {loss:.4g} and gradient length {norm:.4g} at learning rate {lr:.3g} with the pictures "
        f"{', '.join(sorted(set(keys)))}; lower train.lr or look at these pictures (the last checkpoint stays)"
    )


def _shown_only(labels: Tensor, seen: Tensor) -> Tensor:
    counts = torch.zeros(IGNORE_INDEX + 1, dtype=torch.bool, device=labels.device)
    counts[: len(seen)] = seen
    return torch.where(counts[labels.long()], labels, IGNORE_INDEX)


def _confusion(target: Tensor, pred: Tensor, num_classes: int) -> Tensor:
    counted = target != IGNORE_INDEX
    cells = target[counted].long() * num_classes + pred[counted]
    return torch.bincount(cells, minlength=num_classes**2).view(num_classes, num_classes)
