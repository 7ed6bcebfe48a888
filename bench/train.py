"""The speed of training compared with its floor and with a usual training script, on the data of this project.

`python -m bench.train [EPOCHS]`, after `make repro`, prints one table. The floor is the same step on one augmented
batch in memory. The usual script decodes, resizes and augments photos one by one in DataLoader workers (torchvision
v2), and makes the step of segmentation_models_pytorch's CamVid example (Dice loss, running statistics, Adam with the
example's rate and schedule) on the same network. The sides run in turn, a block of steps each; a ratio is of one
round. Then `train.processes` 2 and 1 are compared. With EPOCHS both trainings also run that long and are scored on
validation.
"""

import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from segpipe.data import split_table, tables
from segpipe.data.classes import IGNORE_INDEX
from segpipe.evaluate import scores
from segpipe.inference.pairs import PhotoPair, find_pairs
from segpipe.models.segmenter import Segmenter
from segpipe.params import Params, load
from segpipe.train import augment, distributed, epoch, history, loop, prepare, runtime
from segpipe.train import data as batches
from segpipe.train import optimizer as schedule
from segpipe.train.history import EpochRecord
from segpipe.train.recipe import RunRecipe

CPU = torch.device("cpu")
STEPS, WARM_UP, ROUNDS = 8, 2, 6  # steps of a block, uncounted steps before them, blocks of each side
PROCESS_ROUNDS = 2
WORKERS, EXAMPLES_LR = 2, 2e-4


class PhotoDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A usual data set: it reads each photo and label map when they are needed."""

    def __init__(self, pairs: list[PhotoPair], params: Params, mean: Any, std: Any) -> None:
        variation = params.train.augment
        self.pairs = pairs
        self.transform = v2.Compose(
            [
                v2.Resize(params.photos.size_hw),
                v2.RandomHorizontalFlip(variation.flip),
                v2.RandomVerticalFlip(variation.flip_vertical),
                v2.RandomAffine(
                    variation.rotate_deg,
                    scale=(1 / (1 + variation.scale), 1 + variation.scale),
                    interpolation=v2.InterpolationMode.BILINEAR,
                    fill={tv_tensors.Image: 127, tv_tensors.Mask: IGNORE_INDEX},
                ),
                v2.ColorJitter(variation.brightness, variation.contrast, variation.saturation, variation.hue),
                v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
                v2.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        with Image.open(self.pairs[index].photo) as photo:
            image = tv_tensors.Image(v2.functional.pil_to_tensor(ImageOps.exif_transpose(photo).convert("RGB")))
        with Image.open(self.pairs[index].mask) as mask:
            label_map = tv_tensors.Mask(torch.from_numpy(np.array(mask)))
        image, label_map = self.transform(image, label_map)
        return image, label_map.long()


def ours(params: Params, group: distributed.Group = distributed.SINGLE) -> Iterator[Callable[[], Iterator[object]]]:
    """Yield two functions that start a block of steps: of the training, and of its step alone (the floor)."""
    _, data, segmenter, _ = prepare.data_and_network(params.train, params.seed)
    recipe = RunRecipe.of(params.train, params.seed, params.compute.checkpoint_minutes)
    runtime.place(segmenter, CPU, group)
    schedule.train_mode(segmenter, is_encoder_frozen=False)
    optimizer = schedule.OPTIMIZERS[recipe.optimizer](segmenter, recipe.lr, recipe.weight_decay, 1.0)
    setup = runtime.train_setup(segmenter, optimizer, data, recipe, CPU, group)

    def training() -> Iterator[object]:
        images = batches.training_batches(data, recipe, 1, 0, CPU, group)
        return epoch.train_one_epoch(setup, images, lr_factor=lambda step: 1e-3, step_seed=lambda step: step)

    first = next(batches.training_batches(data, recipe, 1, 0, CPU))
    assert first.variations is not None
    images, labels = augment.apply(first.images, first.labels, first.variations, setup.crop_hw)
    images = images.contiguous(memory_format=torch.channels_last)

    def step_alone() -> Iterator[object]:
        while True:
            optimizer.zero_grad(set_to_none=True)
            loss = setup.criterion(segmenter(images), labels)
            loss.backward()
            schedule.clip_gradients(segmenter, recipe.clip_norm)
            optimizer.step()
            yield loss.item()

    yield training
    yield step_alone


def usual(params: Params, segmenter: Segmenter, epochs: int) -> Iterator[Iterator[object]]:
    """Train the network of the segmenter as the example does; yield the steps of each epoch."""
    splits = split_table.read_splits(prepare.SPLITS)
    keys = {key: split for key, split in splits.items() if split == "train"}
    photos = tables.read_photos(Path("data/checked/images.parquet"))
    pairs = find_pairs(keys, photos, Path(params.ingest.source), Path("data/masks"))
    dataset = PhotoDataset(pairs, params, segmenter.mean, segmenter.std)
    loader = DataLoader(dataset, params.train.batch_size, shuffle=True, num_workers=WORKERS, drop_last=True)
    network, num_classes = segmenter.network, len(segmenter.seen)
    loss_of = smp.losses.DiceLoss(smp.losses.MULTICLASS_MODE, from_logits=True, ignore_index=IGNORE_INDEX)
    optimizer = torch.optim.Adam(network.parameters(), lr=EXAMPLES_LR)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * len(loader), eta_min=1e-5)

    def one_epoch() -> Iterator[object]:
        network.train()
        for images, label_maps in loader:
            logits = network(images)
            loss = loss_of(logits, label_maps)
            pred = logits.softmax(dim=1).argmax(dim=1)
            stats = smp.metrics.get_stats(
                pred, label_maps, mode="multiclass", num_classes=num_classes, ignore_index=IGNORE_INDEX
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            yield loss.item(), stats

    for _ in range(epochs):
        yield one_epoch()


def seconds_per_step(steps: Iterator[object]) -> float:
    """Seconds per step of a block, without the first steps."""
    next(islice(steps, WARM_UP - 1, None))
    start = time.perf_counter()
    next(islice(steps, STEPS - 1, None))
    return (time.perf_counter() - start) / STEPS


def write_seconds_per_step() -> None:
    """Run as one of several processes; the first writes the seconds per step to the file BENCH_OUT."""
    params = load()
    group = distributed.join(CPU, params.train.batch_size)
    seconds = seconds_per_step(next(ours(params, group))())
    if not group.rank:
        Path(os.environ["BENCH_OUT"]).write_text(str(seconds))
    distributed.leave(group)


def seconds_of_processes(count: int) -> float:
    """Seconds per step with `count` processes that share each batch."""
    with tempfile.NamedTemporaryFile() as out:
        os.environ["BENCH_OUT"] = out.name
        assert distributed.launch([sys.executable, "-m", "bench.train", "--process"], count) == 0
        return float(Path(out.name).read_text())


def speed(params: Params) -> None:
    """Print seconds per step of each side, and the ratios."""
    training, step_alone = ours(params)
    usual_epochs = usual(params, prepare.data_and_network(params.train, params.seed)[2], ROUNDS)
    rounds = [
        [seconds_per_step(side) for side in (training(), step_alone(), next(usual_epochs))] for _ in range(ROUNDS)
    ]
    for name, times in zip(("training", "the step alone", "the usual script"), zip(*rounds, strict=True), strict=True):
        print(f"  {name:42} {statistics.median(times):6.3f} s per step ({min(times):.3f} to {max(times):.3f})")
    processes = [[seconds_of_processes(count) for count in (1, 2)] for _ in range(PROCESS_ROUNDS)]
    for name, ratios in (
        ("training / the step alone", [b / a for a, b, _ in rounds]),
        ("training / the usual script", [c / a for a, _, c in rounds]),
        ("two processes / one", [one / two for one, two in processes]),
    ):
        print(f"  {name:42} {statistics.median(ratios):6.2f} in throughput ({min(ratios):.2f} to {max(ratios):.2f})")


def quality(params: Params, epochs: int) -> None:
    """Print the mIoU of both trainings on the validation images at training size."""
    params = params.model_copy(update={"train": params.train.model_copy(update={"epochs": epochs})})
    recipe = RunRecipe.of(params.train, params.seed, params.compute.checkpoint_minutes)
    start = time.perf_counter()
    _, data, segmenter, _ = prepare.data_and_network(params.train, params.seed)
    for steps in usual(params, segmenter, epochs):
        for _ in steps:
            pass
    images = batches.validation_batches(data, recipe.batch_size, CPU)
    criterion = runtime.criterion(segmenter, data, recipe, CPU)
    _, matrix = epoch.validate(segmenter, criterion, images, runtime.autocast(CPU, amp=False))
    seconds = time.perf_counter() - start
    print(f"{f'  the usual script, {epochs} epochs':44} {scores.mean_iou(matrix):6.3f} val mIoU, {seconds:.0f} s")
    start = time.perf_counter()
    _, data, segmenter, _ = prepare.data_and_network(params.train, params.seed)
    with tempfile.TemporaryDirectory() as folder:
        events = list(loop.fit(segmenter, data, recipe, Path(folder), "bench", CPU))
    score = history.summary([e for e in events if isinstance(e, EpochRecord)], epochs, 0, recipe.ship)["val_mean_iou"]
    print(f"{f'  training, {epochs} epochs':44} {score:6.3f} val mIoU, {time.perf_counter() - start:.0f} s")


def main(epochs: int) -> None:
    """Print the table."""
    params = load()
    runtime.set_determinism(CPU, strict=False)
    print(
        f"{params.train.architecture} on {params.train.encoder}, {params.photos.size_hw}, {params.train.batch_size} "
        f"images per step, {torch.get_num_threads()} threads; {ROUNDS} rounds of {STEPS} steps"
    )
    speed(params)
    if epochs:
        quality(params, epochs)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    if sys.argv[1:] == ["--process"]:
        write_seconds_per_step()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
