"""The size of a photograph, from its header."""

from pathlib import Path

from PIL import Image

from segpipe.core import machine
from segpipe.core.errors import AnnotationError

_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)  # EXIF 2.32, tag Orientation: rows and columns change places


def viewed_wh(path: Path) -> tuple[int, int]:
    """Width and height in pixels as a viewer shows it (EXIF applied). Raises AnnotationError (image_lost)."""
    try:
        with Image.open(path) as picture:
            return viewed_wh_of(picture)
    except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
        machine.stop_if_at_fault(error, str(path), path)
        problem = f"the size of {path.name} cannot be read ({type(error).__name__})"
        raise AnnotationError(f"{problem}; restore the picture", "image_lost") from error


def viewed_wh_of(picture: Image.Image) -> tuple[int, int]:
    """The same of an opened picture."""
    width, height = picture.size
    if picture.format == "TIFF":  # Pillow tells the size after the turn
        return width, height
    orientation = picture.getexif().get(_ORIENTATION, 1)
    return (height, width) if orientation in _LYING else (width, height)
