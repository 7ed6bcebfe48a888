"""The one way from photographs to label maps: evaluate, render and inference.py all predict here."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from segpipe.dataset.transforms import Fit, Mode, Window, fit_image, windows
from segpipe.models.card import ModelCard


def predict(
    segmenter: nn.Module, card: ModelCard, images: Sequence[np.ndarray], device: torch.device
) -> list[np.ndarray]:
    """Predict the class of every pixel of every image, each at its own size.

    segmenter: in eval mode and on `device`; uint8 (N, 3, h, w) RGB -> logits float32 (N, C, h, w).
    images: uint8 (H, W, 3) RGB of any sizes; at most as many windows as images go through the network at once.
    Returns uint8 (H, W) each, class_index, never ignore_index. Where windows overlap, logits are averaged; the way
    back to the native size is bilinear on logits, half-pixel centres, padding left out.
    """
    assert not segmenter.training
    fit = Fit(cast(Mode, card.fit_mode), card.size_hw)
    plans = [windows(image.shape[:2], fit) for image in images]
    inputs = [fit_image(image, fit, window) for image, plan in zip(images, plans, strict=True) for window in plan]
    classes = [index for index, seen in enumerate(card.seen) if seen]
    with torch.inference_mode():
        logits = _logits(segmenter, inputs, len(images), device)
        return [
            _label_map(_scaled_logits(islice(logits, len(plan)), plan, fit.size_hw), image.shape[:2], classes)
            for image, plan in zip(images, plans, strict=True)
        ]


def _logits(
    segmenter: nn.Module, inputs: Sequence[np.ndarray], batch_size: int, device: torch.device
) -> Iterator[torch.Tensor]:
    """The logits of each input, (C, h, w), computed a batch at a time as they are asked for."""
    for start in range(0, len(inputs), batch_size):
        batch = torch.from_numpy(np.stack(inputs[start : start + batch_size]))  # (N, h, w, 3)
        yield from segmenter(batch.to(device).permute(0, 3, 1, 2))  # channels_last in memory: the fast layout on a CPU


def _scaled_logits(logits: Iterator[torch.Tensor], plan: Sequence[Window], size_hw: tuple[int, int]) -> torch.Tensor:
    """Put the windows of one picture together: (C, *scaled_hw), the mean where they overlap."""
    if len(plan) == 1:
        rows, columns = plan[0].content(size_hw)
        return next(logits)[:, rows, columns]
    parts = list(logits)
    total = parts[0].new_zeros((len(parts[0]), *plan[0].scaled_hw))
    count = parts[0].new_zeros(plan[0].scaled_hw)
    for part, window in zip(parts, plan, strict=True):
        rows, columns = window.content(size_hw)
        y, x = window.offset_yx
        place = (slice(rows.start + y, rows.stop + y), slice(columns.start + x, columns.stop + x))
        total[:, *place] += part[:, rows, columns]
        count[place] += 1
    return total / count


def _label_map(scaled: torch.Tensor, native_hw: tuple[int, int], classes: Sequence[int]) -> np.ndarray:
    """The class with the greatest logit at each native pixel, taken class by class: memory stays at a few planes."""
    label_map = torch.full(native_hw, classes[0], dtype=torch.uint8, device=scaled.device)
    best = _native_plane(scaled[classes[0]], native_hw)
    for index in classes[1:]:
        plane = _native_plane(scaled[index], native_hw)
        label_map[plane > best] = index
        best = torch.maximum(best, plane)
    return label_map.cpu().numpy()


def _native_plane(plane: torch.Tensor, native_hw: tuple[int, int]) -> torch.Tensor:
    if plane.shape == native_hw:
        return plane
    return F.interpolate(plane[None, None].float(), native_hw, mode="bilinear", align_corners=False)[0, 0]
