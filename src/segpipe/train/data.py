"""Training data, and the batches of an epoch; the next batches are read while the network works on the current one."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from segpipe.core.errors import UserError
from segpipe.data.store import Rows, Store
from segpipe.train import augment, sampling
from segpipe.train.augment import Variations
from segpipe.train.distributed import SINGLE, Group
from segpipe.train.recipe import RunRecipe

_AHEAD = 2  # batches read in advance
_MAX_MONITORED = 8  # validation images whose predictions are shown


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData:
    """The packed images, and the positions of those to train on and to validate with. N images, C classes."""

    images: np.ndarray | Rows  # uint8 (N, h, w, 3) RGB
    labels: np.ndarray | Rows  # uint8 (N, h, w), class_index or IGNORE_INDEX
    keys: tuple[str, ...]  # N names of images or tiles
    train_index: np.ndarray  # int64 (n,), positions 0..N-1
    val_index: np.ndarray  # int64 (m,), positions 0..N-1; m may be 0
    class_pixels: np.ndarray  # int64 (N, C), pixels per image and class
    class_names: tuple[str, ...]  # C names by class_index

    @classmethod
    def of(cls, store: Store, splits: Mapping[str, str]) -> "TrainingData":
        """The rows of a store that have a labelled pixel. Rows without one teach and measure nothing.

        splits: "train", "val", "test" or "" by image key. Raises UserError if no row is left to train on.
        """
        sides = np.where(store.row_pixels.any(axis=1), [splits[key] for key in store.keys], "")
        if not (sides == "train").any():
            raise UserError(
                "data/splits.csv: no image is left to train on; lower split.val and split.test in params.yaml"
            )
        return cls(
            images=store.images,
            labels=store.labels,
            keys=store.names,
            train_index=np.flatnonzero(sides == "train"),
            val_index=np.flatnonzero(sides == "val"),
            class_pixels=store.row_pixels,
            class_names=store.classes.names,
        )

    @property
    def seen(self) -> tuple[bool, ...]:
        """Whether each class occurs in the training images, by class_index."""
        return tuple(bool(occurs) for occurs in self.class_pixels[self.train_index].sum(axis=0) > 0)

    @property
    def monitored_index(self) -> np.ndarray:
        """Positions of a few validation images, evenly spaced, whose predictions are shown: int64 (n,)."""
        count = len(self.val_index)
        few = min(count, _MAX_MONITORED)
        return self.val_index[np.arange(few) * count // max(1, few)]


@dataclass(frozen=True, slots=True)
class Batch:
    """N images of a training or validation step."""

    images: Tensor  # uint8 (N, 3, H, W) in channels_last memory
    labels: Tensor  # uint8 (N, H, W)
    variations: Variations | None  # how to augment; None in validation
    keys: tuple[str, ...]
    wait_seconds: float = 0.0  # time the network waited for this batch

    def split(self, parts: int) -> "list[Batch]":
        """The batch in at most `parts` batches of about equal size."""
        size = -(-len(self.images) // parts)
        return [self.select(slice(start, start + size)) for start in range(0, len(self.images), size)]

    def select(self, rows: "slice | np.ndarray") -> "Batch":
        """The batch restricted to some images. rows: slice or int (k,)."""
        variations = self.variations and self.variations.select(rows)
        keys = tuple(np.array(self.keys)[rows].tolist())
        return replace(self, images=self.images[rows], labels=self.labels[rows], variations=variations, keys=keys)

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        images, labels = (t.to(device, non_blocking=True) for t in (self.images, self.labels))
        return replace(self, images=images, labels=labels, variations=self.variations and self.variations.to(device))


def training_batches(
    data: TrainingData, recipe: RunRecipe, epoch: int, first_step: int, device: torch.device, group: Group = SINGLE
) -> Iterator[Batch]:
    """The batches of an epoch from `first_step` on, on `device`, with random variations for each image.

    With several processes, each gets its rows of every batch. Each draws the variations of the whole batch: they
    do not depend on the number of processes.
    """
    order = sampling.epoch_order(len(data.train_index), recipe.images_per_step, recipe.seed, epoch)
    positions, size_hw = data.train_index[order], crop_hw(data, recipe)
    rarity = sampling.class_rarity(data.class_pixels[data.train_index])
    rows = group.rows(recipe.images_per_step, recipe.accumulate)
    is_single = group.world_size == 1

    def read(step: int) -> Batch:
        return _read(data, positions[step][rows], device)

    def vary(step: int, batch: Batch) -> Batch:
        labels = batch.labels if is_single else torch.from_numpy(data.labels[positions[step]])
        generator = sampling.generator(recipe.seed, sampling.AUGMENT, epoch, step)
        share = recipe.rare_class_share
        points = sampling.focus_points(labels, rarity, share, generator) if share else None
        variations = augment.draw(labels, size_hw, recipe.augment, generator, points)
        return replace(batch, variations=variations if is_single else variations.select(rows))

    return _read_ahead(read, vary, first_step, len(positions), device)


def validation_batches(
    data: TrainingData, batch_size: int, device: torch.device, group: Group = SINGLE
) -> Iterator[Batch]:
    """All validation images in order, on `device`; the last batch may be smaller.

    With several processes, the process of rank r gets batches r, r + world_size, and so on.
    """
    starts = range(group.rank * batch_size, len(data.val_index), group.world_size * batch_size)

    def read(step: int) -> Batch:
        return _read(data, data.val_index[starts[step] : starts[step] + batch_size], device)

    return _read_ahead(read, lambda _, batch: batch, 0, len(starts), device)


def steps_per_epoch(data: TrainingData, recipe: RunRecipe) -> int:
    """The number of training batches in an epoch."""
    return -(-len(data.train_index) // recipe.images_per_step)


def crop_hw(data: TrainingData, recipe: RunRecipe) -> tuple[int, int]:
    """(height, width) in pixels of the images that the network sees in training."""
    return recipe.crop or (data.images.shape[1], data.images.shape[2])


def _read(data: TrainingData, positions: np.ndarray, device: torch.device) -> Batch:
    images = torch.from_numpy(data.images[positions]).permute(0, 3, 1, 2)  # (N, 3, H, W)
    labels = torch.from_numpy(data.labels[positions])
    if device.type == "cuda":
        images, labels = images.pin_memory(), labels.pin_memory()
    return Batch(images, labels, None, tuple(data.keys[position] for position in positions))


def _read_ahead(
    read: Callable[[int], Batch], vary: Callable[[int, Batch], Batch], first: int, end: int, device: torch.device
) -> Iterator[Batch]:
    """Yield vary(step, read(step)) for first..end-1. One thread reads _AHEAD batches in advance.

    With a GPU, `vary` runs in this thread, too. With a network on the CPU it runs in the caller's thread: PyTorch would
    start more threads than there are cores for the second thread, which slows both down.
    """
    vary_ahead = device.type == "cuda"

    def work(step: int) -> Batch:
        return vary(step, read(step)) if vary_ahead else read(step)

    with ThreadPoolExecutor(1, "batches") as pool:
        pending: deque[Future[Batch]] = deque()
        for step in range(first, end + _AHEAD):
            if step < end:
                pending.append(pool.submit(work, step))
            if step >= first + _AHEAD and pending:
                start = time.perf_counter()
                batch = pending.popleft().result()
                batch = batch if vary_ahead else vary(step - _AHEAD, batch)
                yield replace(batch.to(device), wait_seconds=time.perf_counter() - start)
