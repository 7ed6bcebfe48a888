"""Label maps as 8-bit palette PNGs, which viewers show in colour: a pixel is a class_index, or 255 (ignore)."""

import struct
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from zlib_ng import zlib_ng

from segpipe.core.files import write_bytes
from segpipe.data.classes import ClassTable

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLUMNS = 64  # copied at a time: so few columns of column-major memory stay in the processor's cache


def write(path: Path, label_map: np.ndarray, classes: ClassTable) -> None:
    """Write a label map, uint8 (H, W), whole or not at all."""
    # not durable: after a power cut DVC runs the whole stage again
    write_bytes(path, encode(label_map, classes), durable=False)


def encode(label_map: np.ndarray, classes: ClassTable) -> bytes:
    """The bytes of the PNG file of a label map, uint8 (H, W).

    Pillow can write it, too. But label maps are runs of equal bytes: unfiltered rows and deflate's run-length strategy
    give smaller files than Pillow's default, in a tenth of the time.
    """
    height, width = label_map.shape
    header = struct.pack(">2I5B", width, height, 8, 3, 0, 0, 0)  # 8 bits, palette, deflate, filters, not interlaced
    chunks = ((b"IHDR", header), (b"PLTE", _palette(classes)), (b"IDAT", _deflated(label_map)), (b"IEND", b""))
    return b"".join([_SIGNATURE, *(_chunk(name, data) for name, data in chunks)])


def read(path: Path) -> np.ndarray:
    """The label map in a PNG file, uint8 (H, W)."""
    with Image.open(path) as image:
        return np.asarray(image)


def _deflated(label_map: np.ndarray) -> bytes:
    height, width = label_map.shape
    rows = np.empty((height, width + 1), np.uint8)
    rows[:, 0] = 0  # the filter of each row: none
    for left in range(0, width, _COLUMNS):
        rows[:, left + 1 : left + 1 + _COLUMNS] = label_map[:, left : left + _COLUMNS]
    packer = zlib_ng.compressobj(level=1, strategy=zlib_ng.Z_RLE)
    return packer.compress(rows) + packer.flush()


@cache
def _palette(classes: ClassTable) -> bytes:
    return bytes(classes.png_palette)


def _chunk(name: bytes, data: bytes) -> bytes:
    return b"".join([struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib_ng.crc32(name + data))])
