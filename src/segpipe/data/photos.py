"""Photos, as files or inside annotation files: decoded in full, as RGB, in the requested frame.

LabelMe writes the photo into its annotation file, as base64 under `imageData`. Such a photo has the path of this JSON
file, and every function here reads it like any other.

Importing this module removes Pillow's limit of pixels for the whole process. MAX_PIXELS is the limit here, and an image
with more pixels is an error instead of a warning.
"""

import base64
import binascii
import hashlib
import io
import json
import math
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from segpipe.core import machine
from segpipe.core.errors import AnnotationError, UserError
from segpipe.data import rgb, tiffs
from segpipe.data.records import Frame
from segpipe.data.rgb import Change, File

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "MPO")
SUPPORTED_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MAX_PIXELS = 300_000_000  # of a photo or a mask; 1.2 GB when decoded, 2.7 GB while 16-bit colours are read
Image.MAX_IMAGE_PIXELS = None

IMAGE_DATA = "imageData"  # LabelMe's key of a photo inside its annotation file
_EMBEDDED_SUFFIX = ".json"
_EMBEDDED_HEADER = 1 << 17  # characters of base64 that contain the size of nearly every image
_EMBEDDED_REMEDY = "export it again, or put the photo beside it as a file"

_SWAPS_SIDES = range(5, 9)  # orientations that swap width and height (EXIF 2.32, 4.6.4.A)
_FLIP = Image.Transpose
_TO_VIEWED = {
    2: _FLIP.FLIP_LEFT_RIGHT, 3: _FLIP.ROTATE_180, 4: _FLIP.FLIP_TOP_BOTTOM, 5: _FLIP.TRANSPOSE,
    6: _FLIP.ROTATE_270, 7: _FLIP.TRANSVERSE, 8: _FLIP.ROTATE_90,
}  # fmt: skip
_TO_STORED = {**_TO_VIEWED, 6: _FLIP.ROTATE_90, 8: _FLIP.ROTATE_270}


@dataclass(frozen=True, slots=True)
class Decoded:
    """The pixels of a photo as an RGB image, and how they differ from the pixels of its file."""

    image: Image.Image
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class OpenPhoto:
    """An open photo whose header has been read."""

    stored_hw: tuple[int, int]  # height and width before the EXIF orientation is applied
    orientation: int  # EXIF orientation, 1 if there is none
    raw_mode: str  # Pillow's name for the layout of the values in the file
    image: ImageFile
    file: File

    def decode(self, frame: Frame) -> Decoded:
        """All pixels; the frame `viewed` has the EXIF orientation applied, `stored` has not."""
        image, changes = rgb.to_rgb(self.image, self.file, self.raw_mode)
        turns = _TO_STORED if _is_turned_by_pillow(self.image) else _TO_VIEWED
        is_turned = (frame == "viewed") != _is_turned_by_pillow(self.image)
        if is_turned and self.orientation in turns:
            image = image.transpose(turns[self.orientation])
        image.load()
        return Decoded(image, changes)

    def sha256(self) -> str:
        """The SHA-256 of the photo's bytes in hex; inside an annotation file, of the decoded base64."""
        self.file.seek(0)
        return hashlib.file_digest(self.file, "sha256").hexdigest()


@contextmanager
def open_photo(path: Path) -> Iterator[OpenPhoto]:
    """Open a photo. Its file is read from the disk only once.

    Raises AnnotationError (missing_file, unsupported_format or unreadable), without the file's name, and UserError if
    the machine may have caused the error. Both may also be raised while the photo is used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about broken metadata, which changes no pixel
        file = _file(path)
        with file:
            try:
                with _image(file, path) as image:
                    raw_mode, turn = rgb.raw_mode(image), orientation(image)
                    size_hw = (image.height, image.width)
                    stored_hw = viewed_hw(size_hw, turn) if _is_turned_by_pillow(image) else size_hw
                    yield OpenPhoto(stored_hw, turn, raw_mode, image, file)
            except UserError:
                raise
            except Exception as error:  # Pillow's plugins raise any exception on damaged bytes
                machine.raise_if_machine_fault(error, str(path), file)
                raise _unreadable(error) from error


def read_rgb(path: Path, frame: Frame = "viewed") -> np.ndarray:
    """The pixels of a photo, uint8 (H, W, 3) RGB. Raises as `open_photo`."""
    return np.asarray(read_image(path, frame))


def read_image(path: Path, frame: Frame = "viewed") -> Image.Image:
    """A photo as Pillow's image, mode RGB: resizing it needs no copy to an array and back. Raises as `open_photo`."""
    return decode(path, frame).image


