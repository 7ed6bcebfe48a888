"""The objects of VOC's Annotations/*.xml: names, flags, boxes, and the outlines that Roboflow adds."""

import logging
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from segpipe.core.errors import AnnotationError
from segpipe.data.records import FLAGS
from segpipe.ingest import fractions
from segpipe.ingest.parsing import (
    UNKNOWN,
    are_numbers,
    is_number,
    is_whole,
    long_enough,
    number_or_nan,
    raised_flags,
    xml_root,
    xml_text,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry
from segpipe.masks.geometry import Ring

logger = logging.getLogger(__name__)

_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, kw_only=True, slots=True)
class VocObject:
    """One object. bounds: left, top, right, bottom in pixels, None if they cannot be read; flags: of records.FLAGS.

    outline: its ring, if the file has one; else ().
    """

    id: str
    place: str
    name: str = ""
    bounds: tuple[float, float, float, float] | None = None
    outline: Ring = ()
    flags: tuple[str, ...] = ()
    problem: str = ""
    detail: str = ""

    @property
    def ring(self) -> Ring:
        """The box's four corners, () where it has none."""
        return geometry.box(*self.bounds) if self.bounds else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One XML file. photo: as it names it; size_hw: as declared, None where not; problem: why nothing can be read."""

    photo: str = ""
    size_hw: tuple[int | None, int | None] = (None, None)
    objects: tuple[VocObject, ...] = ()
    problem: str = ""
    detail: str = ""


def document(source: Source, file: str) -> Document:
    """What an XML file says; a broken one is a Document with a problem."""
    try:
        root = xml_root(source, file)
    except AnnotationError as error:
        return Document(problem=error.reason, detail=str(error))
    found = [
        _object(f"{file}#{n}", f"{file}: object[{n}]", element) for n, element in enumerate(root.iterfind("object"))
    ]
    in_fractions = fractions.are_all([ring for one in found for ring in (one.outline, one.ring)])
    return Document(
        photo=xml_text(root, "filename"),
        size_hw=(_size(root, "height"), _size(root, "width")),
        objects=tuple(found),
        problem=fractions.REASON if in_fractions else "",
        detail=fractions.PROBLEM if in_fractions else "",
    )


def _size(root: Element, key: str) -> int | None:
    number = number_or_nan(xml_text(root, f"size/{key}"))
    return int(number) if is_whole(number, minimum=1) else None  # LabelImg writes 0 where it does not know


def _object(number: str, place: str, element: Element) -> VocObject:
    flags = raised_flags((flag, xml_text(element, flag)) for flag in FLAGS)
    name = xml_text(element, "name")
    bare = VocObject(id=number, place=place, name=name, flags=flags, detail=", ".join(flags))
    if not name:
        bare = replace(bare, problem=UNKNOWN, detail="has no name; give it one or delete it")
    try:
        outline = _outline(element)
        return replace(bare, bounds=_bounds(element, outline), outline=outline)
    except AnnotationError as error:
        return bare if bare.problem else replace(bare, problem=error.reason, detail=str(error))


def _bounds(element: Element, outline: Ring) -> tuple[float, float, float, float]:
    box = element.find("bndbox")
    if box is None and outline:
        return min(outline[::2]), min(outline[1::2]), max(outline[::2]), max(outline[1::2])
    edges = [number_or_nan(xml_text(element, f"bndbox/{key}")) for key in _EDGES]
    wrong = next((key for key, edge in zip(_EDGES, edges, strict=True) if not is_number(edge)), None)
    if wrong is not None:
        text = xml_text(element, f"bndbox/{wrong}")
        raise AnnotationError(f"{wrong} {reprlib.repr(text)} is no number of pixels; mend it or delete it", "bad_ring")
    left, top, right, bottom = edges
    return left, top, right, bottom


def _outline(element: Element) -> Ring:
    """Roboflow's polygon: x1, y1, x2, y2 ... as elements."""
    polygon = element.find("polygon")
    if polygon is None:
        return ()
    numbers = [number_or_nan((part.text or "").strip()) for part in polygon]
    if len(numbers) % 2 or not are_numbers(numbers):
        raise AnnotationError("its polygon is not x1, y1, x2, y2 ... in pixels; draw it again", "bad_ring")
    return long_enough(tuple(numbers), 3)


def from_one_based(documents: Sequence[Document]) -> list[Document]:
    """The documents with boxes from 0 on: VOC's own count pixels from 1 and include the last, others write edges.

    Which one it is shows in all boxes together: one edge below 1, or between two pixels, is none of VOC's.
    """
    sound = [one for one in documents if not one.problem]
    edges = [edge for one in sound for box in one.objects for edge in box.bounds or ()]
    if not edges or any(edge < 1 or edge != int(edge) for edge in edges):
        return list(documents)
    logger.info("all boxes are whole numbers from 1 on: taken as VOC's, which count pixels from 1")
    return [replace(one, objects=tuple(_from_zero(box) for box in one.objects)) for one in documents]


def _from_zero(box: VocObject) -> VocObject:
    if box.bounds is None:
        return box
    left, top, right, bottom = box.bounds
    return replace(box, bounds=(left - 1, top - 1, right, bottom))
