"""Supervisely projects: meta.json with the classes, and one JSON a photograph: DATASET/ann/NAME.jpg.json.

Coordinates are read as they stand, (0, 0) the corner of the first pixel.
Source: developer.supervisely.com, Supervisely annotation format (project structure, objects).
"""

import logging
import posixpath
import reprlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Dataset, Image, Instance, Rle
from segpipe.ingest import fractions
from segpipe.ingest.image_records import PhotoReference, folders_around, image_files_by_stem, locate_photos
from segpipe.ingest.parsing import (
    are_numbers,
    category_or_problem,
    declared_size,
    file_bytes,
    frame_hw,
    json_document,
    json_list,
    json_object,
    raised_flags,
    required_text,
    ring_of_points,
    with_fields,
    with_problem,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry, mask_files, rle

logger = logging.getLogger(__name__)

FORMAT = "supervisely"
_META = "meta.json"
_LONGEST_PNG = 2**28  # bytes; what a bitmap may unpack to


def recognise(source: Source) -> tuple[str, ...]:
    """The annotation files of a source: in folders called ann, or named after a picture (NAME.jpg.json)."""
    pictures = frozenset(source.image_files)
    files = [file for file in source.with_suffix(".json") if posixpath.basename(file) != _META]
    marked = {file for file in files if _is_marked(file_bytes(source.root / file))}
    return tuple(file for file in files if marked and (file in marked or _own(file, pictures, {})))


def _is_marked(data: bytes) -> bool:
    return b'"objects"' in data and b'"size"' in data and (b'"classTitle"' in data or b'"tags"' in data)


def _classes(source: Source) -> dict[str, str]:
    """Title and shape of every class that a meta.json of the source lists."""
    found: dict[str, str] = {}
    for file in source.with_suffix(_META):
        try:
            entries = json_list(json_document(source.root / file), "classes")
            for entry in entries:
                record = json_object(entry)
                found.setdefault(required_text(record, "title"), str(record.get("shape", "")))
        except AnnotationError as error:
            logger.warning("%s: %s", file, error)
    return found


def _own(file: str, pictures: Iterable[str], by_stem: Mapping[str, str]) -> str:
    """The picture of an annotation file: NAME.jpg of NAME.jpg.json, or of the same stem; in img beside ann, or here."""
    path = PurePosixPath(file)
    folders = [path.parent.parent / "img"] if path.parent.name == "ann" else []
    for folder in [*folders, path.parent]:
        candidate = str(folder / path.stem)
        if candidate in pictures or candidate in by_stem:
            return candidate if candidate in pictures else by_stem[candidate]
    return ""


def read(source: Source, files: Sequence[str]) -> Dataset:
    """Read the files of `recognise`: one Image each, and one Instance for each object; the classes are meta.json's.

    Never raises for a single file or object: each has its `problem` and `detail` where it cannot be used.
    """
    pictures, by_stem = frozenset(source.image_files), image_files_by_stem(source)
    classes = _classes(source)
    documents = [_document(source, file, _own(file, pictures, by_stem), classes) for file in files]
    images, keys = locate_photos(source, [wanted for wanted, _ in documents])
    instances = tuple(
        replace(instance, image_key=key) for key, (_, drawn) in zip(keys, documents, strict=True) for instance in drawn
    )
    used = sorted({instance.category for instance in instances if instance.category})
    return Dataset(
        format=FORMAT,
        categories=tuple(classes) or tuple(used),
        images=tuple(images),
        instances=instances,
    )


def _document(source: Source, file: str, own: str, classes: Mapping[str, str]) -> tuple[PhotoReference, list[Instance]]:
    image = Image(key="", file="", place=file)
    try:
        document = json_document(source.root / file)
        objects = json_list(document, "objects")
    except AnnotationError as error:
        return PhotoReference(image=replace(image, problem=error.reason, detail=str(error)), sibling=own), []
    size = document.get("size")
    size = size if isinstance(size, dict) else {}
    image = replace(image, **declared_size(size.get("height"), size.get("width")))
    found = [_instance(file, position, entry, size, classes) for position, entry in enumerate(objects)]
    image = fractions.with_problem(image, found)
    return PhotoReference(
        image=image, name=PurePosixPath(file).stem, folders=folders_around(file, "../img"), sibling=own
    ), found


def _instance(file: str, position: int, entry: Any, size: dict[str, Any], classes: Mapping[str, str]) -> Instance:
    """The instance of one object, as far as it can be read, with its first problem."""
    place = f"{file}: objects[{position}]"
    known: dict[str, Any] = {"id": f"{file}#{position}", "image_key": "", "category": "", "place": place}
    try:
        record = json_object(entry)
        known |= category_or_problem(_class, record, classes)
        flags = _flags(record.get("tags"))
        known = with_fields(known, {"flags": flags, "detail": ", ".join(flags)})
        form = record.get("geometryType") or classes.get(known["category"], "")
        known = with_fields(known, _shape(record, form, size))
    except AnnotationError as error:
        known = with_problem(known, error)
    return Instance(**known)


def _flags(tags: Any) -> tuple[str, ...]:
    """Tags of the object; one without a value is raised by being there."""
    entries = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
    return raised_flags((tag.get("name"), True if tag.get("value") is None else tag["value"]) for tag in entries)


def _class(record: dict[str, Any], classes: Mapping[str, str]) -> str:
    title = required_text(record, "classTitle")
    if classes and title not in classes:
        raise AnnotationError(f"class {title!r} is not in {_META}; add it there", "unknown_category")
    return title


def _shape(record: dict[str, Any], form: Any, size: dict[str, Any]) -> dict[str, Any]:
    """The fields of an Instance that say where an object is."""
    if form == "bitmap" or (not form and record.get("bitmap")):
        return {"rle": _bitmap(record.get("bitmap"), size)}
    points = record.get("points")
    if not isinstance(points, dict):
        raise AnnotationError(f"geometry {reprlib.repr(form)} without points; draw it again or delete it", "bad_ring")
    if form == "rectangle":
        return {"kind": "box", "rings": (_box(points.get("exterior")),)}
    if form in ("line", "polyline"):
        return {"kind": "line", "rings": (ring_of_points(points.get("exterior"), minimum=2),)}
    if form == "point":
        ring = ring_of_points(points.get("exterior"), minimum=1)
        return {"kind": "point", "rings": tuple(ring[i : i + 2] for i in range(0, len(ring), 2))}
    if form == "polygon":
        return _polygon(points)
    raise AnnotationError(f"geometry {reprlib.repr(form)} is unknown; draw it as a polygon or delete it")


def _box(corners: Any) -> geometry.Ring:
    ring = ring_of_points(corners, minimum=2)
    if len(ring) != 4:
        problem = f"{len(ring) // 2} points where a rectangle has two"
        raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
    return geometry.box(*ring)


def _polygon(points: dict[str, Any]) -> dict[str, Any]:
    """The outline and its holes; a hole that is none is told and left out."""
    rings = (ring_of_points(points.get("exterior"), minimum=3),)
    interior = points.get("interior") or []
    if not isinstance(interior, list):
        raise AnnotationError(f"interior {reprlib.repr(interior)} is no list of rings; export it again", "bad_ring")
    holes: list[geometry.Ring] = []
    problems: list[str] = []
    for position, hole in enumerate(interior):
        try:
            holes.append(ring_of_points(hole, minimum=3))
        except AnnotationError as error:
            problems.append(f"interior[{position}]: {error}")
    refused = {"rings_refused": len(problems), "detail": problems[0]} if problems else {}
    return {"rings": rings, "holes": tuple(holes), **refused}


def _bitmap(bitmap: Any, size: Mapping[str, Any]) -> Rle:
    """A zlib-packed PNG whose first pixel is `origin` [x, y] of the picture."""
    record = json_object(bitmap)
    origin: Sequence[Any] = record.get("origin") or ()
    if not isinstance(origin, list) or len(origin) != 2 or not are_numbers(origin):
        raise AnnotationError(f"bitmap origin {reprlib.repr(origin)} is not [x, y]; export it again", "bad_rle")
    mask = mask_files.decode_mask(_unpacked(mask_files.decode_base64(record.get("data"))))
    size_hw = frame_hw(size.get("height"), size.get("width"))
    return rle.encode_crop(mask, int(origin[0]), int(origin[1]), size_hw)


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _LONGEST_PNG)
    except zlib.error as error:
        raise AnnotationError(f"its bitmap is not packed by zlib ({error}); export it again", "bad_rle") from error
