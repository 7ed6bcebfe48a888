"""Errors of the machine (memory, open files, disk, network). They prove nothing about the file that was read."""

import errno
import os
import re
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

# All supported formats: with little memory left Pillow cannot import a plugin, and does not recognise a valid file.
from PIL import BmpImagePlugin, Image, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

from segpipe.core.errors import UserError

OUT_OF_MEMORY = "not enough memory; free some, or run fewer processes (compute.workers in params.yaml)"
_OPEN_FILES = "too many open files; raise `ulimit -n`, or run fewer processes (compute.workers in params.yaml)"
_REMEDIES = {errno.ENOMEM: OUT_OF_MEMORY, errno.EMFILE: _OPEN_FILES, errno.ENFILE: _OPEN_FILES}
_FILE_ERRORS = (
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG,
    errno.ENXIO, errno.ENODEV, errno.ESPIPE, errno.EINVAL, errno.EOVERFLOW,  # the last two: bad offsets in the file
)  # fmt: skip
# Bytes per pixel that decoding needs at most: libjpeg keeps the coefficients of a progressive JPEG, libwebp two frames
_BYTES_PER_PIXEL, _BYTES_PER_WEBP_PIXEL = 12, 24
_RESERVE = 1 << 24
_NO_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory")


def raise_if_machine_fault(error: Exception, what: str, image: Path | BinaryIO | None = None) -> None:
    """Raise UserError if the machine may have caused `error` while `what` was read; then the file cannot be judged.

    image: the file that could not be decoded. libjpeg and libwebp report too little memory as a damaged file, so a
    file counts as damaged only if there is enough memory for the whole image.
    """
    is_memory = is_out_of_memory(error)
    if isinstance(error, OSError) and error.errno:
        if error.errno not in _FILE_ERRORS:
            remedy = f"{os.strerror(error.errno)}; check the disk or the network, then run again"
            raise UserError(f"{what}: {_REMEDIES.get(error.errno, remedy)}") from error
    elif is_memory or (image and not _has_memory_for(image)):
        raise UserError(f"{what}: {OUT_OF_MEMORY}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; Pillow's decoders and PyTorch report this in their message only."""
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))


def _has_memory_for(image: Path | BinaryIO) -> bool:
    try:
        with image.open("rb") if isinstance(image, Path) else nullcontext(image) as file:
            bytearray(_bytes_needed(file) + _RESERVE)
    except MemoryError:
        return False
    return True


def _bytes_needed(file: BinaryIO) -> int:
    """Bytes to decode an image, by its header; 0 if that cannot be read."""
    file.seek(0)
    head = file.read(30)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":  # opening a WebP needs nearly as much
        return _BYTES_PER_WEBP_PIXEL * _webp_pixels(head)
    file.seek(0)
    try:
        with Image.open(file) as image:
            return _BYTES_PER_PIXEL * image.width * image.height
    except MemoryError:
        raise
    except Exception:  # Pillow's plugins raise any exception on damaged bytes
        return 0


def _webp_pixels(head: bytes) -> int:
    """Pixels of the canvas. Source: WebP Container Specification, RFC 9649, 2.5 to 2.7."""
    if head[12:16] == b"VP8X":
        return (1 + int.from_bytes(head[24:27], "little")) * (1 + int.from_bytes(head[27:30], "little"))
    if head[12:16] == b"VP8L":
        sides = int.from_bytes(head[21:25], "little")
        return (1 + (sides & 0x3FFF)) * (1 + (sides >> 14 & 0x3FFF))
    return (int.from_bytes(head[26:28], "little") & 0x3FFF) * (int.from_bytes(head[28:30], "little") & 0x3FFF)
