"""COCO: instances JSON, and the results of detection models.

    annotations/instances_train2017.json    {"images": [...], "annotations": [...], "categories": [...]}
    train2017/000000000009.jpg              named by file_name: beside the JSON, above it, or in a usual folder
    segm_results.json                       results: a list of annotations; their images are in an instances JSON

Encoding: `segmentation` is a list of rings, each x, y, x, y ... in pixels, or an RLE with `size` [height, width] and
`counts` as run lengths or as COCO's compressed string; both are read with iscrowd 0 and 1. An annotation without a
segmentation is its `bbox` [x, y, width, height]. Ids may have gaps.
Spec: https://cocodataset.org/#format-data (object detection), https://cocodataset.org/#format-results;
cocodataset/cocoapi, PythonAPI/pycocotools/coco.py.
Versions: COCO 2014 and 2017, and the exports of CVAT, Datumaro, Label Studio and Roboflow.
"""

import json
import logging
import posixpath
import re
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segpipe.core import machine
from segpipe.core.errors import AnnotationError, UserError, at
from segpipe.data.records import Dataset, Instance, Rle, Role
from segpipe.ingest import fractions
from segpipe.ingest.image_records import image_key, read_images
from segpipe.ingest.parsing import (
    Fields,
    Id,
    are_numbers,
    file_bytes,
    is_number,
    is_whole,
    json_object,
    object_or_empty,
    optional_id,
    parsed_json,
    raised_flags,
    record_id,
    required_text,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry

logger = logging.getLogger(__name__)

FORMAT = "coco"
RESULTS_FORMAT = "coco_results"
LISTS = ("images", "annotations", "categories")
Document = Mapping[str, Any]  # an instances JSON

_COCO_NAME = re.compile(r"(instances.*|.*coco.*)\.json", re.IGNORECASE)
_REMEDY = "export it again, or remove it from the source"


# Which files are COCO's


def recognise(source: Source) -> dict[str, Document]:
    """The instances JSON documents of a source by file, each parsed once.

    Captions and panoptic documents are left out, and keypoints documents too if there are others: they repeat the
    objects. Raises UserError for a file whose name or keys are COCO's and which cannot be read as COCO.
    """
    parsed = {file: doc for file in source.with_suffix(".json") if (doc := _document(source.root, file)) is not None}
    instances = {file: doc for file, doc in parsed.items() if not _has_keypoints(doc)}
    for file in parsed:
        if instances and file not in instances:
            logger.info("%s: keypoints repeat the objects of the instances files; not read", file)
    return instances or parsed


def _document(root: Path, file: str) -> Document | None:
    """The parsed file, or None if it is not an instances JSON."""
    has_coco_name = _COCO_NAME.fullmatch(posixpath.basename(file)) is not None
    with at(file):
        try:
            data = (root / file).read_bytes()
        except OSError as error:
            machine.raise_if_machine_fault(error, str(root / file))
            raise UserError(f"cannot be read ({error.strerror}); restore it or remove it from the source") from error
        if not has_coco_name and b'"images"' not in data:
            return None
        return _checked(parsed_json(data), has_coco_name)


def _checked(document: Any, has_coco_name: bool) -> Document | None:
    """The document if it has COCO's lists. Raises UserError if it has not, although its name is COCO's."""
    if is_results(document):
        return None
    if not isinstance(document, dict):
        problem = "not a JSON object with the lists images, annotations and categories"
    elif _is_panoptic(document) or _is_captions(document):
        return None
    else:
        missing = [key for key in LISTS if not isinstance(document.get(key), list)]
        if not missing:
            return document
        problem = f"has no list {missing[0]!r}"
    if has_coco_name:
        raise UserError(f"{problem}; {_REMEDY}")
    return None


def is_results(document: Any) -> bool:
    """Whether a JSON document is a results list: annotations without images and categories.

    >>> is_results([{"image_id": 1, "category_id": 3, "score": 0.9}]), is_results({"annotations": []})
    (True, False)
    """
    return any("image_id" in entry and "category_id" in entry for entry in _first_object(document))


def _is_panoptic(document: Document) -> bool:
    return any("segments_info" in entry for entry in _first_object(document.get("annotations")))


def _is_captions(document: Document) -> bool:
    return any("caption" in entry for entry in _first_object(document.get("annotations")))


def _has_keypoints(document: Document) -> bool:
    return any("keypoints" in entry for entry in _first_object(document["categories"]))


def _first_object(value: Any) -> Iterator[dict[str, Any]]:
    """The first entry of a list, if it is an object: enough to distinguish kinds of documents."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        yield value[0]


# Instances JSON


def read(source: Source, documents: Mapping[str, Document]) -> Dataset:
    """The data set of the documents of `recognise`: one Instance per annotation, one Image per photo.

    Categories of one name are one class, image records of one photo are one image. A record that cannot be used has
    a problem and a detail. Raises UserError for a file whose coordinates are fractions of the images.
    """
    images, key_of = read_images(source, {file: doc["images"] for file, doc in documents.items()})
    names = {file: class_names(file, doc) for file, doc in documents.items()}
    instances: list[Instance] = []
    for file, doc in documents.items():
        of_file = list(_instances(file, doc, names[file], key_of[file]))
        fractions.refuse(file, of_file)
        instances += of_file
    return Dataset(
        format=FORMAT,
        categories=tuple(dict.fromkeys(name for table in names.values() for name in table.values() if name)),
        images=tuple(sorted(images, key=lambda image: (image.file, image.place))),
        instances=tuple(instances),
    )


def class_names(file: str, document: Document) -> dict[Id, str]:
    """The class names of one file by category id; "" for an id with two names."""
    names: dict[Id, str] = {}
    for position, entry in enumerate(document["categories"]):
        try:
            with at(f"{file}: categories[{position}]"):
                record = json_object(entry)
                number, name = record_id(record, "id"), required_text(record, "name").strip()
        except AnnotationError as error:
            logger.warning("%s; its annotations have an unknown category", error)
            continue
        if names.setdefault(number, name) != name:
            logger.warning("%s: category id %s has two names, %r and %r", file, number, names[number], name)
            names[number] = ""
    return names


def _instances(file: str, document: Document, names: Mapping[Id, str], key_of: Mapping[Id, str]) -> Iterator[Instance]:
    used: set[str] = set()
    for position, entry in enumerate(document["annotations"]):
        number = optional_id(entry)
        name = f"{file}#@{position}" if number is None else f"{file}#{number}"
        note = "duplicate_id" if name in used else ""
        while name in used:
            name += f"@{position}"
        used.add(name)
        place = f"{file}: annotations[{position}]" + ("" if number is None else f" (id {number})")
        yield _instance(entry, {"id": name, "place": place, "note": note}, names, key_of)


def _instance(entry: Any, identity: dict[str, Any], names: Mapping[Id, str], key_of: Mapping[Id, str]) -> Instance:
    """One entry of the list annotations. identity: its id, place and note."""
    fields = Fields.of_object(entry)
    return Instance(
        **identity,
        image_key=fields.read(image_key, key_of, default=""),
        category=fields.read(category_name, names, default=""),
        role=fields.read(role, default="object"),
        area=fields.read(_area, default=None),
        flags=fields.read(_flags, default=()),
        **fields.read_together(_shape),
        problem=fields.problem,
        detail=fields.detail,
    )


def category_name(record: dict[str, Any], names: Mapping[Id, str]) -> str:
    """The name of the record's category_id. Raises AnnotationError; unknown_category if the id has no single name."""
    number = record_id(record, "category_id")
    if not names.get(number):
        problem = "has two names" if number in names else "is not among the categories"
        raise AnnotationError(f"category_id {number} {problem}; correct the categories", "unknown_category")
    return names[number]


def role(record: dict[str, Any]) -> Role:
    """Crowd or object, by the record's iscrowd. Raises AnnotationError."""
    flag = record.get("iscrowd")
    if flag not in (None, 0, 1, "0", "1"):
        raise AnnotationError(f"iscrowd {reprlib.repr(flag)} is neither 0 nor 1; write one of them")
    return "crowd" if flag in (1, "1") else "object"


def _area(record: dict[str, Any]) -> float | None:
    """The declared area, None if it cannot be one."""
    area: Any = record.get("area")
    return float(area) if is_number(area) and area >= 0 else None


def _flags(record: dict[str, Any]) -> tuple[str, ...]:
    """Flags of the record and of its `attributes` (CVAT, Datumaro). VOC's "difficult" is "ignore" in COCO files."""
    attributes = object_or_empty(record.get("attributes"))
    return raised_flags([*attributes.items(), *record.items(), ("difficult", record.get("ignore"))])


def _shape(record: dict[str, Any]) -> dict[str, Any]:
    segmentation = record.get("segmentation")
    if isinstance(segmentation, dict) and segmentation:
        return {"rle": _rle(segmentation)}
    if isinstance(segmentation, list) and segmentation:
        return _rings(segmentation)
    if not segmentation:
        return _box(record.get("bbox"))
    raise AnnotationError(f"segmentation {reprlib.repr(segmentation)} is neither a list of rings nor an RLE")


def _rle(segmentation: dict[str, Any]) -> Rle:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(is_whole(value, minimum=1) for value in size):
        raise AnnotationError(f"RLE size {reprlib.repr(size)} is not [height, width]; export it again", "bad_rle")
    size_hw = (int(size[0]), int(size[1]))
    if isinstance(counts, str) and counts and all("0" <= c <= "o" for c in counts):  # maskApi.c, rleToString
        return Rle(size_hw=size_hw, counts=counts)
    if isinstance(counts, list) and counts and all(is_whole(value, minimum=0) for value in counts):
        return Rle(size_hw=size_hw, counts=tuple(map(int, counts)))
    problem = f"RLE counts {reprlib.repr(counts)} are neither run lengths nor COCO's compressed string"
    raise AnnotationError(f"{problem}; export it again", "bad_rle")


def _rings(segmentation: list[Any]) -> dict[str, Any]:
    """The valid rings, the number of invalid rings, and the problem of the first invalid ring."""
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


def _box(bbox: Any) -> dict[str, Any]:
    if not bbox:
        raise AnnotationError("has no segmentation and no bbox; draw its outline or delete it")
    if not isinstance(bbox, list) or len(bbox) != 4 or not are_numbers(bbox) or min(bbox[2:]) <= 0:
        problem = f"has no segmentation, and its bbox {reprlib.repr(bbox)} is not [x, y, width, height] in pixels"
        raise AnnotationError(f"{problem}; draw its outline or delete it")
    left, top, width, height = map(float, bbox)
    return {"kind": "box", "rings": (geometry.box(left, top, left + width, top + height),)}


# Results


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a source."""

    lists: Mapping[str, list[Any]]  # the detections, by file
    instances: Mapping[str, Document]  # the instances JSON documents beside them, by file


def recognise_results(source: Source) -> Results | None:
    """The results lists of a source; None if there are none, or if there are annotations: then they are predictions."""
    lists = {
        file: detections
        for file in source.with_suffix(".json")
        if (detections := _detections(source, file)) is not None
    }
    if not lists:
        return None
    instances = recognise(source)
    if any(document["annotations"] for document in instances.values()):
        logger.info("%s: predictions beside annotations; not read", ", ".join(lists))
        return None
    return Results(lists, instances)


def _detections(source: Source, file: str) -> list[Any] | None:
    data = file_bytes(source.root / file)
    if not data.lstrip().startswith(b"[") or b'"image_id"' not in data:
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if is_results(document) else None


def read_results(source: Source, results: Results) -> Dataset:
    """The data set of results: one Instance per detection.

    Raises UserError unless there is exactly one instances JSON, which names the images and classes.
    """
    if len(results.instances) != 1:
        present = f"{len(results.instances)} instances files" if results.instances else "no instances file"
        raise UserError(
            f"{', '.join(results.lists)}: detections name their images and classes only by numbers, and there is "
            f"{present} beside them to explain the numbers; put the instances file that belongs to them there"
        )
    ((file, document),) = results.instances.items()
    dataset = read(
        source, {name: {**document, "annotations": detections} for name, detections in results.lists.items()}
    )
    images = [replace(i, place=i.place.replace(f"{i.place.split(': ')[0]}: ", f"{file}: ", 1)) for i in dataset.images]
    instances = [replace(i, place=i.place.replace(": annotations[", ": [", 1)) for i in dataset.instances]
    return replace(dataset, format=RESULTS_FORMAT, images=tuple(images), instances=tuple(instances))