def decode(path: Path, frame: Frame = "viewed") -> Decoded:
    """A photo as an RGB image, and how it differs from the file. Raises as `open_photo`."""
    with open_photo(path) as photo:
        return photo.decode(frame)


def read_reduced(path: Path, frame: Frame, scale: float) -> np.ndarray:
    """A smaller version of a photo, for people to look at: uint8 (h, w, 3) RGB, at least `scale` (0..1) of its size.

    A JPEG is decoded at the smallest sufficient of 1/8, 1/4 and 1/2, which is much faster. Raises as `open_photo`.
    """
    with open_photo(path) as photo:
        photo.image.draft(None, (math.ceil(photo.image.width * scale), math.ceil(photo.image.height * scale)))
        return np.asarray(photo.decode(frame).image)


def read_size(path: Path) -> tuple[tuple[int, int], int]:
    """The stored (height, width) and the EXIF orientation (1 if absent), from the header. Raises as `open_photo`."""
    with open_photo(path) as photo:
        return photo.stored_hw, photo.orientation


def viewed_wh(path: Path) -> tuple[int, int]:
    """Width and height in pixels with the EXIF orientation applied, of a file of any format that Pillow knows.

    Raises AnnotationError (image_lost).
    """
    try:
        with Image.open(path) as image:
            return _viewed_wh(image)
    except Exception as error:  # Pillow's plugins raise any exception on damaged bytes
        machine.raise_if_machine_fault(error, str(path), path)
        problem = f"the size of {path.name} cannot be read ({type(error).__name__})"
        raise AnnotationError(f"{problem}; restore the photo", "image_lost") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a photo's bytes in hex, as OpenPhoto.sha256. Raises as `open_photo`."""
    try:
        with _file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        machine.raise_if_machine_fault(error, str(path))
        raise _unreadable(error) from error


def suffix(path: Path) -> str:
    """The suffix of a photo's file; of an embedded photo, the usual suffix of its format. Raises as `open_photo`."""
    if not is_embedded(path):
        return path.suffix
    with open_photo(path) as photo:
        return ".jpg" if photo.image.format in ("JPEG", "MPO") else f".{str(photo.image.format).lower()}"


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an open image, 1..8; 1 if it is absent or invalid."""
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def viewed_hw(stored_hw: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) after the EXIF orientation is applied.

    >>> viewed_hw((480, 640), orientation=6)  # a quarter turn
    (640, 480)
    """
    return (stored_hw[1], stored_hw[0]) if orientation in _SWAPS_SIDES else stored_hw


def is_embedded(path: Path) -> bool:
    """Whether the path of a photo is an annotation file that contains it."""
    return path.suffix.lower() == _EMBEDDED_SUFFIX


def embedded_file(path: Path) -> bytes:
    """The bytes of the image file inside an annotation file.

    Raises FileNotFoundError, and AnnotationError (unreadable; unsupported_format if there is none).
    """
    try:
        return _decoded_base64(embedded_text(path))
    except (ValueError, binascii.Error) as error:
        raise AnnotationError(f"its {IMAGE_DATA} is not base64 ({error}); {_EMBEDDED_REMEDY}", "unreadable") from error


