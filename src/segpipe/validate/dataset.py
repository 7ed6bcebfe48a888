"""All images of a data set checked: one job per shard, whose tables are then written one after the other."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from segpipe.core import parallel, shards, versions
from segpipe.core.errors import UserError
from segpipe.core.files import make_empty, write_json
from segpipe.core.shards import Kept, Result
from segpipe.data import rgb, store, tables
from segpipe.data.classes import TaskKind, Wanted, class_indices, class_names, class_table, select
from segpipe.data.columns import Shards, grouped, has, numbers
from segpipe.data.preprocessing import Fit, stored_windows
from segpipe.data.tables import POSITION, shard_writer
from segpipe.ledger import findings
from segpipe.ledger.findings import Finding
from segpipe.ledger.policies import Policies
from segpipe.ledger.reasons import FINDINGS, codes_of
from segpipe.ledger.rows import KEPT
from segpipe.ledger.totals import Totals
from segpipe.validate import conflicts, packing
from segpipe.validate.judge import Rules
from segpipe.validate.order import Order
from segpipe.validate.shard import TABLES, CheckJob, check_shard

logger = logging.getLogger(__name__)
_LOGGED = tuple(finding.code for finding in FINDINGS if finding.logged)
_PHOTO_CODE = ("core", "data", "validate/packing.py", "validate/photo.py")
_CODE = ("core", "data", "masks", "ledger", "validate")


def validate(
    records: Path,
    root: Path,
    *,
    checked: Path,
    photos: Path,
    classes: Wanted,
    task: TaskKind,
    policies: Policies,
    keep_empty: bool,
    fit: Fit,
    workers: int,
    dask: str,
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Decode every image, judge every annotation, and log why records are left out.

    Returns the counts for the metrics, and a function that deletes the results of earlier runs: for a stage to call at
    its end, since a stage that fails (a disk is away, a limit is exceeded) may need them next time.
    records: the folder with the tables of ingest; root: the source folder; checked, photos: the folders to write;
    classes, task: the settings of ingest; keep_empty: whether an image whose record has no object is background; fit:
    how photos come to training size; workers, dask: as for parallel.map_ordered.
    Raises UserError if no image is left, or the source contradicts itself about the selected classes.
    """
    class_of = select(classes, tables.read_categories(records), tables.read_used_categories(records))
    conflicts.refuse(tables.read_conflicts(records), None if classes == "auto" else class_of)
    sizes = tables.shard_sizes(records / "images.parquet")
    kept = Kept(shards.FOLDER / "validate")
    job = CheckJob(
        records=records,
        root=root,
        rules=Rules(class_of, policies),
        keep_empty=keep_empty,
        fit=fit,
        kept=kept,
        count=len(sizes),
        version=versions.version_of(*_CODE),
        photo_version=versions.version_of(*_PHOTO_CODE),
    )
    check = partial(check_shard, job)
    results = list(parallel.map_ordered(check, range(len(sizes)), workers, "images checked", dask, sizes))
    shards.log_states(results)
    _write(results, records, checked, photos, fit)
    class_table(class_names(class_of), task).write(checked / "classes.json")
    write_json(checked / "class_indices.json", class_indices(class_names(class_of), task))
    return _report(checked), partial(kept.keep_only, results)


def _write(results: Sequence[Result], records: Path, checked: Path, photos: Path, fit: Fit) -> None:
    """Write the tables of all shards, and link their packed photos."""
    make_empty(photos)
    images, rows = [], []
    with ExitStack() as stack:
        add = {name: stack.enter_context(shard_writer(checked / f"{name}.parquet")) for name in TABLES}
        for shard, result in enumerate(results):
            order = Order.read(records, shard)
            placed = {name: order.of(tables.read_shard(result.folder / f"{name}.parquet", 0)) for name in TABLES}
            for name, table in placed.items():
                add[name](table)
            images.append(placed["images"].select([POSITION, "key", "file", "sha256"]))
            rows.append(_packed_rows(placed["images"], shard, fit))
            shards.link(packing.rows_file(result.folder), store.shard_file(photos, shard))
        of_images = tables.in_order(pa.concat_tables(images))
        add["findings"](equal_files(of_images))
    _write_index(photos, of_images, np.concatenate(rows), fit)


def _packed_rows(images: pa.Table, shard: int, fit: Fit) -> np.ndarray:
    """The packed rows of a shard, int64 (R_s, 7): position of the image, shard, row, top, left, bottom, right."""
    sizes = (numbers(images.column(name)).tolist() for name in (POSITION, "height", "width"))
    parts = [
        (position, shard, 0, w.rows.start, w.columns.start, w.rows.stop, w.columns.stop)
        for position, height, width in zip(*sizes, strict=True)
        for w in stored_windows((height, width), fit)
    ]
    rows = np.array(parts, np.int64).reshape(-1, 7)
    rows[:, 2] = np.arange(len(rows))
    return rows


def _write_index(photos: Path, images: pa.Table, rows: np.ndarray, fit: Fit) -> None:
    """Write the index of the store. images: those that are used, in the order of the source; rows: _packed_rows."""
    rows = rows[rows[:, 0].argsort(kind="stable")]
    image = np.searchsorted(numbers(images.column(POSITION)), rows[:, 0])
    keys = tables.rows_at(images.select(["key"]), image).column(0).to_pylist()
    store.write_index(photos, keys, rows[:, 1:3], rows[:, 3:], fit)


def equal_files(images: pa.Table) -> pa.Table:
    """The findings about photos whose files are equal to an earlier one. images: as in _write_index."""
    number = grouped(images.column("sha256"))[1]
    first = np.unique(number, return_index=True)[1][number]  # of each image, the first with this file
    later = np.flatnonzero(first != np.arange(len(first)))
    copies, originals = (tables.rows_at(images, rows) for rows in (later, first[later]))
    columns = copies.column("key"), originals.column("key"), originals.column("file")
    found = [
        Finding(code="equal_files", kind="image", id=key, image_key=key, detail=f"equal to {file}", twin=twin)
        for key, twin, file in zip(*(column.to_pylist() for column in columns), strict=True)
    ]
    return tables.with_position(findings.to_table(found), numbers(copies.column(POSITION)))


def _report(checked: Path) -> dict[str, Any]:
    """Log why records are left out. Returns the counts; raises UserError if no image is left."""
    totals, found = Totals.read(checked / "ledger.parquet"), Shards(checked / "findings.parquet")
    images = totals.of_kind("image")
    if not any(verdict == KEPT for _, verdict, _ in images):
        counts = ", ".join(f"{count} {case[2]}" for case, count in sorted(images.items(), key=lambda item: -item[1]))
        first = "".join(f"; first: {totals.firsts[case].place}: {totals.firsts[case].detail}" for case in [*images][:1])
        raise UserError(
            f"no image can be used ({counts}{first}); fix the source, or check ingest.classes in params.yaml"
        )
    logged = tables.records_in((tables.where(shard, has(shard, code=_LOGGED)) for shard in found), Finding)
    changed = [(finding.image_key, finding.code, finding.detail) for finding in logged]
    for line in (*totals.warnings(), *rgb.summary_lines(changed)):
        logger.warning(line)
    counted = {"policies": totals.policies(), "findings": findings.code_counts(found, codes_of("validate"))}
    return totals.summary() | counted
