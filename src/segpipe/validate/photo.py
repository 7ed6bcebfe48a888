"""One photo: decoded once, in the frame that its record means."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Picture

from segpipe.core.errors import AnnotationError
from segpipe.data import duplicates, photos
from segpipe.data.records import Frame, Image, Photo
from segpipe.data.rgb import Change


@dataclass(frozen=True, slots=True)
class Seen:
    """The facts about a decoded photo."""

    photo: Photo
    changes: tuple[Change, ...]  # how its pixels differ from those of the file
    fingerprint: bytes  # `duplicates.fingerprint` of its pixels; empty if it was not asked for


# The facts about the photo of a record; the second argument: its pixels are needed. Raises AnnotationError.
Look = Callable[[Image, bool], Seen]


def decode(root: Path, image: Image, with_fingerprint: bool) -> tuple[Seen, Picture.Image]:
    """The facts about a record's photo, and its pixels as Pillow's image, mode RGB.

    root: the source folder. Raises AnnotationError if the file cannot be decoded, or has another size than the record.
    """
    with photos.open_photo(root / image.file) as opened:
        frame, undecidable = _frame(image, opened.stored_hw, opened.orientation)
        decoded, sha256 = opened.decode(frame), opened.sha256()
    photo = Photo(
        key=image.key,
        file=image.file,
        split=image.split,
        width=decoded.image.width,
        height=decoded.image.height,
        frame=frame,
        orientation=opened.orientation,
        undecidable=undecidable,
        sha256=sha256,
        background=False,
    )
    fingerprint = duplicates.fingerprint(decoded.image) if with_fingerprint else b""
    return Seen(photo, decoded.changes, fingerprint), decoded.image


def _frame(image: Image, stored_hw: tuple[int, int], orientation: int) -> tuple[Frame, bool]:
    """The frame with the declared size (as viewed if both frames have it), and whether both have it."""
    viewed_hw = photos.viewed_hw(stored_hw, orientation)
    declared = (image.height, image.width)
    if None in declared or declared == viewed_hw:
        return "viewed", orientation != 1 and None not in declared and viewed_hw == stored_hw
    if declared == stored_hw:
        return "stored", False
    note = f" ({image.detail})" if image.detail else ""
    problem = f"the annotation declares {image.width} x {image.height} pixels, {image.file} has"
    raise AnnotationError(
        f"{problem} {viewed_hw[1]} x {viewed_hw[0]}{note}; export the annotation for this file", "size_mismatch"
    )
