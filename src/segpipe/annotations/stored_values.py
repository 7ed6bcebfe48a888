"""The values that a mask picture stores: class numbers, never colours."""

from pathlib import Path

import numpy as np
from PIL import Image

from segpipe.errors import AnnotationError

MAX_PIXELS = 300_000_000
Image.MAX_IMAGE_PIXELS = None  # the limit above, an error instead of a warning

_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
_LOSSY = ("JPEG", "MPO", "WEBP")
# Pillow stretches 2-bit and 4-bit grey to 0..255 (PngImagePlugin, rawmodes L;2 and L;4).
_STRETCH = {"L;2": 85, "L;4": 17}


def read_values(path: Path) -> np.ndarray:
    """Palette indices, grey values as stored, or bits of a mask file: an integer array (H, W).

    Raises AnnotationError (bad_record), without the file's name, if it cannot be decoded or holds colours.
    """
    try:
        with Image.open(path) as image:
            _refuse_foreign(image)
            stretch = _STRETCH.get(_raw_mode(image), 1)  # before load() clears the tiles
            values = np.asarray(image)
    except AnnotationError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
        raise AnnotationError(f"cannot be decoded ({type(error).__name__}); export the mask again") from error
    return values.astype(np.uint8) if values.dtype == bool else values // values.dtype.type(stretch)


def _refuse_foreign(image: Image.Image) -> None:
    if image.format in _LOSSY:
        raise AnnotationError(f"{image.format} does not keep class numbers exact; export the mask as PNG")
    if image.mode not in _MODES:
        problem = f"a {image.mode} picture holds colours, not class numbers"
        raise AnnotationError(f"{problem}; export the mask as a palette or grey PNG")
    if image.width * image.height > MAX_PIXELS:
        problem = f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}"
        raise AnnotationError(f"{problem}; cut photograph and mask into parts")


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    return tiles[0].args if tiles and isinstance(tiles[0].args, str) else ""
