"""Typed values from the JSON and XML of annotation files, and the fields of an instance while its record is read.

Every value is checked before it is used. A value that cannot be used raises AnnotationError, whose reason is bad_record
unless the docstring names another.
"""

import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, TypeVarTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from segpipe.core import machine
from segpipe.core.errors import AnnotationError
from segpipe.core.plurals import counted
from segpipe.data.records import FLAGS
from segpipe.ingest.source import Source
from segpipe.masks.geometry import Ring
from segpipe.masks.mask_files import MAX_PIXELS

Id = int | str
Value = TypeVar("Value")
Default = TypeVar("Default")
Arguments = TypeVarTuple("Arguments")

NO_FIELDS: Mapping[str, Any] = MappingProxyType({})

UNKNOWN = "unknown_category"
_EXPORT_AGAIN = "export it again, or remove it from the source"
_DRAW_AGAIN = "draw it again or delete it"
_MAX_NUMBER = 2**31 - 1  # pycocotools and the tables store 32-bit integers
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")  # "007" is a name, not the number 7
_RAISED = frozenset({"1", "true", "yes", "on"})
_ABSENT = object()


# Files


def file_bytes(path: Path) -> bytes:
    """The content of a file, or b"" if it cannot be read: enough to distinguish formats."""
    try:
        return path.read_bytes()
    except OSError as error:
        machine.raise_if_machine_fault(error, str(path))
        return b""


