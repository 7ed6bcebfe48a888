"""Photos at training size, cached by validate for rasterize: each photo is decoded and resized once.

The cache changes no result: its rows equal those of the decoded photo. A photo is decoded again if its rows are missing
or damaged, or if its file has changed since. Each process appends to one file, because creating and removing a file per
photo takes longer than writing it.
"""

import os
import platform
import shutil
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from zlib_ng import zlib_ng

from segpipe.core import memory
from segpipe.data.photos import Stamp, stamp_of
from segpipe.data.preprocessing import Fit, fit_pil_image, stored_windows
from segpipe.data.records import Frame, Record

FOLDER = memory.FOLDER / "fitted"
_HEAD = struct.Struct("<64s8s2q2I")  # before the rows of a photo: sha256, frame, stamp, number of rows, their checksum
_SUM = struct.Struct("<I")  # checksum of the head, after it


@dataclass(frozen=True, slots=True)
class CachedRows(Record):
    """The place of one photo's rows in the cache."""

    file: Path
    offset: int  # bytes
    count: int  # rows
    stamp: Stamp  # of the photo's file when it was read
    checksum: int  # CRC-32 of the rows

    def rows(self, photo: Path, fit: Fit) -> Sequence[np.ndarray] | None:
        """The rows, uint8 (h, w, 3) each; None if they are damaged or the photo's file has changed."""
        size = self.count * _row_bytes(fit)
        try:
            if stamp_of(photo) != self.stamp:
                return None
            with self.file.open("rb", buffering=0) as file:
                file.seek(self.offset)
                data = file.read(size)
        except OSError:
            return None
        if len(data) != size or zlib_ng.crc32(data) != self.checksum:
            return None
        return list(np.frombuffer(data, np.uint8).reshape(self.count, *fit.size_hw, 3))


@dataclass(frozen=True, slots=True)
class Fitted:
    """The cache of the photos of one Fit, made by one version of the code."""

    folder: Path
    fit: Fit

    def put(self, image: Image.Image, sha256: str, frame: Frame, stamp: Stamp) -> None:
        """Cache the rows of a photo. A full disk is harmless: the photo is then decoded again."""
        rows, checksum = fit_all(image, self.fit), 0
        for row in rows:
            checksum = zlib_ng.crc32(row, checksum)
        head = _HEAD.pack(sha256.encode(), frame.encode(), *stamp, len(rows), checksum)
        with suppress(OSError), (self.folder / f"{platform.node()}.{os.getpid()}").open("ab") as file:
            start = file.tell()
            try:
                file.write(head + _SUM.pack(zlib_ng.crc32(head)))
                for row in rows:
                    file.write(row.data)
                file.flush()
            except OSError:
                file.truncate(start)  # otherwise rows appended later could not be found

    def cached(self) -> dict[tuple[str, str], CachedRows]:
        """The cached photos, by sha256 and frame."""
        rows_of: dict[tuple[str, str], CachedRows] = {}
        for path in sorted(self.folder.glob("*")):
            with path.open("rb") as file:
                while head := _head(file):
                    sha256, frame, size, mtime_ns, count, checksum = head
                    key = sha256.decode(), frame.rstrip(b"\0").decode()
                    rows_of[key] = CachedRows(path, file.tell(), count, (size, mtime_ns), checksum)
                    file.seek(count * _row_bytes(self.fit), os.SEEK_CUR)
        return rows_of


def fit_all(image: Image.Image, fit: Fit) -> list[np.ndarray]:
    """The rows of the store for an RGB image, uint8 (h, w, 3) each."""
    return [fit_pil_image(image, fit, window) for window in stored_windows((image.height, image.width), fit)]


def begin(fit: Fit) -> Fitted:
    """An empty cache for photos of this Fit; all others are deleted."""
    clear()
    cache = existing(fit)
    cache.folder.mkdir(parents=True)
    return cache


def existing(fit: Fit) -> Fitted:
    """The cache that validate wrote for this Fit; it may be empty."""
    return Fitted(FOLDER / memory.key_of(memory.version(), repr(fit))[:16], fit)


def clear() -> None:
    """Delete all cached photos."""
    shutil.rmtree(FOLDER, ignore_errors=True)


def _row_bytes(fit: Fit) -> int:
    return fit.size_hw[0] * fit.size_hw[1] * 3


def _head(file: BinaryIO) -> tuple[bytes, bytes, int, int, int, int] | None:
    """The next head; None at the end of the file, or if the head is damaged."""
    head, checksum = file.read(_HEAD.size), file.read(_SUM.size)
    if len(checksum) < _SUM.size or zlib_ng.crc32(head) != _SUM.unpack(checksum)[0]:
        return None
    return _HEAD.unpack(head)
