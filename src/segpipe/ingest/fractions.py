"""Coordinates that are fractions of the picture in a format of pixels, which all of one file together show."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from segpipe.core.errors import UserError
from segpipe.data.records import Image, Instance

REASON = "fractions"
PROBLEM = (
    "all its coordinates lie between 0 and 1, so they are fractions of the picture, and the format has pixels; "
    "multiply them by width and height, or export it again in pixels"
)
_PAST = 0.1  # of the picture: what an outline may reach past the border


def are_all(rings: Sequence[Sequence[float]]) -> bool:
    """Whether flat lists x, y ... hold fractions; read as pixels, each would be one pixel in the corner.

    Whole numbers alone may be pixels. One number above 1.1 shows that all are.
    """
    if not all(-_PAST <= number <= 1 + _PAST for number in chain.from_iterable(rings)):
        return False
    return any(number != int(number) for number in chain.from_iterable(rings))


def refuse(file: str, instances: Iterable[Instance]) -> None:
    """Raise UserError for an annotation file of all pictures whose outlines and boxes are in fractions."""
    if are_all(_rings(instances)):
        raise UserError(f"{file}: {PROBLEM}")


def with_problem(image: Image, instances: Iterable[Instance]) -> Image:
    """The image of an annotation file, with the problem where its outlines and boxes are in fractions."""
    return replace(image, problem=REASON, detail=PROBLEM) if are_all(_rings(instances)) else image


def _rings(instances: Iterable[Instance]) -> list[Sequence[float]]:
    return [ring for instance in instances for ring in (*instance.rings, *instance.holes)]
