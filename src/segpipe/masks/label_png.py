"""Label maps as 8-bit palette PNGs that open in colour in any viewer; pixel = class_index, 255 = ignore."""

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from segpipe.classes import ClassTable
from segpipe.files import write_bytes

_LEVEL = 1  # with zlib's run-length strategy: faster than Pillow's default, and as small on label maps


def write(path: Path, label_map: np.ndarray, classes: ClassTable) -> None:
    """Write a label map, uint8 (H, W), whole or not at all."""
    # not durable: one of thousands; a power cut loses the whole folder, since DVC has not recorded the stage
    write_bytes(path, encode(label_map, classes), durable=False)


def encode(label_map: np.ndarray, classes: ClassTable) -> bytes:
    """The PNG file of a label map, uint8 (H, W)."""
    image = Image.fromarray(np.ascontiguousarray(label_map, np.uint8))
    image.putpalette(classes.png_palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_LEVEL, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def read(path: Path) -> np.ndarray:
    """Read a label map, uint8 (H, W)."""
    with Image.open(path) as image:
        return np.asarray(image)
