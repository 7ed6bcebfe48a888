"""Masks in and beside annotation files, stored as pictures."""

import base64
import binascii
import io
import reprlib
from typing import Any

import numpy as np
from PIL import Image

from segpipe.core import machine
from segpipe.core.errors import AnnotationError
from segpipe.masks.stored_values import MAX_PIXELS


def base64_bytes(text: Any) -> bytes:
    """What a base64 text holds. Raises AnnotationError (bad_rle)."""
    try:
        return base64.b64decode(text, validate=False)
    except (TypeError, ValueError, binascii.Error) as error:
        raise AnnotationError(f"{reprlib.repr(text)} is not base64; export it again", "bad_rle") from error


def png_mask(data: bytes) -> np.ndarray:
    """The mask that a picture file shows, bool (h, w): what is opaque if it has transparency, else what is not 0.

    Raises AnnotationError (bad_rle) if it cannot be decoded or has more than MAX_PIXELS.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise AnnotationError(f"a mask of {image.width} x {image.height} pixels is too large", "bad_rle")
            return _shown(image)
    except AnnotationError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
        machine.stop_if_at_fault(error, "a mask stored as a picture", io.BytesIO(data))
        problem = f"its mask cannot be decoded ({type(error).__name__})"
        raise AnnotationError(f"{problem}; export it again", "bad_rle") from error


def _shown(image: Image.Image) -> np.ndarray:
    if "A" in image.getbands() or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA"))[..., 3]
    else:
        pixels = np.asarray(image)
    return (pixels if pixels.ndim == 2 else pixels.any(axis=2)) != 0