def parsed_json(data: bytes | str, pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON document. Errors do not name the file.

    pairs_hook: json.loads calls it with the pairs of each object, instead of making a dict.
    """
    try:
        return json.loads(data, object_pairs_hook=pairs_hook)
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})"
        raise AnnotationError(f"{problem}; {_EXPORT_AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"not valid JSON ({error}); {_EXPORT_AGAIN}") from error


def json_document(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Errors do not name the file."""
    return json_object(parsed_json(_content(path)))


def xml_root(source: Source, file: str) -> Element:
    """The root element of an XML file, read without entities and external references. Errors do not name the file."""
    try:
        root: Element = ElementTree.fromstring(_content(source.root / file))
    except DefusedXmlException as error:
        problem = f"defines entities or external references ({type(error).__name__}), which are never followed"
        raise AnnotationError(f"{problem}; remove them") from error
    except ParseError as error:
        line, column = error.position
        problem = f"line {line}, column {column + 1}: not valid XML ({str(error).split(':')[0]})"
        raise AnnotationError(f"{problem}; {_EXPORT_AGAIN}") from error
    except (ValueError, LookupError, RecursionError) as error:  # ValueError, LookupError: an unknown encoding
        raise AnnotationError(f"not valid XML ({error}); {_EXPORT_AGAIN}") from error
    return root


def file_problem(source: Source, file: str) -> str:
    """Why a .json or .xml file cannot be parsed; "" if it can, and for other files."""
    try:
        if file.lower().endswith(".json"):
            json_document(source.root / file)
        elif file.lower().endswith(".xml"):
            xml_root(source, file)
    except AnnotationError as error:
        return str(error)
    return ""


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        machine.raise_if_machine_fault(error, str(path))
        raise AnnotationError(f"cannot be read ({error.strerror}); restore it or remove it from the source") from error


# Values of a record


def json_object(entry: Any) -> dict[str, Any]:
    """The entry, which must be a JSON object."""
    if not isinstance(entry, dict):
        raise AnnotationError(f"{reprlib.repr(entry)} is not an object; export it again")
    return entry


def object_or_empty(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else {}."""
    return value if isinstance(value, dict) else {}


def json_list(document: dict[str, Any], key: str) -> list[Any]:
    """The value of `key`, which must be a list."""
    value = document.get(key)
    if not isinstance(value, list):
        raise AnnotationError(f"has no list {key!r}; {_EXPORT_AGAIN}")
    return value


def required_text(record: dict[str, Any], key: str) -> str:
    """The value of `key`, which must be a text that is not blank and can be encoded in UTF-8."""
    value = record.get(key, _ABSENT)
    if value is _ABSENT:
        raise AnnotationError(f"has no {key}; add it")
    if not isinstance(value, str) or not value.strip() or not _is_encodable(value):
        raise AnnotationError(f"{key} {reprlib.repr(value)} is not a name; correct it")
    return value


def record_id(record: dict[str, Any], key: str) -> Id:
    """The id under `key`: an int for a whole number, also for "12" and 12.0; else a text that is not blank.

    >>> [record_id({"id": value}, "id") for value in (12, 12.0, "12", "012", "car")]
    [12, 12, 12, '012', 'car']
    """
    value = record.get(key, _ABSENT)
    if value is _ABSENT:
        raise AnnotationError(f"has no {key}; add it")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise AnnotationError(f"{key} {reprlib.repr(value)} is neither a number nor a text; correct it")
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else required_text(record, key)
    if isinstance(value, float) and not value.is_integer():  # NaN and infinity too
        raise AnnotationError(f"{key} {value} is not a whole number; correct it")
    return int(value)


def optional_id(entry: Any) -> Id | None:
    """The id of an entry, or None if the entry has no valid id."""
    try:
        return record_id(json_object(entry), "id")
    except AnnotationError:
        return None


def xml_text(element: Element, path: str) -> str:
    """The text of the first element at `path` below `element`, stripped; "" if there is no such element."""
    return (element.findtext(path) or "").strip()


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


# Numbers, sizes and points


def number_or_nan(text: str) -> float:
    """The number that a text contains, or NaN if the text is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def int_or_text(text: str | None) -> int | str | None:
    """The whole number that a text contains in digits, else the text itself, for checks of declared values."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 18 else text


def is_number(value: Any) -> bool:
    """Whether the value is an int or float that can count pixels: not a bool, not NaN, at most 2**31 - 1 in size."""
    return type(value) in (int, float) and abs(value) <= _MAX_NUMBER


def are_numbers(values: list[Any]) -> bool:
    """Whether is_number is true for each value; built-in functions make it fast for long lists."""
    if not set(map(type, values)) <= {int, float}:
        return False
    return not values or (min(values) >= -_MAX_NUMBER and max(values) <= _MAX_NUMBER and not math.isnan(sum(values)))


def is_whole(value: Any, minimum: int) -> bool:
    """Whether the value is a whole number from `minimum` to 2**31 - 1; 12.0 is such a number."""
    return is_number(value) and value == int(value) and value >= minimum


def declared_size(height: Any, width: Any) -> dict[str, Any]:
    """The fields height and width of an Image, if both are positive whole numbers.

    Without both: no fields. With any other value: the field `detail`, which says why the size is not used.
    """
    if height is None and width is None:
        return {}
    if is_whole(height, minimum=1) and is_whole(width, minimum=1):
        return {"height": int(height), "width": int(width)}
    size = f"{reprlib.repr(width)} x {reprlib.repr(height)}"
    return {"detail": f"the declared size {size} is not used: width and height must be positive whole numbers"}


def frame_hw(height: Any, width: Any) -> tuple[int, int]:
    """The declared size of the frame of a mask. Raises AnnotationError (bad_rle) for an impossible size."""
    if is_whole(height, minimum=1) and is_whole(width, minimum=1) and height * width <= MAX_PIXELS:
        return int(height), int(width)
    problem = f"the file declares an image of {reprlib.repr(width)} x {reprlib.repr(height)} pixels"
    raise AnnotationError(f"{problem}, so its mask cannot be placed; export it again", "bad_rle")


def pixel_numbers(record: dict[str, Any], *keys: str) -> list[float]:
    """The values of `keys`, each a number of pixels. Raises AnnotationError (bad_ring)."""
    wrong = next((key for key in keys if not is_number(record.get(key))), None)
    if wrong is not None:
        problem = f"{wrong} {reprlib.repr(record.get(wrong))} is not a number of pixels"
        raise AnnotationError(f"{problem}; {_DRAW_AGAIN}", "bad_ring")
    return [float(record[key]) for key in keys]


def ring_of_points(points: Any, minimum: int) -> Ring:
    """The points [[x, y], ...] as one flat ring x, y, x, y ... Raises AnnotationError (bad_ring).

    minimum: the number of points that the ring must have.

    >>> ring_of_points([[0, 0], [4, 0], [4, 3]], minimum=3)
    (0.0, 0.0, 4.0, 0.0, 4.0, 3.0)
    """
    if not isinstance(points, list):
        raise AnnotationError(f"points {reprlib.repr(points)} is not a list; {_DRAW_AGAIN}", "bad_ring")
    for position, point in enumerate(points):
        if not isinstance(point, list) or len(point) != 2 or not are_numbers(point):
            problem = f"points[{position}] {reprlib.repr(point)} is not [x, y] in pixels"
            raise AnnotationError(f"{problem}; {_DRAW_AGAIN}", "bad_ring")
    return long_enough(tuple(float(number) for point in points for number in point), minimum)


def ring_of_axes(xs: Any, ys: Any, minimum: int) -> Ring:
    """The lists of all x and of all y as one flat ring x, y, x, y ... Raises AnnotationError (bad_ring)."""
    if not (isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys)):
        raise AnnotationError(f"its x and y are not two lists of equal length; {_DRAW_AGAIN}", "bad_ring")
    return ring_of_points([[x, y] for x, y in zip(xs, ys, strict=True)], minimum)


def single_points(ring: Ring) -> tuple[Ring, ...]:
    """Each point of a ring as a ring of one point."""
    return tuple(ring[start : start + 2] for start in range(0, len(ring), 2))


def long_enough(ring: Ring, minimum: int) -> Ring:
    """The ring itself, if it has at least `minimum` points. Raises AnnotationError (bad_ring)."""
    if len(ring) // 2 < minimum:
        problem = f"{counted(len(ring) // 2, 'point')} instead of {minimum} or more"
        raise AnnotationError(f"{problem}; {_DRAW_AGAIN}", "bad_ring")
    return ring


# The fields of an instance while its record is read


class Fields:
    """The fields of one record, read one after another, and the first problem of the record.

    After an error every field gets its default. One exception: after unknown_category reading goes on, since the shape
    of an object without a class may be shown.

    >>> fields = Fields.of_object({"label": "cat", "x": "five"})
    >>> fields.read(required_text, "label", default=""), fields.read(pixel_numbers, "x", default=[])
    ('cat', [])
    >>> fields.problem, fields.detail
    ('bad_ring', "x 'five' is not a number of pixels; draw it again or delete it")
    """

    def __init__(self, record: Any) -> None:
        self.problem = ""  # the reason code of the first problem
        self.detail = ""  # that problem in words; without a problem, the detail of the fields read together
        self._record = record
        self._is_closed = False  # an error other than unknown_category occurred

    @classmethod
    def of_object(cls, entry: Any) -> "Fields":
        """The fields of a JSON object. An entry of another type is a problem."""
        fields = cls(entry)
        fields._record = fields.read(json_object, default={})
        return fields

    def read(
        self, read: Callable[[Any, *Arguments], Value], *arguments: *Arguments, default: Default
    ) -> Value | Default:
        """The result of `read(record, *arguments)`, or the default if it raises AnnotationError or was not called."""
        if self._is_closed:
            return default
        try:
            return read(self._record, *arguments)
        except AnnotationError as error:
            self._is_closed = error.reason != UNKNOWN
            if not self.problem:
                self.problem, self.detail = error.reason, str(error)
            return default

    def read_together(
        self,
        read: Callable[[Any, *Arguments], dict[str, Any]],
        *arguments: *Arguments,
        default: Mapping[str, Any] = NO_FIELDS,
    ) -> dict[str, Any]:
        """Several fields of an Instance by name. A field `detail` becomes the detail, unless there is a problem."""
        fields = dict(self.read(read, *arguments, default=dict(default)))
        detail = fields.pop("detail", "")
        self.detail = self.detail or detail
        return fields


def raised_flags(pairs: Iterable[tuple[Any, Any]]) -> tuple[str, ...]:
    """The names among FLAGS that pairs of name and value set, in the order of FLAGS.

    >>> raised_flags([("Difficult", "yes"), ("occluded", 0), ("colour", True)])
    ('difficult',)
    """
    set_names = {str(name).strip().casefold() for name, value in pairs if _is_raised(value)}
    return tuple(flag for flag in FLAGS if flag in set_names)


def _is_raised(value: Any) -> bool:
    return value is True or str(value).strip().casefold() in _RAISED
