"""The store: every photo and label map at training size, packed into memory-mappable files; a row each, or one a tile.

images.npy uint8 (R, h, w, 3) RGB, labels.npy uint8 (R, h, w), boxes.npy int32 (R, 4) what each row shows of its picture
(top, left, bottom, right in native pixels), row_pixels.npy int64 (R, C) native pixels of each class in there,
class_pixels.npy int64 (N, C) the same of each whole picture, store.json: the rows' image keys, all of a picture's rows
together, classes, fit. Lossless: what is stored is what `fit_image` gives.
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
    """An opened store; images and labels are read from disk as they are used. keys: the image key of each row."""

    keys: tuple[str, ...]
    classes: ClassTable
    fit: Fit
    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    row_pixels: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each row: its image key, and of a tile where it lies."""
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
    """Make room for `count` rows in files that `finish` turns into a store."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in ((_IMAGES, (count, *fit.size_hw, 3)), (_LABELS, (count, *fit.size_hw))):
        open_memmap(folder / name, "w+", np.uint8, shape).flush()
        _reserve(folder / name)


def _reserve(path: Path) -> None:
    """Take the disk's blocks now: a memory map that finds the disk full is ended by a signal, without a word."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error


def put(folder: Path, position: int, image: np.ndarray, labels: np.ndarray) -> None:
    """Write one row; any process may, each its own rows."""
    for name, row in ((_IMAGES, image), (_LABELS, labels)):
        with (folder / name).open("r+b") as file:
            file.seek(_first_row(file) + position * row.nbytes)
            file.write(np.ascontiguousarray(row).data)


def _first_row(file: BinaryIO) -> int:
    """Where an array begins in its .npy file (numpy.lib.format, version 1.0): mapping it anew takes far longer."""
    head = file.read(10)
    return len(head) + int.from_bytes(head[8:], "little")


def flush(folder: Path) -> None:
    """Wait until all rows are on the disk itself: before `finish`, which then need not wait, or by it."""
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
    """Complete the store. rows: image key and window of each; class_pixels, row_pixels: int64 (N, C), (R, C)."""
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