def embedded_text(path: Path) -> str:
    """The base64 text of the photo inside an annotation file. Raises as `embedded_file`."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"is not valid JSON ({error}); {_EMBEDDED_REMEDY}", "unreadable") from error
    text = image_data_of(document)
    if not text:
        problem = f"{_EMBEDDED_SUFFIX} files without {IMAGE_DATA} contain no photo"
        raise AnnotationError(f"{problem}; {_EMBEDDED_REMEDY}", "unsupported_format")
    return text


def image_data_of(document: Any) -> str:
    """The base64 text of the photo in a parsed annotation file, "" if it has none."""
    text = document.get(IMAGE_DATA) if isinstance(document, dict) else None
    return text if isinstance(text, str) else ""


def embedded_size_wh(text: str) -> tuple[int, int] | None:
    """Width and height of the photo in a base64 text, with the EXIF orientation applied; None if it cannot be read."""
    for part in (text[:_EMBEDDED_HEADER], text):
        try:
            with Image.open(io.BytesIO(_decoded_base64(part))) as image:
                return _viewed_wh(image)
        except Exception as error:  # Pillow's plugins raise any exception on damaged bytes
            machine.raise_if_machine_fault(error, f"the photo in {IMAGE_DATA}")
    return None


def _decoded_base64(text: str) -> bytes:
    """The bytes of base64 with or without a data URI's head, such as "data:image/png;base64,"."""
    bare = text.partition(",")[2] if text.startswith("data:") else text
    return base64.b64decode(bare.encode("ascii"))


def _viewed_wh(image: ImageFile) -> tuple[int, int]:
    if _is_turned_by_pillow(image):
        return image.size
    height, width = viewed_hw((image.height, image.width), orientation(image))
    return width, height


def _is_turned_by_pillow(image: ImageFile) -> bool:
    """Whether Pillow applies the orientation when it loads the image, and reports the size after that."""
    return isinstance(image, TiffImageFile)


def _file(path: Path) -> File:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait forever
            raise AnnotationError("is not a regular file; replace or remove it", "unreadable")
        return io.BytesIO(embedded_file(path)) if is_embedded(path) else path.open("rb")
    except FileNotFoundError:
        raise AnnotationError("no such file; restore it or remove its record", "missing_file") from None
    except (OSError, MemoryError) as error:
        machine.raise_if_machine_fault(error, str(path))
        raise _unreadable(error) from error


def _image(file: File, path: Path) -> ImageFile:
    try:
        image = Image.open(file)
    except UnidentifiedImageError as error:
        machine.raise_if_machine_fault(error, str(path), file)
        raise _not_an_image(file, path) from None
    if image.format not in FORMATS:
        raise _unsupported(f"{image.format} images")
    if image.width * image.height > MAX_PIXELS:
        problem = f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}; cut it into parts"
        raise AnnotationError(problem, "unreadable")
    if image.mode == "F":
        raise _unsupported("images of floating-point numbers, whose range is unknown,")
    if isinstance(image, TiffImageFile) and not tiffs.set_raw_modes(image):
        raise _unsupported_tiff(tiffs.layout(file))
    return image


def _not_an_image(file: File, path: Path) -> AnnotationError:
    if layout := tiffs.layout(file):
        return _unsupported_tiff(layout)
    if path.suffix.lower() in SUPPORTED_SUFFIXES or is_embedded(path):
        return AnnotationError("is not an image file; replace or remove it", "unreadable")
    return _unsupported(f"{path.suffix} files" if path.suffix else "files without a suffix")


def _unreadable(error: Exception) -> AnnotationError:
    problem = (isinstance(error, OSError) and error.strerror) or str(error)  # strerror does not repeat the path
    what = " ".join(problem.split()) or type(error).__name__
    return AnnotationError(f"cannot be decoded ({what}); replace or remove the file", "unreadable")


def _unsupported(what: str) -> AnnotationError:
    return AnnotationError(f"{what} are not supported; convert it to JPEG or PNG", "unsupported_format")


def _unsupported_tiff(layout: str) -> AnnotationError:
    remedy = "write grey values, or red, green and blue pixel by pixel, of 8 or 16 bits"
    return AnnotationError(f"{layout} are not supported; {remedy}", "unsupported_format")
