"""Files whose coordinates are fractions of the image although their format uses pixels.

This shows only in all coordinates of a file together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from segpipe.core.errors import UserError
from segpipe.data.records import Image, Instance

REASON = "fractions"
PROBLEM = (
    "all its coordinates are between 0 and 1, so they are fractions of the image, but the format uses pixels; "
    "multiply them by width and height, or export it again in pixels"
)
_MARGIN = 0.1  # of the image size: how far an outline may reach past the border


def are_all(rings: Sequence[Sequence[float]]) -> bool:
    """Whether all coordinates of the rings x, y, x, y ... are fractions: from -0.1 to 1.1, and not only whole numbers.

    >>> are_all([(0.25, 0.25, 0.75, 0.25, 0.75, 0.75)]), are_all([(0, 0, 1, 0, 1, 1)]), are_all([(0.5, 0.5, 1.5, 0.5)])
    (True, False, False)
    """
    if not all(-_MARGIN <= number <= 1 + _MARGIN for number in chain.from_iterable(rings)):
        return False
    return any(number != int(number) for number in chain.from_iterable(rings))


def refuse(file: str, instances: Iterable[Instance]) -> None:
    """Raise UserError if all shapes of an annotation file for many images are in fractions."""
    if are_all(_rings(instances)):
        raise UserError(f"{file}: {PROBLEM}")


def with_problem(image: Image, instances: Iterable[Instance]) -> Image:
    """The image of an annotation file; with the problem `fractions`, if all its shapes are in fractions."""
    return replace(image, problem=REASON, detail=PROBLEM) if are_all(_rings(instances)) else image


def _rings(instances: Iterable[Instance]) -> list[Sequence[float]]:
    return [ring for instance in instances for ring in (*instance.rings, *instance.holes)]
