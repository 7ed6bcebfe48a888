"""Supervisely projects: one JSON per photo, and meta.json with the classes.

    meta.json              {"classes": [{"title": "dog", "shape": "bitmap"}, ...], "tags": [...]}
    ds/img/a.jpg           the photo, in img beside ann
    ds/ann/a.jpg.json      {"size": {"height": ..., "width": ...}, "tags": [...], "objects": [...]}; older: a.json

Encoding: an object has a `classTitle`, a `geometryType`, and `points` with `exterior` and `interior` [[x, y], ...] in
pixels, (0, 0) the top-left corner of the first pixel; or a `bitmap`: `data` is a PNG, compressed by zlib and written
as base64, `origin` [x, y] the position of its first pixel.
Spec: https://developer.supervisely.com (Supervisely annotation format: project structure, objects).
Versions: exports of the platform. Without `geometryType`, as in older ones, an object has the shape of its class.
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
    UNKNOWN,
    Fields,
    are_numbers,
    declared_size,
    file_bytes,
    frame_hw,
    json_document,
    json_list,
    json_object,
    object_or_empty,
    raised_flags,
    required_text,
    ring_of_points,
    single_points,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry, mask_files, rle
from segpipe.masks.geometry import Ring

logger = logging.getLogger(__name__)

FORMAT = "supervisely"
_META = "meta.json"
_MAX_PNG_BYTES = 2**28  # of a decompressed bitmap


def recognise(source: Source) -> tuple[str, ...]:
    """The annotation files of a source, and with them the other JSON files that are named after a photo."""
    photos = frozenset(source.image_files)
    files = [file for file in source.with_suffix(".json") if posixpath.basename(file) != _META]
    marked = {file for file in files if _is_marked(file_bytes(source.root / file))}
    return tuple(file for file in files if marked and (file in marked or _sibling(file, photos, {})))


def _is_marked(data: bytes) -> bool:
    return b'"objects"' in data and b'"size"' in data and (b'"classTitle"' in data or b'"tags"' in data)


def read(source: Source, files: Sequence[str]) -> Dataset:
    """The data set of the files of `recognise`: one Image per file, one Instance per object.

    The classes are those of meta.json, if there is one. A file or object that cannot be used has a problem.
    """
    photos, by_stem = frozenset(source.image_files), image_files_by_stem(source)
    classes = _classes(source)
    documents = [_document(source, file, _sibling(file, photos, by_stem), classes) for file in files]
    images, keys = locate_photos(source, [photo for photo, _ in documents])
    instances = tuple(
        replace(instance, image_key=key)
        for key, (_, of_file) in zip(keys, documents, strict=True)
        for instance in of_file
    )
    used = sorted({instance.category for instance in instances if instance.category})
    return Dataset(
        format=FORMAT,
        categories=tuple(classes) or tuple(used),
        images=tuple(images),
        instances=instances,
    )


def _classes(source: Source) -> dict[str, str]:
    """The shape of each class in the meta.json files of a source, by its title."""
    shapes: dict[str, str] = {}
    for file in source.with_suffix(_META):
        try:
            for entry in json_list(json_document(source.root / file), "classes"):
                record = json_object(entry)
                shapes.setdefault(required_text(record, "title"), str(record.get("shape", "")))
        except AnnotationError as error:
            logger.warning("%s: %s", file, error)
    return shapes


def _sibling(file: str, photos: Iterable[str], by_stem: Mapping[str, str]) -> str:
    """The photo with the name of an annotation file: a.jpg for a.jpg.json or a.json; in img beside ann, or here."""
    path = PurePosixPath(file)
    folders = [path.parent.parent / "img"] if path.parent.name == "ann" else []
    for folder in [*folders, path.parent]:
        candidate = str(folder / path.stem)
        if candidate in photos or candidate in by_stem:
            return candidate if candidate in photos else by_stem[candidate]
    return ""


def _document(
    source: Source, file: str, sibling: str, classes: Mapping[str, str]
) -> tuple[PhotoReference, list[Instance]]:
    image = Image(key="", file="", place=file)
    try:
        document = json_document(source.root / file)
        objects = json_list(document, "objects")
    except AnnotationError as error:
        return PhotoReference(image=replace(image, problem=error.reason, detail=str(error)), sibling=sibling), []
    size = object_or_empty(document.get("size"))
    image = replace(image, **declared_size(size.get("height"), size.get("width")))
    instances = [_instance(file, position, entry, size, classes) for position, entry in enumerate(objects)]
    photo = PhotoReference(
        image=fractions.with_problem(image, instances),
        name=PurePosixPath(file).stem,
        folders=folders_around(file, "../img"),
        sibling=sibling,
    )
    return photo, instances


def _instance(file: str, position: int, entry: Any, size: dict[str, Any], classes: Mapping[str, str]) -> Instance:
    """One entry of the list objects. size: the declared size of the image; classes: shapes by class."""
    fields = Fields.of_object(entry)
    category = fields.read(_class_name, classes, default="")
    flags = fields.read(_flags, default=())
    return Instance(
        id=f"{file}#{position}",
        place=f"{file}: objects[{position}]",
        image_key="",
        category=category,
        flags=flags,
        **fields.read_together(_drawn, classes.get(category, ""), size),
        problem=fields.problem,
        detail=fields.detail or ", ".join(flags),
    )


def _class_name(record: dict[str, Any], classes: Mapping[str, str]) -> str:
    title = required_text(record, "classTitle")
    if classes and title not in classes:
        raise AnnotationError(f"class {title!r} is not in {_META}; add it there", UNKNOWN)
    return title


def _flags(record: dict[str, Any]) -> tuple[str, ...]:
    """The flags among the object's tags. A tag without a value is set."""
    tags = record.get("tags")
    entries = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
    return raised_flags((tag.get("name"), True if tag.get("value") is None else tag["value"]) for tag in entries)


