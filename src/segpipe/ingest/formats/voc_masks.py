"""A class mask and an object mask, laid over each other: which class each object is of, and what lies beyond them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segpipe.core.errors import AnnotationError
from segpipe.data.classes import voc_colours
from segpipe.data.records import Rle
from segpipe.ingest.mask_surveys import Survey, survey_of
from segpipe.masks import rle
from segpipe.masks.mask_files import Stored, colour_number, read_stored

_VOID_NUMBER = 255
_VOID_COLOUR = colour_number(voc_colours(256)[255])


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """The masks of one photograph. object_file: as the source names it; boxes: left, top, right, bottom in pixels."""

    class_mask: Path
    object_mask: Path | None
    object_file: str
    boxes: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """What of a class lies beyond all objects; rle: None where nothing does."""

    pixels: int
    rle: Rle | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlay:
    """classes: what the class mask stores; object_problem: why the object mask is of no use, "" if it is or is none.

    objects: by object value its pixels by class value; beyond: by class value what no object covers, left out where
    no object covers any of it; in_boxes: the class values in each box.
    """

    classes: Survey
    object_file: str = ""
    object_problem: str = ""
    objects: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    beyond: Mapping[int, Rest] = field(default_factory=dict)
    in_boxes: tuple[tuple[int, ...], ...] = ()


def overlay(pair: Pair) -> Overlay:
    """Read both masks; never raises for what the files hold."""
    try:
        stored = read_stored(pair.class_mask)
    except AnnotationError as error:
        return Overlay(classes=Survey(problem=str(error)))
    found = survey_of(stored)
    in_boxes = tuple(_inside(stored.values, box) for box in pair.boxes)
    if pair.object_mask is None:
        return Overlay(classes=found, in_boxes=in_boxes)
    try:
        objects = read_stored(pair.object_mask)
        _refuse_other_size(objects, stored)
    except AnnotationError as error:
        return Overlay(classes=found, object_file=pair.object_file, object_problem=str(error), in_boxes=in_boxes)
    covered = _is_object(objects)
    return Overlay(
        classes=found,
        object_file=pair.object_file,
        objects=_covers(objects.values[covered], stored.values[covered]),
        beyond={value: rest for value, _ in found.pixels if (rest := _rest(stored.values == value, covered))},
        in_boxes=in_boxes,
    )


def _refuse_other_size(objects: Stored, classes: Stored) -> None:
    if objects.values.shape != classes.values.shape:
        (height, width), (class_height, class_width) = objects.values.shape, classes.values.shape
        raise AnnotationError(f"has {width} x {height} pixels, the class mask {class_width} x {class_height}")


def _is_object(stored: Stored) -> np.ndarray:
    void = _VOID_COLOUR if stored.coloured else _VOID_NUMBER
    return (stored.values != 0) & (stored.values != void)


def _covers(objects: np.ndarray, classes: np.ndarray) -> dict[int, dict[int, int]]:
    pairs, counts = np.unique(np.stack([objects, classes]).astype(np.int64), axis=1, return_counts=True)
    found: dict[int, dict[int, int]] = {}
    for value, class_value, pixels in zip(*pairs.tolist(), counts.tolist(), strict=True):
        found.setdefault(value, {})[class_value] = pixels
    return found


def _rest(of_class: np.ndarray, covered: np.ndarray) -> Rest | None:
    """What of a class no object covers; None if that is all of it."""
    beyond = of_class & ~covered
    pixels = int(np.count_nonzero(beyond))
    if pixels == np.count_nonzero(of_class):
        return None
    return Rest(pixels, rle.encode_mask(beyond) if pixels else None)


def _inside(values: np.ndarray, box: tuple[float, float, float, float]) -> tuple[int, ...]:
    height, width = values.shape
    left, top, right, bottom = (
        int(min(max(edge, 0), limit)) for edge, limit in zip(box, (width, height) * 2, strict=True)
    )
    return tuple(np.unique(values[top : bottom + 1, left : right + 1]).tolist())
