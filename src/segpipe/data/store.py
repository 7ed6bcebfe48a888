"""The store: all images and label maps at training size, in files that can be memory-mapped.

An image has one row, or one row per tile; all rows of an image are together. R rows, N images, C classes:

images.npy        uint8 (R, h, w, 3)  RGB, exactly what `fit_image` returns
labels.npy        uint8 (R, h, w)     class_index or ignore_index
boxes.npy         int32 (R, 4)        the part of its image that a row shows: top, left, bottom, right in native pixels
row_pixels.npy    int64 (R, C)        native pixels of each class in this part
class_pixels.npy  int64 (N, C)        native pixels of each class in each whole image
store.json                            image key of each row, class names, Fit
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.format import open_memmap

from segpipe.core.files import atomic_write, write_json
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit, Window

_IMAGES, _LABELS = ".images.npy.part", ".labels.npy.part"


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. `images` and `labels` are memory-mapped: rows are read from disk when they are used."""

    keys: tuple[str, ...]  # the image key of each row
    classes: ClassTable
    fit: Fit
    images: np.ndarray  # uint8 (R, h, w, 3) RGB
    labels: np.ndarray  # uint8 (R, h, w), class_index or ignore_index
    boxes: np.ndarray  # int32 (R, 4), as in boxes.npy
    row_pixels: np.ndarray  # int64 (R, C)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each row: its image key; a tile also has its place in the image."""
        rows_of = Counter(self.keys)
        boxes = self.boxes.tolist()
        return tuple(
            f"{key} (x {left}-{right}, y {top}-{bottom})" if rows_of[key] > 1 else key
            for key, (top, left, bottom, right) in zip(self.keys, boxes, strict=True)
        )

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open the store in `folder`."""
        facts = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        return cls(
            keys=tuple(facts["keys"]),
            classes=ClassTable(tuple(facts["classes"])),
            fit=Fit(**facts["fit"] | {"size_hw": tuple(facts["fit"]["size_hw"])}),
            images=np.load(folder / "images.npy", mmap_mode="r"),
            labels=np.load(folder / "labels.npy", mmap_mode="r"),
            boxes=np.load(folder / "boxes.npy"),
            row_pixels=np.load(folder / "row_pixels.npy"),
        )


def begin(folder: Path, count: int, fit: Fit) -> None:
    """Create empty files for `count` rows; `finish` turns them into a store."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in ((_IMAGES, (count, *fit.size_hw, 3)), (_LABELS, (count, *fit.size_hw))):
        open_memmap(folder / name, "w+", np.uint8, shape).flush()
        _reserve(folder / name)


def _reserve(path: Path) -> None:
    """Reserve the disk space now: a process that writes to a memory map on a full disk is killed without a message."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error


def put(folder: Path, position: int, image: np.ndarray, labels: np.ndarray) -> None:
    """Write one row. Several processes may do so at the same time, each for other rows.

    image: uint8 (h, w, 3) RGB; labels: uint8 (h, w).
    """
    for name, row in ((_IMAGES, image), (_LABELS, labels)):
        with (folder / name).open("r+b") as file:
            file.seek(_first_row(file) + position * row.nbytes)
            file.write(np.ascontiguousarray(row).data)


def _first_row(file: BinaryIO) -> int:
    """The offset of the array in its .npy file (numpy.lib.format, version 1.0). A memory map per row is far slower."""
    head = file.read(10)
    return len(head) + int.from_bytes(head[8:], "little")


def flush(folder: Path) -> None:
    """Wait until all rows are flushed to the disk. `finish` does this too, and is fast if it was done before."""
    for name in (_IMAGES, _LABELS):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def finish(
    folder: Path,
    rows: Sequence[tuple[str, Window]],
    classes: ClassTable,
    fit: Fit,
    class_pixels: np.ndarray,
    row_pixels: np.ndarray,
) -> None:
    """Complete the store.

    rows: image key and window of each row; class_pixels: int64 (N, C); row_pixels: int64 (R, C).
    """
    boxes = [(w.rows.start, w.columns.start, w.rows.stop, w.columns.stop) for _, w in rows]
    _save(folder / "boxes.npy", np.array(boxes, np.int32).reshape(-1, 4))
    _save(folder / "class_pixels.npy", class_pixels)
    _save(folder / "row_pixels.npy", row_pixels)
    facts = {"keys": [key for key, _ in rows], "classes": list(classes.names), "fit": asdict(fit)}
    write_json(folder / "store.json", facts)
    flush(folder)
    for written, name in ((_IMAGES, "images.npy"), (_LABELS, "labels.npy")):
        (folder / written).replace(folder / name)


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_write(path) as part, part.open("wb") as file:
        np.save(file, array)
