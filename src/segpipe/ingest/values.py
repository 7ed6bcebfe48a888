"""Values out of JSON, checked before they are believed. What cannot be read raises AnnotationError (bad_record)."""

import math
import re
import reprlib
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.masks.mask_files import MAX_PIXELS

Id = int | str

_LARGEST = 2**31 - 1  # of what pycocotools and the tables hold as 32-bit integers
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")  # "007" is no 7: such texts are names
_ABSENT = object()


def json_object(entry: Any) -> dict[str, Any]:
    """The entry as a JSON object."""
    if not isinstance(entry, dict):
        raise AnnotationError(f"{reprlib.repr(entry)} is not an object; export it again")
    return entry


def text(record: dict[str, Any], key: str) -> str:
    """A text that is not blank and that UTF-8 can hold."""
    value = record.get(key, _ABSENT)
    if value is _ABSENT:
        raise AnnotationError(f"has no {key}; add it")
    if not isinstance(value, str) or not value.strip() or not _is_encodable(value):
        raise AnnotationError(f"{key} {reprlib.repr(value)} is no name; mend it")
    return value


def record_id(record: dict[str, Any], key: str) -> Id:
    """An id: a whole number, also one written as text ("12") or with a point (12.0), or any other text ("012")."""
    value = record.get(key, _ABSENT)
    if value is _ABSENT:
        raise AnnotationError(f"has no {key}; add it")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise AnnotationError(f"{key} {reprlib.repr(value)} is neither a number nor a text; mend it")
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else text(record, key)
    if isinstance(value, float) and not value.is_integer():  # NaN and infinity are none either
        raise AnnotationError(f"{key} {value} is not a whole number; mend it")
    return int(value)


def optional_id(entry: Any) -> Id | None:
    """The entry's own id, None where there is none that can be read."""
    try:
        return record_id(json_object(entry), "id")
    except AnnotationError:
        return None


def is_number(value: Any) -> bool:
    """Whether it is a number that can count pixels: no boolean, no NaN, at most 2**31 - 1 in size."""
    return type(value) in (int, float) and abs(value) <= _LARGEST


def are_numbers(values: list[Any]) -> bool:
    """Whether each of them is such a number; for long lists, at the speed of built-in functions."""
    if not set(map(type, values)) <= {int, float}:
        return False
    return not values or (min(values) >= -_LARGEST and max(values) <= _LARGEST and not math.isnan(sum(values)))


def is_whole(value: Any, least: int) -> bool:
    """Whether it is a whole number, also one written as 12.0, from `least` to 2**31 - 1."""
    return is_number(value) and value == int(value) and value >= least


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def frame_hw(height: Any, width: Any) -> tuple[int, int]:
    """The declared frame of a mask. Raises AnnotationError (bad_rle) if the file does not say it."""
    if is_whole(height, least=1) and is_whole(width, least=1) and height * width <= MAX_PIXELS:
        return int(height), int(width)
    problem = f"the file declares a picture of {reprlib.repr(width)} x {reprlib.repr(height)} pixels"
    raise AnnotationError(f"{problem}, so that its mask has no place; export it again", "bad_rle")
