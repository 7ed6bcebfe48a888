"""Pictures for one epoch, batch after batch; the next ones are fetched while the network works."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from segpipe.core.errors import UserError
from segpipe.data.store import Store
from segpipe.train import augment, randomness, rare
from segpipe.train.augment import Draws
from segpipe.train.distributed import ALONE, Team
from segpipe.train.recipe import RunRecipe

_AHEAD = 2  # batches fetched beforehand


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData:
    """Packed pictures and which of them to train on and to validate with.

    images: uint8 (N, h, w, 3) RGB, may be memory-mapped; labels: uint8 (N, h, w), class_index or IGNORE_INDEX; keys:
    N names of pictures or tiles; train_index, val_index: positions 0..N-1, val_index may be empty; class_pixels: int64
    (N, C), pixels per picture and class; class_names: C names by class_index.
    """

    images: np.ndarray
    labels: np.ndarray
    keys: tuple[str, ...]
    train_index: np.ndarray
    val_index: np.ndarray
    class_pixels: np.ndarray
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, store: Store, splits: Mapping[str, str]) -> "TrainingData":
        """A store's rows, but for those without a labelled pixel, which teach and measure nothing.

        splits: train, val, test or "" by picture key. Raises UserError where none trains.
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
        """Which classes the training pictures show, by class_index."""
        return tuple(bool(shown) for shown in self.class_pixels[self.train_index].sum(axis=0) > 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """images: uint8 (N, 3, H, W) in channels_last memory; labels: uint8 (N, H, W); draws: how to vary them, None in
    validation; keys: the N pictures'; waited: seconds until it was there.
    """

    images: Tensor
    labels: Tensor
    draws: Draws | None
    keys: tuple[str, ...]
    waited: float = 0.0

    def split(self, parts: int) -> "list[Batch]":
        """The same in at most `parts` batches of about equal size."""
        size = -(-len(self.images) // parts)
        return [self.rows(slice(start, start + size)) for start in range(0, len(self.images), size)]

    def rows(self, rows: "slice | np.ndarray") -> "Batch":
        """Some of its pictures."""
        draws = self.draws and self.draws.rows(rows)
        keys = tuple(np.array(self.keys)[rows].tolist())
        return replace(self, images=self.images[rows], labels=self.labels[rows], draws=draws, keys=keys)

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        images, labels = (t.to(device, non_blocking=True) for t in (self.images, self.labels))
        return replace(self, images=images, labels=labels, draws=self.draws and self.draws.to(device))


def training_batches(
    data: TrainingData, recipe: RunRecipe, epoch: int, first_step: int, device: torch.device, team: Team = ALONE
) -> Iterator[Batch]:
    """The epoch's batches from `first_step` on, on `device`, with what is drawn for each picture.

    In a team this process's rows of them: everybody draws for the whole batch, so that the draws are the same.
    """
    order = randomness.order(len(data.train_index), recipe.images_per_step, recipe.seed, epoch)
    positions, size_hw = data.train_index[order], crop_hw(data, recipe)
    rarity = rare.rarity(data.class_pixels[data.train_index])
    own = team.own_rows(recipe.images_per_step, recipe.accumulate)

    def fetch(step: int) -> Batch:
        return _gather(data, positions[step][own], device)

    def vary(step: int, batch: Batch) -> Batch:
        labels = batch.labels if team.size == 1 else torch.from_numpy(np.asarray(data.labels[positions[step]]))
        generator = randomness.generator(recipe.seed, randomness.AUGMENT, epoch, step)
        share = recipe.rare_class_share
        aims = rare.aims(labels, rarity, share, generator) if share else None
        draws = augment.draw(labels, size_hw, recipe.augment, generator, aims)
        return replace(batch, draws=draws if team.size == 1 else draws.rows(own))

    return _ahead(fetch, vary, first_step, len(positions), device)


def validation_batches(
    data: TrainingData, batch_size: int, device: torch.device, team: Team = ALONE
) -> Iterator[Batch]:
    """All validation pictures in order, on `device`; the last batch may be smaller. In a team every size-th batch."""
    starts = range(team.rank * batch_size, len(data.val_index), team.size * batch_size)

    def fetch(step: int) -> Batch:
        return _gather(data, data.val_index[starts[step] : starts[step] + batch_size], device)

    return _ahead(fetch, lambda _, batch: batch, 0, len(starts), device)


def steps_per_epoch(data: TrainingData, recipe: RunRecipe) -> int:
    """How many batches `training_batches` gives for a whole epoch."""
    return -(-len(data.train_index) // recipe.images_per_step)


def crop_hw(data: TrainingData, recipe: RunRecipe) -> tuple[int, int]:
    """(height, width) in pixels of what the network sees in training."""
    return recipe.crop or (data.images.shape[1], data.images.shape[2])


def _gather(data: TrainingData, positions: np.ndarray, device: torch.device) -> Batch:
    images = torch.from_numpy(np.asarray(data.images[positions])).permute(0, 3, 1, 2)  # (N, 3, H, W)
    labels = torch.from_numpy(np.asarray(data.labels[positions]))
    if device.type == "cuda":
        images, labels = images.pin_memory(), labels.pin_memory()
    return Batch(images, labels, None, tuple(data.keys[position] for position in positions))


def _ahead(
    fetch: Callable[[int], Batch], vary: Callable[[int, Batch], Batch], first: int, end: int, device: torch.device
) -> Iterator[Batch]:
    """Call fetch(first) .. fetch(end - 1) on one thread, _AHEAD calls beforehand, and give what `vary` makes of them.

    That is done on the same thread beside a GPU. Beside a network on the CPU it would be PyTorch's work on a second
    thread, which starts threads of its own: more than there are cores, and all of them slow down.
    """
    beside = device.type == "cuda"

    def work(step: int) -> Batch:
        return vary(step, fetch(step)) if beside else fetch(step)

    with ThreadPoolExecutor(1, "batches") as pool:
        pending: deque[Future[Batch]] = deque()
        for step in range(first, end + _AHEAD):
            if step < end:
                pending.append(pool.submit(work, step))
            if step >= first + _AHEAD and pending:
                start = time.perf_counter()
                batch = pending.popleft().result()
                batch = batch if beside else vary(step - _AHEAD, batch)
                yield replace(batch.to(device), waited=time.perf_counter() - start)
