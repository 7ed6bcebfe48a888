"""One photograph and its instances -> its label map PNG and its rows in the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segpipe.classes import IGNORE_INDEX, ClassTable
from segpipe.dataset import photos, store
from segpipe.dataset.checks import Photo
from segpipe.dataset.transforms import Fit, Window, fit_image, fit_label_map, stored_windows
from segpipe.errors import AnnotationError, UserError
from segpipe.masks import label_png, priority, raster, rle
from segpipe.masks.priority import Paint
from segpipe.masks.regions import regions_of
from segpipe.records import Instance

_CHANGED = "it could be read when validate ran: run `dvc repro` again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One photo to draw. indices: class_index by category; position: its first row in the store."""

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

    @property
    def windows(self) -> list[Window]:
        """What each of its rows in the store shows."""
        return stored_windows((self.photo.height, self.photo.width), self.fit)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came out: pixels of each instance in the label map and, over all rows, at training size; of each class.

    row_px: native pixels of each class in what each row of the store shows.
    """

    visible_px: tuple[int, ...]
    store_px: tuple[int, ...]
    class_px: tuple[int, ...]
    ignore_px: int
    row_px: tuple[tuple[int, ...], ...]


def draw(task: Task) -> Drawn:
    """Write the label map and the store's rows of one photo.

    Raises UserError if the photo is no longer what validate saw.
    """
    owners, label_map = paint(task)
    image = _read(task)
    drawn = _counted(task, owners, label_map)
    label_png.write(mask_path(task), label_map, task.classes)
    for position, window in enumerate(task.windows, start=task.position):
        fitted = fit_image(image, task.fit, window), fit_label_map(label_map, task.fit, window)
        store.put(task.store, position, *fitted)
    return drawn


def mask_path(task: Task) -> Path:
    """Where the task's label map goes."""
    return task.masks / f"{task.photo.key}.png"


def paint(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Paint the task's instances in their order of priority.

    Returns who owns each pixel, integer (H, W), 0 nobody, else i + 1 for instances[i]; and the label map, uint8 (H, W).
    """
    size_hw = (task.photo.height, task.photo.width)
    regions = _regions(task, size_hw)
    paints = [
        Paint(i.category, area, i.role != "object" and not i.layered)
        for i, area in zip(task.instances, rle.areas_px(regions), strict=True)
    ]
    order = priority.painting_order(paints, task.priority)
    values = [0, *(IGNORE_INDEX if i.role != "object" else task.indices[i.category] for i in task.instances)]
    owners = [i + 1 for i in order]
    ordered = [regions[i] for i in order]
    return raster.paint(ordered, size_hw, owners), raster.paint(ordered, size_hw, [values[i] for i in owners])


def _regions(task: Task, size_hw: tuple[int, int]) -> list[rle.Region]:
    try:
        return regions_of(task.instances, size_hw, task.root)
    except AnnotationError as error:  # of a mask file
        raise UserError(f"{task.root / task.photo.file}: {error}; {_CHANGED}") from error


def _counted(task: Task, owners: np.ndarray, label_map: np.ndarray) -> Drawn:
    count, classes = len(task.instances), len(task.classes)
    visible = np.bincount(owners.ravel("K"), minlength=count + 1)[1:]
    pixels = _histogram(label_map)
    _prove(task, visible, pixels, label_map)
    at_store = np.zeros(count + 1, np.int64)
    for window in task.windows:
        at_store += np.bincount(fit_label_map(owners, task.fit, window, padding=0).ravel(), minlength=count + 1)
    return Drawn(
        visible_px=_ints(visible),
        store_px=_ints(at_store[1:]),
        class_px=_ints(pixels[:classes]),
        ignore_px=int(pixels[IGNORE_INDEX]),
        row_px=tuple(_ints(_histogram(label_map[w.rows, w.columns])[:classes]) for w in task.windows),
    )


def _histogram(label_map: np.ndarray) -> np.ndarray:
    return np.array(Picture.fromarray(label_map).histogram())


def _prove(task: Task, visible: np.ndarray, pixels: np.ndarray, label_map: np.ndarray) -> None:
    """Integrity before anything is saved: size, values in range, and every pixel owned exactly once."""
    photo, key = task.photo, task.photo.key
    assert label_map.shape == (photo.height, photo.width), f"{key}: the label map's size is not the photograph's"
    known = pixels[: len(task.classes)].sum() + pixels[IGNORE_INDEX]
    assert known == label_map.size, f"{key}: values outside the class table"
    assert visible.sum() + pixels[0] == label_map.size, f"{key}: the pixels of instances and background do not sum up"


def _read(task: Task) -> np.ndarray:
    photo = task.photo
    path = task.root / photo.file
    try:
        image = photos.read_rgb(path, photo.frame)
    except AnnotationError as error:
        raise UserError(f"{path}: {error}; {_CHANGED}") from error
    if image.shape[:2] != (photo.height, photo.width):
        raise UserError(f"{path}: its size changed since validate ran; run `dvc repro` again")
    return image


def _ints(counts: np.ndarray | Sequence[int]) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
