"""Errors of the machine, which say nothing of the file that was read: of its memory, open files, disks and network."""

import errno
import gc
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

# All that are read: where memory is short a plugin cannot be loaded any more, and Pillow calls a sound file no picture.
from PIL import BmpImagePlugin, Image, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

from segpipe.core.errors import UserError

MEMORY = "not enough memory; free some, or let fewer processes work at once (compute.workers in params.yaml)"
_FILES = "too many open files; raise `ulimit -n`, or let fewer processes work at once (compute.workers in params.yaml)"
_REMEDIES = {errno.ENOMEM: MEMORY, errno.EMFILE: _FILES, errno.ENFILE: _FILES}
_OF_THE_FILE = (
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG,
    errno.ENXIO, errno.ENODEV, errno.ESPIPE, errno.EINVAL, errno.EOVERFLOW,  # the last two: offsets in a damaged file
)  # fmt: skip
# Bytes a pixel that decoding needs at most: libjpeg holds the coefficients of a progressive JPEG, libwebp two frames
_NEEDED, _NEEDED_WEBP = 12, 24
_SPARE = 1 << 24
_NO_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory")


def stop_if_at_fault(error: Exception, what: str, picture: Path | BinaryIO | None = None) -> None:
    """Raise UserError if the machine may be at fault for an error while `what` was read: nothing may be judged then.

    picture: the file that could not be decoded. libjpeg and libwebp take want of memory for damage: that is believed
    only where there is memory enough for the whole picture.
    """
    is_memory = is_want_of_memory(error)
    if isinstance(error, OSError) and error.errno:
        if error.errno not in _OF_THE_FILE:
            remedy = f"{os.strerror(error.errno)}; check the disk or the network, then run again"
            raise UserError(f"{what}: {_REMEDIES.get(error.errno, remedy)}") from error
    elif is_memory or (picture and not _has_memory_for(picture)):
        raise UserError(f"{what}: {MEMORY}") from error


def is_want_of_memory(error: BaseException) -> bool:
    """Whether memory was short, also in the words of Pillow's decoders and of PyTorch."""
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))


def _has_memory_for(picture: Path | BinaryIO) -> bool:
    try:
        with picture.open("rb") if isinstance(picture, Path) else nullcontext(picture) as file:
            bytearray(_bytes_needed(file) + _SPARE)
    except MemoryError:
        return False
    return True


def _bytes_needed(file: BinaryIO) -> int:
    """To decode a picture, by its header; 0 where that cannot be read."""
    file.seek(0)
    head = file.read(30)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":  # to open one takes nearly as much
        return _NEEDED_WEBP * _webp_pixels(head)
    file.seek(0)
    try:
        with Image.open(file) as image:
            return _NEEDED * image.width * image.height
    except MemoryError:
        raise
    except Exception:  # Pillow's plugins raise whatever the bytes make them raise
        return 0


def _webp_pixels(head: bytes) -> int:
    """Of the canvas: WebP Container Specification, RFC 9649, 2.5 to 2.7."""
    if head[12:16] == b"VP8X":
        return (1 + int.from_bytes(head[24:27], "little")) * (1 + int.from_bytes(head[27:30], "little"))
    if head[12:16] == b"VP8L":
        sides = int.from_bytes(head[21:25], "little")
        return (1 + (sides & 0x3FFF)) * (1 + (sides >> 14 & 0x3FFF))
    return (int.from_bytes(head[26:28], "little") & 0x3FFF) * (int.from_bytes(head[28:30], "little") & 0x3FFF)


@contextmanager
def garbage_collector_paused() -> Iterator[None]:
    """Keep Python's garbage collector from looking for reference cycles.

    With hundreds of thousands of records, none of them in a cycle, the search costs a fifth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
