"""The store: every photo and label map at training size, packed into memory-mappable files.

images.npy uint8 (N, h, w, 3) RGB, labels.npy uint8 (N, h, w), class_pixels.npy int64 (N, C) native pixels of each
class, store.json: keys in the order of the rows, classes, fit. Lossless: what is stored is what `fit_image` gives.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from segpipe.classes import ClassTable
from segpipe.dataset.transforms import Fit
from segpipe.files import whole, write_json

_IMAGES, _LABELS = ".images.npy.part", ".labels.npy.part"


@dataclass(frozen=True, slots=True)
class Store:
    """An opened store; images and labels are read from disk as they are used."""

    keys: tuple[str, ...]
    classes: ClassTable
    fit: Fit
    images: np.ndarray
    labels: np.ndarray
    class_pixels: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open the store in `folder`."""
        facts = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        return cls(
            keys=tuple(facts["keys"]),
            classes=ClassTable(tuple(facts["classes"])),
            fit=Fit(facts["fit"], (facts["size_hw"][0], facts["size_hw"][1])),
            images=np.load(folder / "images.npy", mmap_mode="r"),
            labels=np.load(folder / "labels.npy", mmap_mode="r"),
            class_pixels=np.load(folder / "class_pixels.npy"),
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
    open_memmap(folder / _IMAGES, "r+")[position] = image
    open_memmap(folder / _LABELS, "r+")[position] = labels


def finish(folder: Path, keys: Sequence[str], classes: ClassTable, fit: Fit, class_pixels: np.ndarray) -> None:
    """Complete the store, class_pixels int64 (N, C)."""
    with whole(folder / "class_pixels.npy") as part, part.open("wb") as file:
        np.save(file, class_pixels)
    facts = {"keys": list(keys), "classes": list(classes.names), "fit": fit.mode, "size_hw": list(fit.size_hw)}
    write_json(folder / "store.json", facts)
    for written, name in ((_IMAGES, "images.npy"), (_LABELS, "labels.npy")):
        with (folder / written).open("rb") as file:
            os.fsync(file.fileno())
        (folder / written).replace(folder / name)
