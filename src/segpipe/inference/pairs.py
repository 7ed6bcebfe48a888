"""Photos with their true label maps, predicted one after the other; only a few are in memory at a time."""

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segpipe.core.errors import UserError, at
from segpipe.data import split_table, tables
from segpipe.data.photos import read_rgb
from segpipe.data.records import Frame, Photo
from segpipe.inference.predict import predict_each
from segpipe.inference.read_ahead import read_ahead
from segpipe.masks import label_png
from segpipe.models.model_file import ModelCard

_log = logging.getLogger(__name__)
_LOG_INTERVAL_S = 15.0


@dataclass(frozen=True, slots=True)
class PhotoPair:
    """The files of one image: its photo and its true label map."""

    key: str
    split: str
    photo: Path
    frame: Frame  # which pixels of the photo count
    mask: Path
    pixels: int = 0  # number of them


def find_pairs(split_of: Mapping[str, str], photos: Iterable[Photo], source: Path, masks: Path) -> list[PhotoPair]:
    """The pairs of the images in split_of (key -> split), in its order.

    source, masks: the folders of photos and of label maps. Raises UserError for a key without a photo.
    """
    by_key = {photo.key: photo for photo in photos}
    for key in split_of:
        if key not in by_key:
            raise UserError(f"{key}: is in the split but not among the checked photos; run `dvc repro`")
    used = ((by_key[key], split) for key, split in split_of.items())
    return [
        PhotoPair(p.key, split, source / p.file, p.frame, masks / f"{p.key}.png", p.width * p.height)
        for p, split in used
    ]


def pairs_of(splits: Collection[str], source: Path) -> list[PhotoPair]:
    """The pairs of all images in `splits`, from data/splits.csv, data/checked and data/masks.

    source: the folder of photos. Raises UserError as find_pairs.
    """
    split_of = split_table.read_splits(Path("data/splits.csv"))
    photos = tables.read_photos(Path("data/checked/images.parquet"))
    chosen = {key: split for key, split in split_of.items() if split in splits}
    return find_pairs(chosen, photos, source, Path("data/masks"))


@dataclass(frozen=True, slots=True)
class PredictedPair:
    """A pair of files with its arrays."""

    pair: PhotoPair
    image: np.ndarray  # uint8 (H, W, 3) RGB
    truth: np.ndarray  # uint8 (H, W), class_index or IGNORE_INDEX
    pred: np.ndarray  # uint8 (H, W), class_index


def predict_pairs(
    segmenter: nn.Module, card: ModelCard, pairs: Sequence[PhotoPair], batch_size: int, device: torch.device
) -> Iterator[PredictedPair]:
    """Predict every pair, in order; log the progress.

    segmenter, card, batch_size, device: as for predict_each.
    Raises UserError for a photo or label map that cannot be read, or whose sizes differ.
    """
    start = last = time.perf_counter()
    read = read_ahead(pairs, _read, batch_size, pixels_of=lambda pair: pair.pixels)
    images = (((pair, truth), image) for pair, (image, truth) in read)
    results = predict_each(segmenter, card, images, batch_size, device)
    for done, ((pair, truth), image, label_map) in enumerate(results, start=1):
        yield PredictedPair(pair, image, truth, label_map)
        now = time.perf_counter()
        if now - last > _LOG_INTERVAL_S or done == len(pairs):
            last = now
            _log.info("%d of %d images predicted, %.1f per second", done, len(pairs), done / (now - start))


def _read(pair: PhotoPair) -> tuple[np.ndarray, np.ndarray]:
    with at(str(pair.photo)):
        image = read_rgb(pair.photo, pair.frame)
    try:
        truth = label_png.read(pair.mask)
    except OSError as error:
        raise UserError(f"{pair.mask}: cannot be read ({error.strerror or error}); run `dvc repro`") from error
    if truth.shape != image.shape[:2]:
        sizes = f"{truth.shape[1]} x {truth.shape[0]}, its photo {image.shape[1]} x {image.shape[0]}"
        raise UserError(f"{pair.mask}: is {sizes}; run `dvc repro`")
    return image, truth
