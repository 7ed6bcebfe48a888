"""The shape elements of CVAT's XML as fields of an Instance: one small function each."""

import reprlib
from collections.abc import Callable, Mapping
from xml.etree.ElementTree import Element

import numpy as np

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Rle
from segpipe.ingest.parsing import Fields, are_numbers, is_number, long_enough, number_or_nan, raised_flags
from segpipe.masks import geometry, rle
from segpipe.masks.geometry import Ring
from segpipe.masks.mask_files import MAX_PIXELS

_REMARKS_LENGTH = 200
_NO_REGIONS = {"cuboid": "a cuboid", "skeleton": "a skeleton", "tag": "a tag of the whole image"}


def drawn(element: Element, size_hw: tuple[int, int] | None) -> Fields:
    """The fields that say where a shape is. size_hw: of its image, None if that is not declared.

    Raises AnnotationError.
    """
    if element.tag == "mask":
        return {"rle": _mask(element, size_hw)}
    if element.tag in _DRAWN:
        return _DRAWN[element.tag](element)
    if element.tag in _NO_REGIONS:
        problem = f"{_NO_REGIONS[element.tag]} is no region; draw the object's outline or delete it"
        raise AnnotationError(problem, "not_a_region")
    raise AnnotationError(f"the shape {element.tag!r} is unknown; draw the object's outline or delete it")


def noted(element: Element) -> Fields:
    """Its flags, and those and its attributes in words."""
    pairs = [(a.get("name", ""), (a.text or "").strip()) for a in element.iterfind("attribute")]
    occluded = ["occluded"] if element.get("occluded") == "1" else []
    words = [*occluded, *(f"{name}: {value}" for name, value in pairs)]
    flags = raised_flags([*pairs, ("occluded", element.get("occluded"))])
    return {"flags": flags, "detail": ", ".join(words)[:_REMARKS_LENGTH]}


def _box(element: Element) -> Fields:
    left, top, right, bottom = (_number(element, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    ring = geometry.rotated(geometry.box(left, top, right, bottom), _number(element, "rotation", 0.0))
    return {"kind": "box", "rings": (ring,)}


def _ellipse(element: Element) -> Fields:
    x, y, radius_x, radius_y = (_number(element, key) for key in ("cx", "cy", "rx", "ry"))
    return {"rings": (geometry.ellipse(x, y, radius_x, radius_y, _number(element, "rotation", 0.0)),)}


def _polygon(element: Element) -> Fields:
    return {"rings": (long_enough(_points(element), 3),)}


def _polyline(element: Element) -> Fields:
    return {"kind": "line", "rings": (long_enough(_points(element), 2),)}


def _point_set(element: Element) -> Fields:
    ring = long_enough(_points(element), 1)
    return {"kind": "point", "rings": tuple(ring[i : i + 2] for i in range(0, len(ring), 2))}


_DRAWN: Mapping[str, Callable[[Element], Fields]] = {
    "box": _box,
    "ellipse": _ellipse,
    "polygon": _polygon,
    "polyline": _polyline,
    "points": _point_set,
}


def _points(element: Element) -> Ring:
    """The text "x,y;x,y" as flat x, y ..."""
    numbers: list[float] = []
    for position, pair in enumerate((element.get("points") or "").split(";")):
        parts = [number_or_nan(part) for part in pair.split(",")]
        if len(parts) != 2 or not are_numbers(parts):
            problem = f"points: the {position + 1}. of them, {reprlib.repr(pair)}, is not x,y in pixels"
            raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
        numbers += parts
    return tuple(numbers)


def _number(element: Element, key: str, default: float | None = None) -> float:
    number = default if key not in element.attrib and default is not None else number_or_nan(element.get(key, ""))
    if not is_number(number):
        problem = f"{key} {reprlib.repr(element.get(key))} is no number of pixels or degrees"
        raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
    return number


def _mask(element: Element, size_hw: tuple[int, int] | None) -> Rle:
    """CVAT's run lengths are those of a crop, row by row, the first counts zeros; COCO's are column by column."""
    if size_hw is None:
        raise AnnotationError("its image declares no width and height, so that its mask has no place", "bad_rle")
    left, top, width, height = (_whole(element, key) for key in ("left", "top", "width", "height"))
    counts = [_run(text) for text in (element.get("rle") or "").split(",")]
    if min(width, height) < 1 or width * height > MAX_PIXELS or sum(counts) != width * height:
        problem = f"the runs of its mask sum up to {sum(counts)}, not to {width} x {height}"
        raise AnnotationError(f"{problem}; export it again", "bad_rle")
    crop = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
    return rle.encode_crop(crop, left, top, size_hw)


def _whole(element: Element, key: str) -> int:
    number = number_or_nan(element.get(key, ""))
    if not is_number(number) or number != int(number):
        problem = f"its mask's {key} {reprlib.repr(element.get(key))} is no whole number"
        raise AnnotationError(f"{problem}; export it again", "bad_rle")
    return int(number)


def _run(text: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit() and len(stripped) < 12):
        raise AnnotationError(f"{reprlib.repr(text)} in its mask's rle is no run length; export it again", "bad_rle")
    return int(stripped)
