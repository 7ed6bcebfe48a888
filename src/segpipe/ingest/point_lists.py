"""Points out of JSON or XML, checked before they are believed. What is none raises AnnotationError (bad_ring)."""

import reprlib
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.ingest import values
from segpipe.masks.geometry import Ring


def flat(points: Any, least: int) -> Ring:
    """A list of at least `least` points [x, y] as flat x, y ..."""
    if not isinstance(points, list):
        raise AnnotationError(f"points {reprlib.repr(points)} are no list; draw it again or delete it", "bad_ring")
    for position, point in enumerate(points):
        if not isinstance(point, list) or len(point) != 2 or not values.are_numbers(point):
            problem = f"points[{position}] {reprlib.repr(point)} is not [x, y] in pixels"
            raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
    return enough(tuple(float(number) for point in points for number in point), least)


def pairs(xs: Any, ys: Any, least: int) -> Ring:
    """Two lists of equal length, x and y of at least `least` points, as flat x, y ..."""
    if not (isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys)):
        raise AnnotationError("its x and y are no lists of equal length; draw it again or delete it", "bad_ring")
    return flat([[x, y] for x, y in zip(xs, ys, strict=True)], least)


def numbers(record: dict[str, Any], *keys: str) -> list[float]:
    """The values of `keys`, each a number of pixels."""
    wrong = next((key for key in keys if not values.is_number(record.get(key))), None)
    if wrong is not None:
        problem = f"{wrong} {reprlib.repr(record.get(wrong))} is not a number of pixels"
        raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
    return [float(record[key]) for key in keys]


def enough(ring: Ring, least: int) -> Ring:
    """The ring itself if it has `least` points or more."""
    if len(ring) // 2 < least:
        problem = f"{len(ring) // 2} points are too few, it takes {least} or more"
        raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
    return ring
