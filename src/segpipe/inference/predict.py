"""Prediction of label maps: the one function that evaluate, render, inference.py and MLflow's server use."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from segpipe.data import preprocessing
from segpipe.data.preprocessing import Plan, fit_image
from segpipe.inference import stitch
from segpipe.inference.read_ahead import in_batches
from segpipe.models.model_file import ModelCard

Item = TypeVar("Item")


def predict(
    segmenter: nn.Module, card: ModelCard, images: Sequence[np.ndarray], device: torch.device
) -> list[np.ndarray]:
    """Predict the class of every pixel of each image, as predict_each does: uint8 (H, W), class_index, each.

    images: uint8 (H, W, 3) RGB each; batch_size is their number.
    """
    items = ((None, image) for image in images)
    return [pred for *_, pred in predict_each(segmenter, card, items, max(1, len(images)), device)]


def predict_each(
    segmenter: nn.Module,
    card: ModelCard,
    images: Iterable[tuple[Item, np.ndarray]],
    batch_size: int,
    device: torch.device,
) -> Iterator[tuple[Item, np.ndarray, np.ndarray]]:
    """Predict the class of every pixel of images of any size; yield (item, image, label map) of each, in order.

    segmenter: in eval mode and on `device`; uint8 (N, 3, h, w) RGB -> logits float32 (N, C, h, w).
    card: of the model; with card.flip_test the logits are the mean of a window and its mirror image.
    images: (item, uint8 (H, W, 3) RGB) each, read when needed.
    batch_size: windows in one pass through the network, of one image or several; the most images in memory.
    A label map is uint8 (H, W), class_index, never ignore_index.
    """
    assert not segmenter.training
    fit = card.fit
    classes = [index for index, seen in enumerate(card.seen) if seen]
    begun: deque[tuple[Item, np.ndarray, Plan]] = deque()

    def windows() -> Iterator[np.ndarray]:
        """The windows of all images, one after the other; each image is added to `begun`."""
        for item, image in images:
            begun.append((item, image, preprocessing.plan(image.shape[:2], fit)))
            yield from (fit_image(image, fit, window) for window in begun[-1][2].windows)

    logits = _logits(segmenter, windows(), batch_size, device, card.flip_test)
    for first in logits:
        item, image, plan = begun.popleft()
        of_image = chain([first], islice(logits, len(plan.windows) - 1))
        yield item, image, stitch.label_map(of_image, plan, classes)


@torch.inference_mode()
def _logits(
    segmenter: nn.Module, windows: Iterable[np.ndarray], batch_size: int, device: torch.device, flip_test: bool
) -> Iterator[torch.Tensor]:
    """The logits of each window, float32 (C, h, w), computed by the batch when they are needed.

    flip_test: the mean of the logits of the window and of its mirror image.
    """
    for batch in in_batches(windows, batch_size):
        stacked = torch.from_numpy(np.stack(batch))  # (N, h, w, 3)
        images = stacked.to(device).permute(0, 3, 1, 2)  # channels_last in memory: the fast layout on a CPU
        logits = segmenter(images)
        yield from (logits + segmenter(images.flip(-1)).flip(-1)) / 2 if flip_test else logits
