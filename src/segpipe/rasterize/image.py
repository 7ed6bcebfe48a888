"""One image and its instances drawn: the label map, and its pixels counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segpipe.core.errors import AnnotationError, UserError, check_total
from segpipe.data.classes import IGNORE_INDEX, ClassTable
from segpipe.data.preprocessing import Fit, Window, sampled, stored_windows
from segpipe.data.records import Instance, Photo
from segpipe.masks import painting, rle
from segpipe.masks.painting import Paint, Painting, painting_order
from segpipe.masks.regions import regions_of
from segpipe.rasterize import overlaps
from segpipe.rasterize.overlaps import Overlaps

_CHANGED = "it was readable when validate ran: run `dvc repro` again"


@dataclass(frozen=True, slots=True)
class DrawTask:
    """One image to draw."""

    root: Path  # the source folder, for mask files
    photo: Photo
    instances: tuple[Instance, ...]
    indices: Mapping[str, int]  # class_index by category
    priority: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """The pixel counts of one drawn image."""

    visible_px: tuple[int, ...]  # of each instance in the label map
    store_px: tuple[int, ...]  # of each instance at training size, over all rows of the store
    class_px: tuple[int, ...]  # of each class in the label map
    ignore_px: int
    row_px: tuple[tuple[int, ...], ...]  # native pixels of each class in the window of each row of the store
    overlaps: Overlaps


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """The instances of one image painted over each other."""

    regions: list[rle.Region]  # of each instance
    painting: Painting  # owner i + 1 is instance i, owner 0 no instance
    values: np.ndarray  # uint8 (n + 1,), each owner's value in the label map

    def label_map(self) -> np.ndarray:
        """The label map, uint8 (H, W)."""
        return self.painting.frame(self.values)

    def owners(self) -> np.ndarray:
        """The owner of each pixel, int32 (H, W): i + 1 for instance i, 0 for no instance."""
        return self.painting.frame(np.arange(len(self.values), dtype=np.int32))

    def owned_px(self) -> np.ndarray:
        """The pixels of each owner, int64 (n + 1,)."""
        return self.painting.pixels(len(self.regions))


def draw(task: DrawTask, classes: ClassTable, fit: Fit) -> tuple[DrawnImage, np.ndarray]:
    """The pixel counts of one image, and its label map, uint8 (H, W).

    fit: how it comes to training size. Raises UserError as `paint`, LedgerError if the label map is not sound.
    """
    painted = paint(task)
    return _counted(task, painted, len(classes), fit), painted.label_map()


def paint(task: DrawTask) -> Painted:
    """Paint the task's instances in their order of priority.

    Raises UserError if a mask file cannot be read or has another size.
    """
    size_hw = (task.photo.height, task.photo.width)
    regions = _regions(task, size_hw)
    paints = [
        Paint(i.category, area, i.role != "object" and not i.layered)
        for i, area in zip(task.instances, rle.areas_px(regions), strict=True)
    ]
    order = painting_order(paints, task.priority)
    in_order = painting.paint([regions[i] for i in order], size_hw)
    numbers = np.array([0, *(i + 1 for i in order)])
    values = [0, *(IGNORE_INDEX if i.role != "object" else task.indices[i.category] for i in task.instances)]
    return Painted(regions, replace(in_order, owners=numbers[in_order.owners]), np.array(values, np.uint8))


def _regions(task: DrawTask, size_hw: tuple[int, int]) -> list[rle.Region]:
    try:
        return regions_of(task.instances, size_hw, task.root)
    except AnnotationError as error:  # of a mask file
        raise UserError(f"{task.root / task.photo.file}: {error}; {_CHANGED}") from error


def _counted(task: DrawTask, painted: Painted, classes: int, fit: Fit) -> DrawnImage:
    count, values = len(task.instances), painted.values
    owned = painted.owned_px()
    pixels = _px_by_value(owned, values)
    _check_pixels(task.photo, pixels, classes)
    at_store, rows = np.zeros(count + 1, np.int64), []
    for window in stored_windows((task.photo.height, task.photo.width), fit):
        grid_rows, grid_columns = sampled(window)
        at_store += painted.painting.pixels_at(grid_rows, grid_columns, count)
        shows_all = _shows_all(window, painted.painting.size_hw)
        native = owned if shows_all else _owned_in(window, painted.painting, count)
        rows.append(_ints(_px_by_value(native, values)[:classes]))
    hidden = owned[1:] < rle.areas_px(painted.regions)
    return DrawnImage(
        visible_px=_ints(owned[1:]),
        store_px=_ints(at_store[1:]),
        class_px=_ints(pixels[:classes]),
        ignore_px=int(pixels[IGNORE_INDEX]),
        row_px=tuple(rows),
        overlaps=overlaps.of_painting(painted.painting, painted.regions, hidden, values),
    )


def _px_by_value(owned: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Pixels of each value, int64 (256,). owned: int (n,), of each owner; values: uint8 (n,), of each owner."""
    return np.bincount(values, owned, IGNORE_INDEX + 1).astype(np.int64)


def _shows_all(window: Window, size_hw: tuple[int, int]) -> bool:
    return (window.rows, window.columns) == (slice(0, size_hw[0]), slice(0, size_hw[1]))


def _owned_in(window: Window, painting: Painting, count: int) -> np.ndarray:
    rows, columns = (np.arange(span.start, span.stop) for span in (window.rows, window.columns))
    return painting.pixels_at(rows, columns, count)


def _check_pixels(photo: Photo, pixels: np.ndarray, classes: int) -> None:
    """Check that every pixel of the image has exactly one value, and one of the class table.

    pixels: int64 (256,), of each value; classes: their number. Raises LedgerError.
    """
    valid_px = pixels[:classes].sum() + pixels[IGNORE_INDEX]
    check_total(valid_px == pixels.sum(), f"{photo.key}: values outside the class table")
    size = photo.height * photo.width
    check_total(valid_px == size, f"{photo.key}: the label map has {valid_px} pixels, the image {size}")


def _ints(counts: np.ndarray | Sequence[int]) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
