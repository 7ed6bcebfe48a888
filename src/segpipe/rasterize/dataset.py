"""All images of a data set drawn: one job per shard, whose label maps, rows and counts are then put together."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.core import parallel, shards, versions
from segpipe.core.files import make_empty
from segpipe.core.shards import Kept, Result
from segpipe.data import store, tables
from segpipe.data.classes import ClassTable, refuse_unknown
from segpipe.data.columns import Shards, numbers
from segpipe.data.preprocessing import Fit
from segpipe.data.tables import POSITION, shard_writer
from segpipe.ledger.drawn import with_pixels
from segpipe.ledger.totals import Totals
from segpipe.rasterize import overlaps
from segpipe.rasterize.shard import DrawJob, ShardCounts, draw_shard, labels_file, masks_of

_CODE = ("core", "data", "masks", "ledger", "rasterize")


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """The pixels of all label maps: N images, R rows for training, C classes; in the order of the source."""

    class_px: np.ndarray  # int64 (N, C), native pixels of each class
    ignored: int
    rows: np.ndarray  # int64 (N,), the number of rows of each image
    row_px: np.ndarray  # int64 (R, C), native pixels of each class in the window of each row
    overlaps: dict[tuple[int, int], int]  # as overlaps.total returns them

    def summary(self, names: Sequence[str]) -> dict[str, Any]:
        """The counts for metrics/rasterize.json. names: of the classes, by class index."""
        totals = self.class_px.sum(axis=0)
        return {
            "class_pixels": dict(zip(names, totals.tolist(), strict=True)),
            "ignored_pixels": self.ignored,
            "empty_masks": int((~self.class_px[:, 1:].any(axis=1)).sum()),
            "store_rows": {
                "whole": int((self.rows == 1).sum()),
                "tiles": int(self.rows[self.rows > 1].sum()),
                "only_ignored": int((self.row_px.sum(axis=1) == 0).sum()),
            },
        }


def rasterize(
    checked: Path,
    root: Path,
    *,
    masks: Path,
    labels: Path,
    ledger: Path,
    priority: str | Sequence[str],
    fit: Fit,
    workers: int,
    dask: str,
) -> tuple[dict[str, Any], str, Callable[[], None]]:
    """Draw the label map of every image, at its size and at training size, and write the ledger with visible pixels.

    Returns the counts for the metrics, the table of overlaps as CSV, and a function that deletes the results of earlier
    runs, for a stage to call at its end.
    checked: the folder that validate wrote; root: the source folder, for its mask files; masks: the folder for label
    maps; labels: the folder for those at training size; ledger: the table to write; priority: the setting
    rasterize.priority; workers, dask: as for map_ordered.
    Raises UserError if a mask file cannot be read any more or has another size, or `priority` names an unknown class.
    """
    classes = ClassTable.read(checked / "classes.json")
    indices: dict[str, int] = json.loads((checked / "class_indices.json").read_text(encoding="utf-8"))
    refuse_unknown(priority, sorted(indices, key=lambda name: indices[name]))
    sizes = tables.shard_sizes(checked / "images.parquet")
    kept = Kept(shards.FOLDER / "rasterize")
    job = DrawJob(
        checked=checked,
        root=root,
        indices=indices,
        classes=classes,
        priority=priority if isinstance(priority, str) else tuple(priority),
        fit=fit,
        kept=kept,
        count=len(sizes),
        version=versions.version_of(*_CODE),
    )
    draw = partial(draw_shard, job)
    results = list(parallel.map_ordered(draw, range(len(sizes)), workers, "label maps drawn", dask, sizes))
    shards.log_states(results)
    counts = [ShardCounts.read(result) for result in results]
    _write_ledger(ledger, checked, counts)
    pixels = _in_order(counts, checked)
    _write_masks(masks, results, classes)
    _write_labels(labels, results, classes, pixels)
    totals = Totals.read(ledger)
    summary = totals.summary() | pixels.summary(classes.names) | {"vanished_at_training_size": totals.vanished()}
    return summary, overlaps.csv_text(pixels.overlaps, classes.names), partial(kept.keep_only, results)


def _write_ledger(path: Path, checked: Path, counts: Sequence[ShardCounts]) -> None:
    with shard_writer(path) as add:
        images, instances = Shards(checked / "images.parquet", ["key"]), Shards(checked / "instances.parquet", ["id"])
        for table, keys, ids, px in zip(Shards(checked / "ledger.parquet"), images, instances, counts, strict=True):
            add(with_pixels(table, keys.column(0), ids.column(0), px.visible_px, px.store_px))


def _in_order(counts: Sequence[ShardCounts], checked: Path) -> Pixels:
    """The counts of all shards, in the order of the source."""
    images = Shards(checked / "images.parquet", [POSITION])
    position = np.concatenate([numbers(shard.column(POSITION)) for shard in images])
    row_counts = np.concatenate([of_shard.rows for of_shard in counts])
    order = np.argsort(position, kind="stable")
    row_order = np.argsort(np.repeat(position, row_counts), kind="stable")
    return Pixels(
        class_px=np.concatenate([of_shard.class_px for of_shard in counts])[order],
        ignored=int(sum(of_shard.ignore_px.sum() for of_shard in counts)),
        rows=row_counts[order],
        row_px=np.concatenate([of_shard.row_px for of_shard in counts])[row_order],
        overlaps=overlaps.total(of_shard.overlaps.tolist() for of_shard in counts),
    )


def _write_masks(folder: Path, results: Sequence[Result], classes: ClassTable) -> None:
    make_empty(folder)
    for result in results:
        for path in masks_of(result):
            shards.link(path, folder / path.name)
    classes.write(folder / "classes.json")


def _write_labels(folder: Path, results: Sequence[Result], classes: ClassTable, pixels: Pixels) -> None:
    make_empty(folder)
    for shard, result in enumerate(results):
        shards.link(labels_file(result), store.shard_file(folder, shard))
    classes.write(folder / "classes.json")
    store.write_pixels(folder, pixels.row_px, pixels.class_px)
