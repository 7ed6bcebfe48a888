"""Reading a photograph, a file or inside an annotation file: decoded in full, as RGB, in the frame asked for."""

import hashlib
import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segpipe.annotations import embedded
from segpipe.annotations.source import SUPPORTED_SUFFIXES
from segpipe.errors import AnnotationError
from segpipe.files import sha256_of

Frame = Literal["viewed", "stored"]
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "MPO")
MAX_PIXELS = 300_000_000  # a decoded picture of that size takes 0.9 GB
Image.MAX_IMAGE_PIXELS = None  # the limit above, an error instead of a warning

_EXIF_ORIENTATION = 0x0112
_TURNED = range(5, 9)  # orientations that swap width and height (EXIF 2.32, 4.6.4.A)


def read_rgb(path: Path, frame: Frame = "viewed") -> np.ndarray:
    """Decode a photograph, uint8 (H, W, 3) RGB; `viewed` applies its EXIF orientation, `stored` does not.

    Raises AnnotationError, without the file's name, with reason missing_file, unsupported_format or unreadable.
    """
    return np.asarray(read(path, frame))


def read(path: Path, frame: Frame = "viewed") -> Image.Image:
    """The same as Pillow's picture, mode RGB: to resize, its pixels need not be copied to an array and back."""
    with _opened(path) as image:
        turned = frame == "viewed" and orientation(image) != 1
        picture = _rgb(ImageOps.exif_transpose(image) if turned else image)
        picture.load()
        return picture


def read_reduced(path: Path, frame: Frame, scale: float) -> np.ndarray:
    """A photograph for looking at only, uint8 (h, w, 3) RGB: all of it, at `scale` (0..1) of its size or larger.

    A JPEG is decoded at the eighth, quarter or half that is large enough, much faster than in full. Raises as read_rgb.
    """
    with _opened(path) as image:
        image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
        turned = frame == "viewed" and orientation(image) != 1
        return np.asarray(_rgb(ImageOps.exif_transpose(image) if turned else image))


def read_size(path: Path) -> tuple[tuple[int, int], int]:
    """The stored (height, width) and the EXIF orientation (1 where there is none), from the header alone.

    Raises AnnotationError as read_rgb does.
    """
    with _opened(path) as image:
        return (image.height, image.width), orientation(image)


def sha256(path: Path) -> str:
    """The hash of a photograph's file, of those bytes alone where it stands inside an annotation file."""
    return hashlib.sha256(embedded.picture_file(path)).hexdigest() if embedded.is_inside(path) else sha256_of(path)


def suffix(path: Path) -> str:
    """What a photograph's file ends in; inside an annotation file, what its format's files do. Raises as read_rgb."""
    if not embedded.is_inside(path):
        return path.suffix
    with _opened(path) as image:
        return ".jpg" if image.format in ("JPEG", "MPO") else f".{str(image.format).lower()}"


def orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8 of an opened image; 1 where it is absent or no such number."""
    value = image.getexif().get(_EXIF_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def viewed_hw(stored_hw: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) after the EXIF orientation is applied."""
    return (stored_hw[1], stored_hw[0]) if orientation in _TURNED else stored_hw


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An opened picture; every way that Pillow fails on bad bytes becomes one AnnotationError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken metadata, which changes no pixel
        try:
            with _open(path) as image:
                yield image
        except AnnotationError:
            raise
        except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
            said = (isinstance(error, OSError) and error.strerror) or str(error)  # without the way to the file
            what = " ".join(said.split()) or type(error).__name__
            raise AnnotationError(f"cannot be decoded ({what}); replace or remove the file", "unreadable") from error


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(embedded.picture_file(path)) if embedded.is_inside(path) else path)
    except FileNotFoundError:
        raise AnnotationError("no such file; restore it or remove its record", "missing_file") from None
    except UnidentifiedImageError:
        if path.suffix.lower() in SUPPORTED_SUFFIXES or embedded.is_inside(path):
            raise AnnotationError("holds no picture; replace or remove the file", "unreadable") from None
        raise _unsupported(f"{path.suffix or 'such'} files") from None
    if image.format not in FORMATS:
        raise _unsupported(f"{image.format} pictures")
    if image.mode == "F":
        raise _unsupported("pictures of floating-point numbers, whose range is not known,")
    if image.width * image.height > MAX_PIXELS:
        problem = f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}; cut it into parts"
        raise AnnotationError(problem, "unreadable")
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        return _scaled_to_8_bit(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _scaled_to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit grey keeps its high byte; Pillow's own conversion clips everything above 255."""
    pixels = np.asarray(image)
    return Image.fromarray((pixels.astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))


def _unsupported(what: str) -> AnnotationError:
    return AnnotationError(f"{what} are not supported; convert it to JPEG or PNG", "unsupported_format")
