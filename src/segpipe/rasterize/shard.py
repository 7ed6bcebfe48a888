"""The job of rasterize for one shard: a label map for each image, and its rows for training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.core import shards
from segpipe.core.errors import check_total
from segpipe.core.shards import Kept, Result
from segpipe.data import tables
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit, fit_label_map, stored_windows
from segpipe.data.records import Instance, Photo, by_image
from segpipe.data.store import row_writer
from segpipe.masks import label_png, mask_files
from segpipe.rasterize import overlaps
from segpipe.rasterize.image import DrawnImage, DrawTask, draw

_LABELS, _MASKS, _COUNTS = "labels.npy", "masks", "counts.npz"


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawJob:
    """What all shards of a run have in common."""

    checked: Path  # the folder with the tables of validate
    root: Path  # the source folder
    indices: dict[str, int]  # class_index by category
    classes: ClassTable
    priority: str | tuple[str, ...]
    fit: Fit
    kept: Kept
    count: int  # of shards
    version: str  # hash of the code that decides results


@dataclass(frozen=True, slots=True, eq=False)
class ShardCounts:
    """The pixels of one shard: N images, R rows for training, M instances, C classes."""

    class_px: np.ndarray  # int64 (N, C), native pixels of each class in each label map
    ignore_px: np.ndarray  # int64 (N,)
    rows: np.ndarray  # int64 (N,), the number of rows of each image
    row_px: np.ndarray  # int64 (R, C), native pixels of each class in the window of each row
    visible_px: np.ndarray  # int64 (M,), of each instance in its label map
    store_px: np.ndarray  # int64 (M,), of each instance at training size
    overlaps: np.ndarray  # int64 (K, 3): value below, value on top, pixels

    @classmethod
    def read(cls, result: Result) -> "ShardCounts":
        """The counts of a result."""
        with np.load(result.folder / _COUNTS) as arrays:
            return cls(**arrays)


def draw_shard(job: DrawJob, shard: int) -> Result:
    """The result of a shard: the one of an earlier run if all that decides it is unchanged."""
    photos = tables.photos_of(tables.read_shard(job.checked / "images.parquet", shard))
    columns = tables.values_of(tables.read_shard(job.checked / "instances.parquet", shard))
    instances = tables.instances_of(columns)
    settings = sorted(job.indices.items()), job.classes.names, job.priority, repr(job.fit)
    images = [(photo.key, photo.height, photo.width) for photo in photos]
    masks = mask_files.hashes(job.root, {instance.mask_file for instance in instances if instance.mask_file})
    key = shards.key_of(job.version, settings, images, columns, masks)

    def write(folder: Path) -> None:
        _write(folder, job, shard, photos, instances)
        mask_files.require_unchanged(job.root, masks)

    return job.kept.result(shard, job.count, key, write)


def labels_file(result: Result) -> Path:
    """The rows for training, uint8 (R, h, w)."""
    return result.folder / _LABELS


def masks_of(result: Result) -> list[Path]:
    """The label maps, each named KEY.png."""
    return sorted((result.folder / _MASKS).iterdir())


def _write(folder: Path, job: DrawJob, shard: int, photos: list[Photo], instances: list[Instance]) -> None:
    """Draw the images of a shard, and write their label maps, rows and counts into `folder`. May raise LedgerError."""
    (folder / _MASKS).mkdir()
    of_image, drawn = by_image(instances), list[DrawnImage]()
    with row_writer(folder / _LABELS, job.fit.size_hw) as add_row:
        for photo in photos:
            task = DrawTask(job.root, photo, tuple(of_image.get(photo.key, ())), job.indices, job.priority)
            counts, label_map = draw(task, job.classes, job.fit)
            (folder / _MASKS / f"{photo.key}.png").write_bytes(label_png.encode(label_map, job.classes))
            for window in stored_windows(label_map.shape, job.fit):
                add_row(fit_label_map(label_map, job.fit, window))
            drawn.append(counts)
    count = sum(len(each.visible_px) for each in drawn)
    check_total(count == len(instances), f"shard {shard}: {len(instances)} annotations to draw, {count} drawn")
    counts_of: dict[str, Any] = _counts(drawn, len(job.classes))
    np.savez(folder / _COUNTS, **counts_of)


def _counts(drawn: list[DrawnImage], classes: int) -> dict[str, np.ndarray]:
    """The fields of ShardCounts."""
    pairs = overlaps.total(each.overlaps for each in drawn)
    return {
        "class_px": np.array([each.class_px for each in drawn], np.int64).reshape(-1, classes),
        "ignore_px": np.array([each.ignore_px for each in drawn], np.int64),
        "rows": np.array([len(each.row_px) for each in drawn], np.int64),
        "row_px": np.array([px for each in drawn for px in each.row_px], np.int64).reshape(-1, classes),
        "visible_px": np.array([px for each in drawn for px in each.visible_px], np.int64),
        "store_px": np.array([px for each in drawn for px in each.store_px], np.int64),
        "overlaps": np.array([(*pair, px) for pair, px in pairs.items()], np.int64).reshape(-1, 3),
    }
