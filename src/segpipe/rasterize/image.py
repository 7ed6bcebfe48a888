"""One photograph and its instances -> its label map PNG and its rows in the store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segpipe.core.errors import AnnotationError, UserError, closes
from segpipe.data import photos, store
from segpipe.data.classes import IGNORE_INDEX, ClassTable
from segpipe.data.fitted import Left, fit_all
from segpipe.data.preprocessing import Fit, Window, fit_label_map, sampled, stored_windows
from segpipe.data.records import Instance, Photo, Record
from segpipe.masks import label_png, rle
from segpipe.masks.painting import Paint, Painting, painting_order
from segpipe.masks.painting import paint as paint_regions
from segpipe.masks.regions import regions_of
from segpipe.rasterize import overlaps
from segpipe.rasterize.overlaps import Overlaps

_CHANGED = "it could be read when validate ran: run `dvc repro` again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Task(Record):
    """One photo to draw. indices: class_index by category; position: its first row in the store.

    left: where validate left the photograph at training size, if it did.
    """

    root: Path
    photo: Photo
    instances: tuple[Instance, ...]
    indices: dict[str, int]
    classes: ClassTable
    priority: str | tuple[str, ...]
    fit: Fit
    position: int
    masks: Path
    store: Path
    left: Left | None = None

    @property
    def windows(self) -> list[Window]:
        """What each of its rows in the store shows."""
        return stored_windows((self.photo.height, self.photo.width), self.fit)


@dataclass(frozen=True, slots=True)
class Drawn(Record):
    """What came out: pixels of each instance in the label map and, over all rows, at training size; of each class.

    row_px: native pixels of each class in what each row of the store shows.
    """

    visible_px: tuple[int, ...]
    store_px: tuple[int, ...]
    class_px: tuple[int, ...]
    ignore_px: int
    row_px: tuple[tuple[int, ...], ...]
    overlaps: Overlaps


def draw(task: Task) -> Drawn:
    """Write the label map and the store's rows of one photo.

    Raises UserError if the photo is no longer what validate saw.
    """
    regions, painting, values = _painted(task)
    drawn = _counted(task, painting, values, _overlaps(regions, painting, values))
    rows = _rows(task)
    label_map = painting.frame(values)
    label_png.write(mask_path(task), label_map, task.classes)
    for position, (window, row) in enumerate(zip(task.windows, rows, strict=True), start=task.position):
        store.put(task.store, position, row, fit_label_map(label_map, task.fit, window))
    return drawn


def mask_path(task: Task) -> Path:
    """Where the task's label map goes."""
    return task.masks / f"{task.photo.key}.png"


def paint(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Paint the task's instances in their order of priority.

    Returns who owns each pixel, integer (H, W), 0 nobody, else i + 1 for instances[i]; and the label map, uint8 (H, W).
    """
    _, painting, values = _painted(task)
    return painting.frame(np.arange(len(values), dtype=np.int32)), painting.frame(values)


def _painted(task: Task) -> tuple[list[rle.Region], Painting, np.ndarray]:
    """The task's instances painted, owner i + 1 is instances[i]; and each owner's value in the label map, uint8."""
    size_hw = (task.photo.height, task.photo.width)
    regions = _regions(task, size_hw)
    paints = [
        Paint(i.category, area, i.role != "object" and not i.layered)
        for i, area in zip(task.instances, rle.areas_px(regions), strict=True)
    ]
    order = painting_order(paints, task.priority)
    painting = paint_regions([regions[i] for i in order], size_hw)
    numbers = np.array([0, *(i + 1 for i in order)])
    values = [0, *(IGNORE_INDEX if i.role != "object" else task.indices[i.category] for i in task.instances)]
    return regions, replace(painting, owners=numbers[painting.owners]), np.array(values, np.uint8)


def _overlaps(regions: Sequence[rle.Region], painting: Painting, values: np.ndarray) -> Overlaps:
    shown = painting.pixels(len(regions))[1:]
    return overlaps.of_painting(painting, regions, shown < rle.areas_px(regions), values)


def _regions(task: Task, size_hw: tuple[int, int]) -> list[rle.Region]:
    try:
        return regions_of(task.instances, size_hw, task.root)
    except AnnotationError as error:  # of a mask file
        raise UserError(f"{task.root / task.photo.file}: {error}; {_CHANGED}") from error


def _counted(task: Task, painting: Painting, values: np.ndarray, beneath: Overlaps) -> Drawn:
    count, classes = len(task.instances), len(task.classes)
    owned = painting.pixels(count)
    pixels = _by_value(owned, values)
    _prove(task, pixels)
    at_store, rows = np.zeros(count + 1, np.int64), []
    for window in task.windows:
        grid_rows, grid_columns = sampled(window)
        at_store += painting.pixels_at(grid_rows, grid_columns, count)
        native = owned if _shows_all(window, painting.size_hw) else _shown(window, painting, count)
        rows.append(_ints(_by_value(native, values)[:classes]))
    return Drawn(
        visible_px=_ints(owned[1:]),
        store_px=_ints(at_store[1:]),
        class_px=_ints(pixels[:classes]),
        ignore_px=int(pixels[IGNORE_INDEX]),
        row_px=tuple(rows),
        overlaps=beneath,
    )


def _by_value(owned: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Pixels of each of the 256 values, from those of each owner."""
    return np.bincount(values, owned, IGNORE_INDEX + 1).astype(np.int64)


def _shows_all(window: Window, size_hw: tuple[int, int]) -> bool:
    return (window.rows, window.columns) == (slice(0, size_hw[0]), slice(0, size_hw[1]))


def _shown(window: Window, painting: Painting, count: int) -> np.ndarray:
    rows, columns = (np.arange(span.start, span.stop) for span in (window.rows, window.columns))
    return painting.pixels_at(rows, columns, count)


def _prove(task: Task, pixels: np.ndarray) -> None:
    """Integrity before anything is saved: every pixel of the photograph has one value, and one of the class table.

    Raises AccountError.
    """
    known = pixels[: len(task.classes)].sum() + pixels[IGNORE_INDEX]
    closes(known == pixels.sum(), f"{task.photo.key}: values outside the class table")
    size = task.photo.height * task.photo.width
    closes(known == size, f"{task.photo.key}: the label map has {known} pixels, its photograph {size}")


def _rows(task: Task) -> Sequence[np.ndarray]:
    """The photograph as the store holds it: as validate left it, or decoded again."""
    photo = task.photo
    path = task.root / photo.file
    left = task.left.rows(path, task.fit) if task.left else None
    if left is not None:
        return left
    try:
        picture = photos.read(path, photo.frame)
    except AnnotationError as error:
        raise UserError(f"{path}: {error}; {_CHANGED}") from error
    if picture.size != (photo.width, photo.height):
        raise UserError(f"{path}: its size changed since validate ran; run `dvc repro` again")
    return fit_all(picture, task.fit)


def _ints(counts: np.ndarray | Sequence[int]) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
