"""Masks in and beside annotation files: small pictures of a crop -> run lengths of the whole frame."""

import base64
import binascii
import io
import reprlib
from typing import Any

import numpy as np
from PIL import Image

from segpipe.annotations import values
from segpipe.annotations.stored_values import MAX_PIXELS
from segpipe.errors import AnnotationError
from segpipe.records import Rle


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
        problem = f"its mask cannot be decoded ({type(error).__name__})"
        raise AnnotationError(f"{problem}; export it again", "bad_rle") from error


def _shown(image: Image.Image) -> np.ndarray:
    if "A" in image.getbands() or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA"))[..., 3]
    else:
        pixels = np.asarray(image)
    return (pixels if pixels.ndim == 2 else pixels.any(axis=2)) != 0


def rle_of_crop(crop: np.ndarray, left_top: tuple[int, int], size_hw: tuple[int, int]) -> Rle:
    """Run lengths of a frame of size_hw in which `crop`, bool (h, w), lies at left_top; what sticks out is cut off.

    No frame of pixels is made. Raises AnnotationError (bad_rle) if nothing of it lies in the frame.
    """
    (left, top), (height, width) = left_top, size_hw
    crop = crop[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    if not crop.any():
        raise AnnotationError("its mask covers no pixel of the picture; draw it again or delete it", "bad_rle")
    edges = np.diff(np.pad(crop.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)  # (w, h + 1): 1 begins, -1 ends
    bounds = np.empty(2 * np.count_nonzero(edges == 1), np.int64)
    for part, sign in enumerate((1, -1)):
        column, row = np.nonzero(edges == sign)
        bounds[part::2] = (column + max(0, left)) * height + row + max(0, top)
    apart = bounds[1:-1:2] != bounds[2::2]  # a run that goes on at the top of the next column is one run
    inner = bounds[1:-1].reshape(-1, 2)[apart].ravel()
    counts = np.diff(np.concatenate(([0], bounds[:1], inner, bounds[-1:], [height * width]))).tolist()
    return Rle(size_hw=size_hw, counts=tuple(counts if counts[-1] else counts[:-1]))


def frame_hw(height: Any, width: Any) -> tuple[int, int]:
    """The declared frame of a mask. Raises AnnotationError (bad_rle) if the file does not say it."""
    if values.is_whole(height, least=1) and values.is_whole(width, least=1) and height * width <= MAX_PIXELS:
        return int(height), int(width)
    problem = f"the file declares a picture of {reprlib.repr(width)} x {reprlib.repr(height)} pixels"
    raise AnnotationError(f"{problem}, so that its mask has no place; export it again", "bad_rle")
