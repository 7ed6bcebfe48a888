"""Photographs at training size, left by validate for rasterize, so that each is decoded and resized once.

A shortcut and nothing else: what is taken from here equals what decoding the photograph again gives, and whatever is
missing or damaged is decoded again. Files are gone as soon as they are taken.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from zlib_ng import zlib_ng

from segpipe.dataset import memory
from segpipe.dataset.photos import Frame
from segpipe.dataset.transforms import Fit, fit_picture, stored_windows

FOLDER = memory.FOLDER / "fitted"
_SUM = 4  # bytes of the checksum that ends a file


@dataclass(frozen=True, slots=True)
class Fitted:
    """Where photographs of one fit lie, made by one version of the code."""

    folder: Path
    fit: Fit

    def put(self, picture: Image.Image, sha256: str, frame: Frame) -> None:
        """Leave the rows of the store that a photograph becomes. A disk that takes them not is no harm."""
        rows = b"".join(row.tobytes() for row in fit_all(picture, self.fit))
        path = self._path(sha256, frame)
        try:
            with path.open("wb") as file:
                file.write(rows)
                file.write(zlib_ng.crc32(rows).to_bytes(_SUM, "big"))
        except OSError:
            path.unlink(missing_ok=True)

    def take(self, sha256: str, frame: Frame, count: int) -> Sequence[np.ndarray] | None:
        """The `count` rows of a photograph, uint8 (h, w, 3) each; None if they are not here."""
        path = self._path(sha256, frame)
        try:
            data = path.read_bytes()
            path.unlink()
        except OSError:
            return None
        rows, checksum = memoryview(data)[:-_SUM], data[-_SUM:]
        height, width = self.fit.size_hw
        if len(rows) != count * height * width * 3 or zlib_ng.crc32(rows) != int.from_bytes(checksum, "big"):
            return None
        return list(np.frombuffer(rows, np.uint8).reshape(count, height, width, 3))

    def _path(self, sha256: str, frame: Frame) -> Path:
        return self.folder / f"{sha256}.{frame}"


def fit_all(picture: Image.Image, fit: Fit) -> list[np.ndarray]:
    """The rows of the store that a photograph becomes."""
    return [fit_picture(picture, fit, window) for window in stored_windows((picture.height, picture.width), fit)]


def begin(fit: Fit) -> Fitted:
    """An empty place for photographs of this fit; those of others are forgotten."""
    forget()
    there = place(fit)
    there.folder.mkdir(parents=True)
    return there


def place(fit: Fit) -> Fitted:
    """Where validate left the photographs of this fit, if it did."""
    return Fitted(FOLDER / memory.key_of(memory.version(), fit)[:16], fit)


def forget() -> None:
    """Remove whatever is left."""
    shutil.rmtree(FOLDER, ignore_errors=True)
