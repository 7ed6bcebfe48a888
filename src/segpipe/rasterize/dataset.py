"""All images of a data set drawn: the label maps, the store, and the ledger with the visible pixels."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.core import memory, parallel
from segpipe.data import fitted, store, tables
from segpipe.data.classes import ClassTable, refuse_unknown
from segpipe.data.fitted import CachedRows
from segpipe.data.preprocessing import Fit, Window, stored_windows
from segpipe.data.records import Instance, Photo, by_image
from segpipe.ledger.rows import Row, check_kept, one_shard, read_ledger, with_visible_px
from segpipe.ledger.totals import Totals
from segpipe.rasterize import image, overlaps, redrawing
from segpipe.rasterize.image import DrawnImage, DrawTask


@dataclass(frozen=True, slots=True)
class Rasterized:
    """The ledger after drawing, and the counts of all label maps."""

    rows: list[Row]
    summary: dict[str, Any]  # for metrics/rasterize.json
    overlaps: dict[tuple[int, int], int]  # as overlaps.total returns them
    classes: ClassTable


def rasterize(
    checked: Path,
    root: Path,
    *,
    masks: Path,
    packed: Path,
    priority: str | Sequence[str],
    fit: Fit,
    workers: int,
    dask: str,
) -> Rasterized:
    """Draw the label map of every image, and pack images and label maps at training size.

    checked: the folder that validate wrote; root: the source folder; masks: the folder for the label maps;
    packed: the folder for the store; priority: the setting rasterize.priority; workers, dask: as for map_ordered.
    Raises UserError if a photo has changed since validate ran, or `priority` names an unknown class.
    """
    earlier = memory.FOLDER / "rasterize"
    photos = tables.read_photos(checked / "images.parquet")
    classes = ClassTable.read(checked / "classes.json")
    indices: dict[str, int] = json.loads((checked / "class_indices.json").read_text(encoding="utf-8"))
    refuse_unknown(priority, sorted(indices, key=lambda name: indices[name]))
    instances, cached = tables.read_instances(checked / "instances.parquet"), fitted.existing(fit).cached()
    to_draw = draw_tasks(photos, instances, root, indices, classes, priority, fit, masks, packed, cached)
    row_windows = store_rows(to_draw)
    store.begin(packed, len(row_windows), fit)
    spread = partial(parallel.map_ordered, image.draw, workers=workers, dask=dask, what="label maps drawn")
    keys = redrawing.keys_of(to_draw)
    drawn = redrawing.draw_all(to_draw, keys, earlier, spread)
    with ThreadPoolExecutor() as disk:  # the disk writes the store while this process counts
        flushed = disk.submit(store.flush, packed)
        disk.submit(fitted.clear)
        rows = with_pixels(read_ledger(checked / "ledger.parquet"), to_draw, drawn)
        totals = Totals.of([one_shard(rows)])
        counts = totals.summary() | pixel_summary(drawn, classes.names)
        counts |= {"store_rows": row_summary(drawn), "vanished_at_training_size": totals.vanished()}
        hidden = overlaps.total(result.overlaps for result in drawn)
    flushed.result()
    store.finish(packed, row_windows, classes, fit, class_pixels(drawn), row_pixels(drawn))
    classes.write(masks / "classes.json")
    redrawing.keep(to_draw, keys, drawn, earlier)
    return Rasterized(rows, counts, hidden, classes)


def draw_tasks(
    photos: Sequence[Photo],
    instances: Sequence[Instance],
    root: Path,
    indices: Mapping[str, int],
    classes: ClassTable,
    priority: str | Sequence[str],
    fit: Fit,
    masks: Path,
    store: Path,
    cached: Mapping[tuple[str, str], CachedRows] | None = None,
) -> list[DrawTask]:
    """One task per photo, in the order of the photos, which is also the order of the store.

    indices: class_index by category; cached: the photos that validate cached, by sha256 and frame.
    """
    of_image = by_image(instances)
    row_counts = [len(stored_windows((photo.height, photo.width), fit)) for photo in photos]
    first_rows = accumulate(row_counts, initial=0)
    return [
        DrawTask(
            root=root,
            photo=photo,
            instances=tuple(of_image.get(photo.key, ())),
            indices=dict(indices),
            classes=classes,
            priority=priority if isinstance(priority, str) else tuple(priority),
            fit=fit,
            position=position,
            masks=masks,
            store=store,
            cached=cached.get((photo.sha256, photo.frame)) if cached else None,
        )
        for position, photo in zip(first_rows, photos, strict=False)
    ]


def store_rows(tasks: Sequence[DrawTask]) -> list[tuple[str, Window]]:
    """The image key and the window of each row of the store, in order."""
    return [(task.photo.key, window) for task in tasks for window in task.windows]


def with_pixels(rows: Sequence[Row], tasks: Sequence[DrawTask], drawn: Sequence[DrawnImage]) -> list[Row]:
    """The ledger with the visible pixels of each drawn annotation; objects without any are hidden.

    rows: the ledger of validate; drawn: the result of each task.
    Raises LedgerError unless the tasks have exactly the images and annotations that validate kept.
    """
    visible = {
        instance.id: (after, at_store)
        for task, result in zip(tasks, drawn, strict=True)
        for instance, after, at_store in zip(task.instances, result.visible_px, result.store_px, strict=True)
    }
    check_kept(rows, (task.photo.key for task in tasks), (i.id for task in tasks for i in task.instances))
    return [
        with_visible_px(row, *visible[row.id]) if row.kind == "annotation" and row.id in visible else row
        for row in rows
    ]


def class_pixels(drawn: Sequence[DrawnImage]) -> np.ndarray:
    """Native pixels of each class in each label map, int64 (N, C)."""
    return np.array([result.class_px for result in drawn], np.int64)


def row_pixels(drawn: Sequence[DrawnImage]) -> np.ndarray:
    """Native pixels of each class in the window of each row of the store, int64 (R, C)."""
    return np.array([pixels for result in drawn for pixels in result.row_px], np.int64)


def row_summary(drawn: Sequence[DrawnImage]) -> dict[str, int]:
    """The number of rows of the store that are whole images, that are tiles, and that have only ignored pixels."""
    row_counts = [len(result.row_px) for result in drawn]
    return {
        "whole": sum(count == 1 for count in row_counts),
        "tiles": sum(count for count in row_counts if count > 1),
        "only_ignored": int((row_pixels(drawn).sum(axis=1) == 0).sum()),
    }


def pixel_summary(drawn: Sequence[DrawnImage], names: Sequence[str]) -> dict[str, Any]:
    """Pixels of all label maps by class and ignored, and the number of label maps without an object.

    names: of the classes, by class index.
    """
    totals = class_pixels(drawn).sum(axis=0)
    return {
        "class_pixels": dict(zip(names, map(int, totals), strict=True)),
        "ignored_pixels": sum(result.ignore_px for result in drawn),
        "empty_masks": sum(not any(result.class_px[1:]) for result in drawn),
    }
