"""The one way from photographs to label maps: evaluate, render and inference.py all predict here."""

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
    """Predict the class of every pixel of every image, as predict_each does; as many windows at once as images."""
    pictures = ((None, image) for image in images)
    return [pred for *_, pred in predict_each(segmenter, card, pictures, max(1, len(images)), device)]


def predict_each(
    segmenter: nn.Module,
    card: ModelCard,
    pictures: Iterable[tuple[Item, np.ndarray]],
    batch_size: int,
    device: torch.device,
) -> Iterator[tuple[Item, np.ndarray, np.ndarray]]:
    """Predict the class of every pixel of pictures of any size; yield (item, image, label map) of each, in order.

    segmenter: in eval mode and on `device`; uint8 (N, 3, h, w) RGB -> logits float32 (N, C, h, w).
    pictures: (item, uint8 (H, W, 3) RGB) each, taken as they are needed; batch_size: windows that go through the
    network at once, of one picture or of several: so many pictures are held at most. With card.flip_test every window
    goes through it mirrored too, and the mean of the logits decides.
    A label map is uint8 (H, W), class_index, never ignore_index.
    """
    assert not segmenter.training
    fit = card.fit
    classes = [index for index, seen in enumerate(card.seen) if seen]
    begun: deque[tuple[Item, np.ndarray, Plan]] = deque()

    def inputs() -> Iterator[np.ndarray]:
        for item, image in pictures:
            begun.append((item, image, preprocessing.plan(image.shape[:2], fit)))
            yield from (fit_image(image, fit, window) for window in begun[-1][2].windows)

    logits = _logits(segmenter, inputs(), batch_size, device, card.flip_test)
    for first in logits:
        item, image, plan = begun.popleft()
        of_picture = chain([first], islice(logits, len(plan.windows) - 1))
        yield item, image, stitch.label_map(of_picture, plan, classes)


@torch.inference_mode()
def _logits(
    segmenter: nn.Module, inputs: Iterable[np.ndarray], batch_size: int, device: torch.device, flip_test: bool
) -> Iterator[torch.Tensor]:
    """The logits of each input, (C, h, w), computed a batch at a time as they are asked for.

    flip_test: the mean of those of the input and of its mirror image.
    """
    for windows in in_batches(inputs, batch_size):
        batch = torch.from_numpy(np.stack(windows))  # (N, h, w, 3)
        images = batch.to(device).permute(0, 3, 1, 2)  # channels_last in memory: the fast layout on a CPU
        logits = segmenter(images)
        yield from (logits + segmenter(images.flip(-1)).flip(-1)) / 2 if flip_test else logits
