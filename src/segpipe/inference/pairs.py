"""Photographs with their truth, predicted one after the other; no more than a few are in memory at a time."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segpipe.core.errors import UserError, at
from segpipe.data.photos import read_rgb
from segpipe.data.records import Frame, Photo
from segpipe.inference.predict import predict_each
from segpipe.inference.read_ahead import read_ahead
from segpipe.masks import label_png
from segpipe.models.model_file import ModelCard

_log = logging.getLogger(__name__)
_LINE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Pair:
    """One photograph and the label map that is its truth, as files; frame: which of its pixels count, and how many."""

    key: str
    split: str
    photo: Path
    frame: Frame
    mask: Path
    pixels: int = 0


def find_pairs(split_of: Mapping[str, str], photos: Iterable[Photo], source: Path, masks: Path) -> list[Pair]:
    """The pairs of the images in split_of (key -> split), in its order. source, masks: where their files are.

    Raises UserError for a key without a photograph.
    """
    by_key = {photo.key: photo for photo in photos}
    for key in split_of:
        if key not in by_key:
            raise UserError(f"{key}: is in the split but not among the checked photographs; run `dvc repro`")
    used = ((by_key[key], split) for key, split in split_of.items())
    return [
        Pair(p.key, split, source / p.file, p.frame, masks / f"{p.key}.png", p.width * p.height) for p, split in used
    ]


@dataclass(frozen=True, slots=True)
class Predicted:
    """image: uint8 (H, W, 3); truth: uint8 (H, W), class_index or IGNORE_INDEX; pred: uint8 (H, W), class_index."""

    pair: Pair
    image: np.ndarray
    truth: np.ndarray
    pred: np.ndarray


def predicted(
    segmenter: nn.Module, card: ModelCard, pairs: Sequence[Pair], batch_size: int, device: torch.device
) -> Iterator[Predicted]:
    """Predict every pair, in order, batch_size windows at once; log how many photographs a second.

    Raises UserError for a photograph or label map that cannot be read, or whose sizes differ.
    """
    start = last = time.perf_counter()
    read = read_ahead(pairs, _read, batch_size, pixels_of=lambda pair: pair.pixels)
    pictures = (((pair, truth), image) for pair, (image, truth) in read)
    results = predict_each(segmenter, card, pictures, batch_size, device)
    for done, ((pair, truth), image, label_map) in enumerate(results, start=1):
        yield Predicted(pair, image, truth, label_map)
        now = time.perf_counter()
        if now - last > _LINE_SECONDS or done == len(pairs):
            last = now
            _log.info("%d of %d photographs predicted, %.1f a second", done, len(pairs), done / (now - start))


def _read(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    with at(str(pair.photo)):
        image = read_rgb(pair.photo, pair.frame)
    try:
        truth = label_png.read(pair.mask)
    except OSError as error:
        raise UserError(f"{pair.mask}: cannot be read ({error.strerror or error}); run `dvc repro`") from error
    if truth.shape != image.shape[:2]:
        sizes = f"{truth.shape[1]} x {truth.shape[0]}, its photograph {image.shape[1]} x {image.shape[0]}"
        raise UserError(f"{pair.mask}: is {sizes}; run `dvc repro`")
    return image, truth