def _drawn(record: dict[str, Any], shape_of_class: str, size: dict[str, Any]) -> dict[str, Any]:
    """kind, rings, holes and rings_refused, or rle."""
    form = record.get("geometryType") or shape_of_class
    if form == "bitmap" or (not form and record.get("bitmap")):
        return {"rle": _bitmap(record.get("bitmap"), size)}
    points = record.get("points")
    if not isinstance(points, dict):
        raise AnnotationError(f"geometry {reprlib.repr(form)} has no points; draw it again or delete it", "bad_ring")
    if form == "rectangle":
        return {"kind": "box", "rings": (_box(points.get("exterior")),)}
    if form in ("line", "polyline"):
        return {"kind": "line", "rings": (ring_of_points(points.get("exterior"), minimum=2),)}
    if form == "point":
        return {"kind": "point", "rings": single_points(ring_of_points(points.get("exterior"), minimum=1))}
    if form == "polygon":
        return _polygon(points)
    raise AnnotationError(f"geometry {reprlib.repr(form)} is unknown; draw it as a polygon or delete it")


def _box(corners: Any) -> Ring:
    ring = ring_of_points(corners, minimum=2)
    if len(ring) != 4:
        problem = f"a rectangle has 2 points, not {len(ring) // 2}"
        raise AnnotationError(f"{problem}; draw it again or delete it", "bad_ring")
    return geometry.box(*ring)


def _polygon(points: dict[str, Any]) -> dict[str, Any]:
    """The outline and its valid holes, the number of invalid holes, and the problem of the first invalid hole."""
    rings = (ring_of_points(points.get("exterior"), minimum=3),)
    interior = points.get("interior") or []
    if not isinstance(interior, list):
        raise AnnotationError(f"interior {reprlib.repr(interior)} is not a list of rings; export it again", "bad_ring")
    holes: list[Ring] = []
    problems: list[str] = []
    for position, hole in enumerate(interior):
        try:
            holes.append(ring_of_points(hole, minimum=3))
        except AnnotationError as error:
            problems.append(f"interior[{position}]: {error}")
    refused = {"rings_refused": len(problems), "detail": problems[0]} if problems else {}
    return {"rings": rings, "holes": tuple(holes), **refused}


def _bitmap(bitmap: Any, size: Mapping[str, Any]) -> Rle:
    record = json_object(bitmap)
    origin: Sequence[Any] = record.get("origin") or ()
    if not isinstance(origin, list) or len(origin) != 2 or not are_numbers(origin):
        raise AnnotationError(f"bitmap origin {reprlib.repr(origin)} is not [x, y]; export it again", "bad_rle")
    mask = mask_files.decode_mask(_decompressed(mask_files.decode_base64(record.get("data"))))
    size_hw = frame_hw(size.get("height"), size.get("width"))
    return rle.encode_crop(mask, int(origin[0]), int(origin[1]), size_hw)


def _decompressed(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MAX_PNG_BYTES)
    except zlib.error as error:
        problem = f"its bitmap is not compressed by zlib ({error})"
        raise AnnotationError(f"{problem}; export it again", "bad_rle") from error
