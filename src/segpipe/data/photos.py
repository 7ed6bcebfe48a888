"""Reading a photograph, a file or inside an annotation file: decoded in full, as RGB, in the frame asked for."""

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

Stamp = tuple[int, int]  # size in bytes and time of the last change in ns of a file: another stamp, another content
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "MPO")
MAX_PIXELS = 300_000_000  # decoded 1.2 GB, while 16-bit colours are read 2.7 GB
SUPPORTED_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
Image.MAX_IMAGE_PIXELS = None  # the limit above, an error instead of a warning

_TURNED = range(5, 9)  # orientations that swap width and height (EXIF 2.32, 4.6.4.A)
_FLIP = Image.Transpose
_UPRIGHT = {
    2: _FLIP.FLIP_LEFT_RIGHT, 3: _FLIP.ROTATE_180, 4: _FLIP.FLIP_TOP_BOTTOM, 5: _FLIP.TRANSPOSE,
    6: _FLIP.ROTATE_270, 7: _FLIP.TRANSVERSE, 8: _FLIP.ROTATE_90,
}  # fmt: skip
_BACK = {**_UPRIGHT, 6: _FLIP.ROTATE_90, 8: _FLIP.ROTATE_270}


@dataclass(frozen=True, slots=True)
class Decoded:
    """The pixels of a photograph that are used, mode RGB, and how they differ from those of its file."""

    image: Image.Image
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class OpenPhoto:
    """A photograph's file whose header is read, while it is open: stored (height, width), EXIF orientation or 1.

    raw_mode: how its values lie in the file, in Pillow's terms.
    """

    stamp: Stamp
    stored_hw: tuple[int, int]
    orientation: int
    raw_mode: str
    image: ImageFile
    file: File

    def decode(self, frame: Frame) -> Decoded:
        """All of its pixels; `viewed` applies the orientation, `stored` does not."""
        picture, changes = rgb.to_rgb(self.image, self.file, self.raw_mode)
        turns = _BACK if _is_turned_by_pillow(self.image) else _UPRIGHT
        is_turned = (frame == "viewed") != _is_turned_by_pillow(self.image)
        if is_turned and self.orientation in turns:
            picture = picture.transpose(turns[self.orientation])
        picture.load()
        return Decoded(picture, changes)

    def sha256(self) -> str:
        """The hash of its file in hex, of those bytes alone where it stands inside an annotation file."""
        self.file.seek(0)
        return hashlib.file_digest(self.file, "sha256").hexdigest()


@contextmanager
def open_photo(path: Path) -> Iterator[OpenPhoto]:
    """Open a photograph to take from it what is needed, read from the disk once.

    Raises AnnotationError, without the file's name, with reason missing_file, unsupported_format or unreadable, and
    UserError where the machine may be at fault; so does all that is read from it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken metadata, which changes no pixel
        stamp, file = _file(path)
        with file:
            try:
                with _image(file, path) as image:
                    raw_mode, turn = rgb.raw_mode(image), orientation(image)
                    size_hw = (image.height, image.width)
                    stored_hw = viewed_hw(size_hw, turn) if _is_turned_by_pillow(image) else size_hw
                    yield OpenPhoto(stamp, stored_hw, turn, raw_mode, image, file)
            except UserError:
                raise
            except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
                machine.raise_if_machine_fault(error, str(path), file)
                raise _unreadable(error) from error


def read_rgb(path: Path, frame: Frame = "viewed") -> np.ndarray:
    """Decode a photograph, uint8 (H, W, 3) RGB. Raises as `opened`."""
    return np.asarray(read_image(path, frame))


def read_image(path: Path, frame: Frame = "viewed") -> Image.Image:
    """The same as Pillow's picture, mode RGB: to resize, its pixels need not be copied to an array and back."""
    return decode(path, frame).image


def decode(path: Path, frame: Frame = "viewed") -> Decoded:
    """The same, and how it differs from the file."""
    with open_photo(path) as photo:
        return photo.decode(frame)


def read_reduced(path: Path, frame: Frame, scale: float) -> np.ndarray:
    """A photograph for looking at only, uint8 (h, w, 3) RGB: all of it, at `scale` (0..1) of its size or larger.

    A JPEG is decoded at the eighth, quarter or half that is large enough, much faster than in full. Raises as `opened`.
    """
    with open_photo(path) as photo:
        photo.image.draft(None, (math.ceil(photo.image.width * scale), math.ceil(photo.image.height * scale)))
        return np.asarray(photo.decode(frame).image)


def read_size(path: Path) -> tuple[tuple[int, int], int]:
    """The stored (height, width) and the EXIF orientation (1 where there is none), from the header alone.

    Raises AnnotationError as `opened` does.
    """
    with open_photo(path) as photo:
        return photo.stored_hw, photo.orientation


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file. Raises OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def suffix(path: Path) -> str:
    """What a photograph's file ends in; inside an annotation file, what its format's files do. Raises as `opened`."""
    if not is_embedded(path):
        return path.suffix
    with open_photo(path) as photo:
        return ".jpg" if photo.image.format in ("JPEG", "MPO") else f".{str(photo.image.format).lower()}"


def orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8 of an opened image; 1 where it is absent or no such number."""
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def viewed_hw(stored_hw: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) after the EXIF orientation is applied."""
    return (stored_hw[1], stored_hw[0]) if orientation in _TURNED else stored_hw


