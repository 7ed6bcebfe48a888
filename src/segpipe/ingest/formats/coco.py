"""COCO instances JSON: one file or several in a source, polygons and both forms of RLE.

Source: cocodataset.org/#format-data (object detection); cocodataset/cocoapi, PythonAPI/pycocotools/coco.py.
"""

import logging
import posixpath
import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segpipe.core import machine
from segpipe.core.errors import AnnotationError, UserError, at
from segpipe.data.records import Dataset, Instance, Rle, Role
from segpipe.ingest import fractions
from segpipe.ingest.image_records import image_key, read_images
from segpipe.ingest.parsing import (
    Id,
    are_numbers,
    category_or_problem,
    is_number,
    is_whole,
    json_object,
    optional_id,
    parsed_json,
    raised_flags,
    record_id,
    required_text,
    with_fields,
    with_problem,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry

logger = logging.getLogger(__name__)

FORMAT = "coco"
Document = Mapping[str, Any]

_LISTS = ("images", "annotations", "categories")
_COCO_NAME = re.compile(r"(instances.*|.*coco.*)\.json", re.IGNORECASE)
_REMEDY = "export it again, or remove it from the source"


def recognise(source: Source) -> dict[str, Document]:
    """The COCO instances documents of a source by file, each parsed once; empty if there are none.

    Keypoints files beside instances files repeat the same objects and are left out, as are captions and panoptic.
    Raises UserError for a file that is COCO's by its name or keys and cannot be read as such.
    """
    found = {file: doc for file in source.with_suffix(".json") if (doc := _document(source.root, file)) is not None}
    instances = {file: doc for file, doc in found.items() if not _has_keypoints(doc)}
    for file in found:
        if instances and file not in instances:
            logger.info("%s: keypoints repeat the objects of the instances files; not read", file)
    return instances or found


def _document(root: Path, file: str) -> Document | None:
    """The parsed file if it is COCO instances JSON, else None."""
    named = _COCO_NAME.fullmatch(posixpath.basename(file)) is not None
    with at(file):
        try:
            data = (root / file).read_bytes()
        except OSError as error:
            machine.stop_if_at_fault(error, str(root / file))
            raise UserError(f"cannot be read ({error.strerror}); restore it or remove it from the source") from error
        if not named and b'"images"' not in data:
            return None
        return _checked(parsed_json(data), named)


def _checked(document: Any, named: bool) -> Document | None:
    """The document if it has COCO's lists. Raises UserError if it has not, though it is `named` like COCO's."""
    if are_results(document):
        return None
    if not isinstance(document, dict):
        problem = "not a JSON object with the lists images, annotations and categories"
    elif _is_panoptic(document) or _is_captions(document):
        return None
    else:
        missing = [key for key in _LISTS if not isinstance(document.get(key), list)]
        if not missing:
            return document
        problem = f"has no list {missing[0]!r}"
    if named:
        raise UserError(f"{problem}; {_REMEDY}")
    return None


def are_results(document: Any) -> bool:
    """Whether it is a list of detections (COCO results), which has no images and categories of its own."""
    return any("image_id" in entry and "category_id" in entry for entry in _objects(document))


def _is_panoptic(document: Document) -> bool:
    return any("segments_info" in entry for entry in _objects(document.get("annotations")))


def _is_captions(document: Document) -> bool:
    return any("caption" in entry for entry in _objects(document.get("annotations")))


def _has_keypoints(document: Document) -> bool:
    return any("keypoints" in entry for entry in _objects(document["categories"]))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The first entry of a list, if it is an object: enough to tell the kind of a document."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        yield value[0]


def read(source: Source, documents: Mapping[str, Document]) -> Dataset:
    """Read the documents of `recognise` as one data set: one class table by name, images joined by their file.

    Never raises for a single record: each annotation becomes one Instance, each image record one Image (records
    of the same file join), with `problem` and `detail` where it cannot be used. Raises UserError for a file in
    fractions of the pictures.
    """
    images, image_of = read_images(source, {file: doc["images"] for file, doc in documents.items()})
    classes = {file: class_names(file, doc) for file, doc in documents.items()}
    instances: list[Instance] = []
    for file, doc in documents.items():
        found = list(_instances(file, doc, classes[file], image_of[file]))
        fractions.refuse(file, found)
        instances += found
    names = dict.fromkeys(name for table in classes.values() for name in table.values() if name)
    return Dataset(
        format=FORMAT,
        categories=tuple(names),
        images=tuple(sorted(images, key=lambda image: (image.file, image.place))),
        instances=tuple(instances),
    )


def class_names(file: str, document: Document) -> dict[Id, str]:
    """The name of each category id of one file; "" for an id that stands for two names."""
    names: dict[Id, str] = {}
    for position, entry in enumerate(document["categories"]):
        try:
            with at(f"{file}: categories[{position}]"):
                record = json_object(entry)
                number, name = record_id(record, "id"), required_text(record, "name").strip()
        except AnnotationError as error:
            logger.warning("%s; its annotations count as of an unknown category", error)
            continue
        if names.setdefault(number, name) != name:
            logger.warning("%s: category id %s has two names, %r and %r", file, number, names[number], name)
            names[number] = ""
    return names


def _instances(file: str, document: Document, classes: dict[Id, str], image_of: dict[Id, str]) -> Iterator[Instance]:
    used: set[str] = set()
    for position, entry in enumerate(document["annotations"]):
        number = optional_id(entry)
        name = f"{file}#@{position}" if number is None else f"{file}#{number}"
        note = "duplicate_id" if name in used else ""
        while name in used:
            name += f"@{position}"
        used.add(name)
        place = f"{file}: annotations[{position}]" + ("" if number is None else f" (id {number})")
        known = {"id": name, "place": place, "image_key": "", "category": "", "note": note}
        yield _instance(known, entry, classes, image_of)


def _instance(known: dict[str, Any], entry: Any, classes: dict[Id, str], image_of: dict[Id, str]) -> Instance:
    """The instance of what is known and what the entry says, as far as it can be read, with its first problem."""
    try:
        record = json_object(entry)
        known["image_key"] = image_key(record, image_of)
        known |= category_or_problem(category_name, record, classes)
        known |= {"role": role(record), "area": _area(record), "flags": _flags(record)}
        known = with_fields(known, _shape(record))
    except AnnotationError as error:
        known = with_problem(known, error)
    return Instance(**known)


def category_name(record: dict[str, Any], classes: Mapping[Id, str]) -> str:
    """The name of the category_id of a record. Raises AnnotationError (unknown_category if it has no single name)."""
    number = record_id(record, "category_id")
    if not classes.get(number):
        problem = "stands for two names" if number in classes else "is not among the categories"
        raise AnnotationError(f"category_id {number} {problem}; correct the categories", "unknown_category")
    return classes[number]


def role(record: dict[str, Any]) -> Role:
    """Crowd or object, as iscrowd says. Raises AnnotationError."""
    flag = record.get("iscrowd")
    if flag not in (None, 0, 1, "0", "1"):
        raise AnnotationError(f"iscrowd {reprlib.repr(flag)} is neither 0 nor 1; write one of them")
    return "crowd" if flag in (1, "1") else "object"


def _flags(record: dict[str, Any]) -> tuple[str, ...]:
    """CVAT's and datumaro's attributes; VOC's "difficult" is "ignore" in its conversions to COCO."""
    attributes = record.get("attributes")
    said = list(attributes.items()) if isinstance(attributes, dict) else []
    return raised_flags([*said, *record.items(), ("difficult", record.get("ignore"))])


def _area(record: dict[str, Any]) -> float | None:
    """The declared area, None if it is no number that an area can be."""
    area: Any = record.get("area")
    return float(area) if is_number(area) and area >= 0 else None


def _shape(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of an Instance that say where it is."""
    segmentation = record.get("segmentation")
    if isinstance(segmentation, dict) and segmentation:
        return {"rle": _rle(segmentation)}
    if isinstance(segmentation, list) and segmentation:
        return _rings(segmentation)
    if not segmentation:
        return _box(record.get("bbox"))
    raise AnnotationError(f"segmentation {reprlib.repr(segmentation)} is neither a list of rings nor an RLE")


def _box(bbox: Any) -> dict[str, Any]:
    """What a record without segmentation shows: its box [x, y, width, height]."""
    if not bbox:
        raise AnnotationError("has no segmentation and no bbox; draw its outline or delete it")
    if not isinstance(bbox, list) or len(bbox) != 4 or not are_numbers(bbox) or min(bbox[2:]) <= 0:
        problem = f"has no segmentation, and its bbox {reprlib.repr(bbox)} is not [x, y, width, height] in pixels"
        raise AnnotationError(f"{problem}; draw its outline or delete it")
    left, top, width, height = map(float, bbox)
    return {"kind": "box", "rings": (geometry.box(left, top, left + width, top + height),)}


def _rings(segmentation: list[Any]) -> dict[str, Any]:
    """The rings that are some, the count of the others, and what is wrong with the first of those."""
    rings, problems = [], []
    for position, ring in enumerate(segmentation):
        problem = _ring_problem(ring)
        if problem:
            problems.append(f"segmentation[{position}]: {problem}")
        else:
            rings.append(tuple(map(float, ring)))
    if not rings:
        raise AnnotationError(f"{problems[0]}; draw it again or delete it", "bad_ring")
    return {"rings": tuple(rings), "rings_refused": len(problems), "detail": problems[0] if problems else ""}


def _ring_problem(ring: Any) -> str:
    if not isinstance(ring, list):
        return f"{reprlib.repr(ring)} is not a list of numbers"
    if len(ring) < 6 or len(ring) % 2:
        return f"{len(ring)} numbers cannot form a ring (an even count of 6 or more)"
    if are_numbers(ring):
        return ""
    wrong = next(value for value in ring if not is_number(value))
    return f"{reprlib.repr(wrong)} is not a number of pixels"


def _rle(segmentation: dict[str, Any]) -> Rle:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(is_whole(value, minimum=1) for value in size):
        raise AnnotationError(f"RLE size {reprlib.repr(size)} is not [height, width]; export it again", "bad_rle")
    size_hw = (int(size[0]), int(size[1]))
    if isinstance(counts, str) and counts and all("0" <= c <= "o" for c in counts):  # maskApi.c, rleToString
        return Rle(size_hw=size_hw, counts=counts)
    if isinstance(counts, list) and counts and all(is_whole(value, minimum=0) for value in counts):
        return Rle(size_hw=size_hw, counts=tuple(map(int, counts)))
    problem = f"RLE counts {reprlib.repr(counts)} are neither run lengths nor COCO's string of them"
    raise AnnotationError(f"{problem}; export it again", "bad_rle")
