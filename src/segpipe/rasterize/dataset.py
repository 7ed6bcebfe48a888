"""All photos drawn: the tasks, the account of what shows, and the store's completion."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.data.classes import ClassTable
from segpipe.data.fitted import Left
from segpipe.data.preprocessing import Fit, Window, stored_windows
from segpipe.data.records import Instance, Photo, by_image
from segpipe.ledger import rows as ledger
from segpipe.ledger.rows import Row
from segpipe.rasterize.image import Drawn, Task


def tasks(
    photos: Sequence[Photo],
    instances: Sequence[Instance],
    root: Path,
    indices: Mapping[str, int],
    classes: ClassTable,
    priority: str | Sequence[str],
    fit: Fit,
    masks: Path,
    store: Path,
    left: Mapping[tuple[str, str], Left] | None = None,
) -> list[Task]:
    """One task a photo, in the order of the photos, which becomes the order of the store."""
    of_image = by_image(instances)
    rows_of = [len(stored_windows((photo.height, photo.width), fit)) for photo in photos]
    first_rows = accumulate(rows_of, initial=0)
    return [
        Task(
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
            left=left.get((photo.sha256, photo.frame)) if left else None,
        )
        for position, photo in zip(first_rows, photos, strict=False)
    ]


def rows(tasks: Sequence[Task]) -> list[tuple[str, Window]]:
    """Image key and window of each row of the store, in order."""
    return [(task.photo.key, window) for task in tasks for window in task.windows]


def account(rows: Sequence[Row], tasks: Sequence[Task], drawn: Sequence[Drawn]) -> list[Row]:
    """The ledger with the pixels each drawn instance shows in the label map and at training size; hidden if none.

    Raises AccountError unless what was drawn is what validate kept.
    """
    seen = {
        instance.id: (after, at_store)
        for task, result in zip(tasks, drawn, strict=True)
        for instance, after, at_store in zip(task.instances, result.visible_px, result.store_px, strict=True)
    }
    ledger.close_on(rows, (task.photo.key for task in tasks), (i.id for task in tasks for i in task.instances))
    return [
        with_visible_pixels(row, *seen[row.id]) if row.kind == "annotation" and row.id in seen else row for row in rows
    ]


def class_pixels(drawn: Sequence[Drawn]) -> np.ndarray:
    """Native pixels of each class in each label map, int64 (N, C)."""
    return np.array([result.class_px for result in drawn], np.int64)


def row_pixels(drawn: Sequence[Drawn]) -> np.ndarray:
    """Native pixels of each class in what each row of the store shows, int64 (R, C)."""
    return np.array([pixels for result in drawn for pixels in result.row_px], np.int64)


def row_summary(drawn: Sequence[Drawn]) -> dict[str, int]:
    """Rows of the store: photographs that are one, tiles of the others, and those that show ignored pixels alone."""
    rows_of = [len(result.row_px) for result in drawn]
    return {
        "whole": sum(count == 1 for count in rows_of),
        "tiles": sum(count for count in rows_of if count > 1),
        "only_ignored": int((row_pixels(drawn).sum(axis=1) == 0).sum()),
    }


def vanished(rows: Sequence[Row]) -> dict[str, int]:
    """By class: objects that show in the label map and have no pixel left at training size."""
    gone = (row for row in rows if row.px_after and row.px_store == 0 and row.verdict != ledger.IGNORED)
    return dict(Counter(row.class_name for row in gone))


def pixel_summary(drawn: Sequence[Drawn], names: Sequence[str]) -> dict[str, Any]:
    """Pixels of all label maps by class, and ignored ones."""
    totals = class_pixels(drawn).sum(axis=0)
    return {
        "class_pixels": dict(zip(names, map(int, totals), strict=True)),
        "ignored_pixels": sum(result.ignore_px for result in drawn),
        "empty_masks": sum(not any(result.class_px[1:]) for result in drawn),
    }


def with_visible_pixels(row: Row, after: int, at_store: int | None = None) -> Row:
    """An annotation's row with the pixels that it shows: in the label map, at training size. HIDDEN if it shows none.

    A region to ignore may show nothing.
    """
    row = replace(row, px_after=after, px_store=at_store)
    if after or row.verdict == ledger.IGNORED:
        return row
    detail = "every pixel of it lies beneath other objects; see rasterize.priority"
    return replace(row, verdict=ledger.HIDDEN, reason="covered", detail=detail)