def _file(path: Path) -> tuple[Stamp, File]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for ever
            raise AnnotationError("is no regular file; replace or remove it", "unreadable")
        # the stamp first: what changes the file from here on changes its stamp too
        return stamp_of(path), io.BytesIO(embedded_file(path)) if is_embedded(path) else path.open("rb")
    except FileNotFoundError:
        raise AnnotationError("no such file; restore it or remove its record", "missing_file") from None
    except (OSError, MemoryError) as error:
        machine.raise_if_machine_fault(error, str(path))
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> AnnotationError:
    problem = (isinstance(error, OSError) and error.strerror) or str(error)  # without the way to the file
    what = " ".join(problem.split()) or type(error).__name__
    return AnnotationError(f"cannot be decoded ({what}); replace or remove the file", "unreadable")


def _image(file: File, path: Path) -> ImageFile:
    try:
        image = Image.open(file)
    except UnidentifiedImageError as error:
        machine.raise_if_machine_fault(error, str(path), file)
        raise _not_a_picture(file, path) from None
    if image.format not in FORMATS:
        raise _unsupported(f"{image.format} pictures")
    if image.width * image.height > MAX_PIXELS:
        problem = f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}; cut it into parts"
        raise AnnotationError(problem, "unreadable")
    if image.mode == "F":
        raise _unsupported("pictures of floating-point numbers, whose range is not known,")
    if isinstance(image, TiffImageFile) and not tiffs.set_raw_modes(image):
        raise _unsupported_tiff(tiffs.layout(file))
    return image


def _not_a_picture(file: File, path: Path) -> AnnotationError:
    if layout := tiffs.layout(file):
        return _unsupported_tiff(layout)
    if path.suffix.lower() in SUPPORTED_SUFFIXES or is_embedded(path):
        return AnnotationError("holds no picture; replace or remove the file", "unreadable")
    return _unsupported(f"{path.suffix or 'such'} files")


def _is_turned_by_pillow(image: ImageFile) -> bool:
    """Whether loading it applies its orientation, and opening it tells the size after that."""
    return isinstance(image, TiffImageFile)


def _unsupported(what: str) -> AnnotationError:
    return AnnotationError(f"{what} are not supported; convert it to JPEG or PNG", "unsupported_format")


def _unsupported_tiff(layout: str) -> AnnotationError:
    remedy = "write grey values, or red, green and blue pixel by pixel, of 8 or 16 bits"
    return AnnotationError(f"{layout} are not supported; {remedy}", "unsupported_format")


def viewed_wh(path: Path) -> tuple[int, int]:
    """Width and height in pixels as a viewer shows it (EXIF applied). Raises AnnotationError (image_lost)."""
    try:
        with Image.open(path) as picture:
            return _viewed_wh(picture)
    except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
        machine.raise_if_machine_fault(error, str(path), path)
        problem = f"the size of {path.name} cannot be read ({type(error).__name__})"
        raise AnnotationError(f"{problem}; restore the picture", "image_lost") from error


def _viewed_wh(image: ImageFile) -> tuple[int, int]:
    if _is_turned_by_pillow(image):
        return image.size
    height, width = viewed_hw((image.height, image.width), orientation(image))
    return width, height


IMAGE_DATA = "imageData"
_EMBEDDED_SUFFIX = ".json"
_EMBEDDED_HEAD = 1 << 17  # characters of base64 that the size of nearly every picture stands in
_EMBEDDED_REMEDY = "export it again, or put the photograph beside it as a file"


def is_embedded(path: Path) -> bool:
    """Whether a path of a photograph is that of an annotation file which holds it."""
    return path.suffix.lower() == _EMBEDDED_SUFFIX


def embedded_file(path: Path) -> bytes:
    """The picture file in an annotation file.

    Raises FileNotFoundError, and AnnotationError (unreadable, or unsupported_format where there is none in it).
    """
    try:
        return _decoded(embedded_text(path))
    except (ValueError, binascii.Error) as error:
        raise AnnotationError(f"its {IMAGE_DATA} is not base64 ({error}); {_EMBEDDED_REMEDY}", "unreadable") from error


def embedded_text(path: Path) -> str:
    """The base64 text of the photograph in an annotation file. Raises as embedded_file."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"is not valid JSON ({error}); {_EMBEDDED_REMEDY}", "unreadable") from error
    text = image_data_of(document)
    if not text:
        raise AnnotationError(
            f"{_EMBEDDED_SUFFIX} files without {IMAGE_DATA} hold no photograph; {_EMBEDDED_REMEDY}",
            "unsupported_format",
        )
    return text


def image_data_of(document: Any) -> str:
    """The base64 text of the photograph in an annotation document, "" if it has none."""
    text = document.get(IMAGE_DATA) if isinstance(document, dict) else None
    return text if isinstance(text, str) else ""


def embedded_size_wh(text: str) -> tuple[int, int] | None:
    """Width and height of the picture that a base64 text holds, as a viewer shows it; None if that cannot be told."""
    for part in (text[:_EMBEDDED_HEAD], text):
        try:
            with Image.open(io.BytesIO(_decoded(part))) as picture:
                return _viewed_wh(picture)
        except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
            machine.raise_if_machine_fault(error, f"the picture of {IMAGE_DATA}")
    return None


def _decoded(text: str) -> bytes:
    """The bytes of base64, also with "data:image/png;base64," before it."""
    bare = text.partition(",")[2] if text.startswith("data:") else text
    return base64.b64decode(bare.encode("ascii"))
