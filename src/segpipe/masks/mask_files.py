"""Masks stored as image files, or as base64 of image files inside annotation files."""

import base64
import binascii
import io
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segpipe.core import machine
from segpipe.core.errors import AnnotationError, UserError
from segpipe.core.files import sha256_of
from segpipe.data.photos import MAX_PIXELS

Colour = tuple[int, int, int]

_NUMBERS = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
_COLOURS = ("RGB", "RGBA")
_LOSSY = ("JPEG", "MPO", "WEBP")
# Pillow stretches 2-bit and 4-bit grey to 0..255 (PngImagePlugin, rawmodes L;2 and L;4).
_STRETCH = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True, slots=True)
class Stored:
    """The pixels of a mask file."""

    values: np.ndarray  # integer (H, W)
    coloured: bool = False  # the values are colour numbers
    palette: tuple[int, ...] = ()  # of a palette image: the colour number of each index


def colour_number(colour: Colour) -> int:
    """The number of a colour: red + 256 green + 65536 blue, as in COCO panoptic."""
    return colour[0] + (colour[1] << 8) + (colour[2] << 16)


def colour_of(number: int) -> Colour:
    """The red, green and blue of a colour number.

    >>> colour_of(colour_number((1, 2, 3)))
    (1, 2, 3)
    """
    return number & 255, number >> 8 & 255, number >> 16 & 255


def read_values(path: Path) -> np.ndarray:
    """The values of a mask file as in `read_stored`, integer (H, W)."""
    return read_stored(path).values


def read_stored(path: Path) -> Stored:
    """The palette indices, stored grey values or bits of a mask file; of RGB and RGBA files the colour numbers.

    Transparent pixels are 0. Raises AnnotationError (bad_record), without the file's name, if the file cannot be
    decoded or its format is lossy, and UserError if the machine may have caused the error.
    """
    try:
        with Image.open(path) as image:
            _refuse_foreign(image)
            stretch = _STRETCH.get(_raw_mode(image), 1)  # before load() clears the tiles
            palette = _palette(image)
            values = np.asarray(image)
    except UserError:
        raise
    except Exception as error:  # Pillow's plugins raise any exception on damaged bytes
        machine.raise_if_machine_fault(error, str(path), path)
        raise AnnotationError(f"cannot be decoded ({type(error).__name__}); export the mask again") from error
    if values.ndim == 3:
        return Stored(_colour_numbers(values), coloured=True)
    exact = values.astype(np.uint8) if values.dtype == bool else values // values.dtype.type(stretch)
    return Stored(exact, palette=palette)


def hashes(root: Path, files: Iterable[str]) -> list[tuple[str, str]]:
    """The mask files under `root`, sorted, each with its SHA-256, or the name of the error if it cannot be read."""
    return [(file, _hash(root / file)) for file in sorted(files)]


def require_unchanged(root: Path, before: Sequence[tuple[str, str]]) -> None:
    """Raise UserError if a mask file has changed. before: the `hashes` of the files."""
    for (file, old), (_, new) in zip(before, hashes(root, [file for file, _ in before]), strict=True):
        if old != new:
            raise UserError(f"{root / file}: has changed while it was read; run `dvc repro` again")


def decode_base64(text: Any) -> bytes:
    """The bytes in a base64 text. Raises AnnotationError (bad_rle)."""
    try:
        return base64.b64decode(text, validate=False)
    except (TypeError, ValueError, binascii.Error) as error:
        raise AnnotationError(f"{reprlib.repr(text)} is not base64; export it again", "bad_rle") from error


def decode_mask(data: bytes) -> np.ndarray:
    """The mask in an image file's bytes, bool (h, w): opaque pixels if it has transparency, otherwise pixels above 0.

    Raises AnnotationError (bad_rle) if it cannot be decoded or has more than MAX_PIXELS.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise AnnotationError(f"a mask of {image.width} x {image.height} pixels is too large", "bad_rle")
            return _shown(image)
    except AnnotationError:
        raise
    except Exception as error:  # Pillow's plugins raise any exception on damaged bytes
        machine.raise_if_machine_fault(error, "a mask stored as an image", io.BytesIO(data))
        problem = f"its mask cannot be decoded ({type(error).__name__})"
        raise AnnotationError(f"{problem}; export it again", "bad_rle") from error


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        machine.raise_if_machine_fault(error, str(path))
        return type(error).__name__


def _refuse_foreign(image: Image.Image) -> None:
    if image.format in _LOSSY:
        raise AnnotationError(f"{image.format} does not keep class numbers exact; export the mask as PNG")
    if image.mode not in _NUMBERS + _COLOURS:
        problem = f"an image of mode {image.mode} contains neither class numbers nor colours"
        raise AnnotationError(f"{problem}; export the mask as a palette, grey or RGB PNG")
    if image.width * image.height > MAX_PIXELS:
        problem = f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}"
        raise AnnotationError(f"{problem}; cut photo and mask into parts")


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    return tiles[0].args if tiles and isinstance(tiles[0].args, str) else ""


def _palette(image: Image.Image) -> tuple[int, ...]:
    flat = image.getpalette("RGB") if image.mode == "P" else None
    return tuple(colour_number((r, g, b)) for r, g, b in zip(*[iter(flat or [])] * 3, strict=True))


def _colour_numbers(pixels: np.ndarray) -> np.ndarray:
    """The colour numbers of pixels, uint8 (H, W, 3 or 4): int32 (H, W)."""
    numbers = pixels[..., 2].astype(np.int32)
    for channel in (1, 0):
        numbers = (numbers << 8) | pixels[..., channel]
    if pixels.shape[2] == 4:
        numbers[pixels[..., 3] == 0] = 0
    return numbers


def _shown(image: Image.Image) -> np.ndarray:
    if "A" in image.getbands() or "transparency" in image.info:
        pixels = np.asarray(image.convert("RGBA"))[..., 3]
    else:
        pixels = np.asarray(image)
    return (pixels if pixels.ndim == 2 else pixels.any(axis=2)) != 0
