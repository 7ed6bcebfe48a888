"""Photographs at training size, left by validate for rasterize, so that each is decoded and resized once.

A shortcut and nothing else: what is taken from here equals what decoding the photograph again gives, and whatever is
missing, damaged or of a file that was touched since is decoded again. Each process adds to a file of its own, since
making and removing a file takes longer than writing a photograph into one.
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
_HEAD = struct.Struct("<64s8s2q2I")  # before the rows of a photograph: sha256, frame, stamp, how many, their checksum
_SUM = struct.Struct("<I")  # of the head, behind it


@dataclass(frozen=True, slots=True)
class Left(Record):
    """Where the rows of one photograph lie. stamp: of its file when it was read; checksum: of the rows."""

    file: Path
    offset: int
    count: int
    stamp: Stamp
    checksum: int

    def rows(self, photograph: Path, fit: Fit) -> Sequence[np.ndarray] | None:
        """The rows, uint8 (h, w, 3) each; None if they are damaged or the photograph was touched since."""
        size = self.count * _row_bytes(fit)
        try:
            if stamp_of(photograph) != self.stamp:
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
    """Where photographs of one fit lie, made by one version of the code."""

    folder: Path
    fit: Fit

    def put(self, picture: Image.Image, sha256: str, frame: Frame, stamp: Stamp) -> None:
        """Leave the rows of the store that a photograph becomes. A disk that takes them not is no harm."""
        rows, checksum = fit_all(picture, self.fit), 0
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
                file.truncate(start)  # so that what is added later can be found

    def found(self) -> dict[tuple[str, str], Left]:
        """What lies here, by sha256 and frame."""
        left: dict[tuple[str, str], Left] = {}
        for path in sorted(self.folder.glob("*")):
            with path.open("rb") as file:
                while head := _head(file):
                    sha256, frame, size, mtime_ns, count, checksum = head
                    key = sha256.decode(), frame.rstrip(b"\0").decode()
                    left[key] = Left(path, file.tell(), count, (size, mtime_ns), checksum)
                    file.seek(count * _row_bytes(self.fit), os.SEEK_CUR)
        return left


def fit_all(picture: Image.Image, fit: Fit) -> list[np.ndarray]:
    """The rows of the store that a photograph becomes."""
    return [fit_pil_image(picture, fit, window) for window in stored_windows((picture.height, picture.width), fit)]


def begin(fit: Fit) -> Fitted:
    """An empty place for photographs of this fit; those of others are forgotten."""
    forget()
    there = place(fit)
    there.folder.mkdir(parents=True)
    return there


def place(fit: Fit) -> Fitted:
    """Where validate left the photographs of this fit, if it did."""
    return Fitted(FOLDER / memory.key_of(memory.version(), repr(fit))[:16], fit)


def forget() -> None:
    """Remove whatever is left."""
    shutil.rmtree(FOLDER, ignore_errors=True)


def _row_bytes(fit: Fit) -> int:
    return fit.size_hw[0] * fit.size_hw[1] * 3


def _head(file: BinaryIO) -> tuple[bytes, bytes, int, int, int, int] | None:
    """The next head; None at the end of the file, or where it is damaged."""
    head, checksum = file.read(_HEAD.size), file.read(_SUM.size)
    if len(checksum) < _SUM.size or zlib_ng.crc32(head) != _SUM.unpack(checksum)[0]:
        return None
    return _HEAD.unpack(head)
