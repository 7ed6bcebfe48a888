"""Photographs that stand inside annotation files: LabelMe's imageData, a picture file as base64."""

import base64
import binascii
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from segpipe.core import machine
from segpipe.core.errors import AnnotationError
from segpipe.data.picture_sizes import viewed_wh_of

KEY = "imageData"
_SUFFIX = ".json"
_HEAD = 1 << 17  # characters of base64 that the size of nearly every picture stands in
_REMEDY = "export it again, or put the photograph beside it as a file"


def is_inside(path: Path) -> bool:
    """Whether a path of a photograph is that of an annotation file which holds it."""
    return path.suffix.lower() == _SUFFIX


def picture_file(path: Path) -> bytes:
    """The picture file in an annotation file.

    Raises FileNotFoundError, and AnnotationError (unreadable, or unsupported_format where there is none in it).
    """
    try:
        return _decoded(text_in(path))
    except (ValueError, binascii.Error) as error:
        raise AnnotationError(f"its {KEY} is not base64 ({error}); {_REMEDY}", "unreadable") from error


def text_in(path: Path) -> str:
    """The base64 text of the photograph in an annotation file. Raises as picture_file."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"is not valid JSON ({error}); {_REMEDY}", "unreadable") from error
    text = text_of(document)
    if not text:
        raise AnnotationError(f"{_SUFFIX} files without {KEY} hold no photograph; {_REMEDY}", "unsupported_format")
    return text


def text_of(document: Any) -> str:
    """The base64 text of the photograph in an annotation document, "" if it has none."""
    text = document.get(KEY) if isinstance(document, dict) else None
    return text if isinstance(text, str) else ""


def size_wh(text: str) -> tuple[int, int] | None:
    """Width and height of the picture that a base64 text holds, as a viewer shows it; None if that cannot be told."""
    for part in (text[:_HEAD], text):
        try:
            with Image.open(io.BytesIO(_decoded(part))) as picture:
                return viewed_wh_of(picture)
        except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
            machine.stop_if_at_fault(error, f"the picture of {KEY}")
    return None


def _decoded(text: str) -> bytes:
    """The bytes of base64, also with "data:image/png;base64," before it."""
    bare = text.partition(",")[2] if text.startswith("data:") else text
    return base64.b64decode(bare.encode("ascii"))
