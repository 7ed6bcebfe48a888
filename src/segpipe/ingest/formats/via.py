"""VGG Image Annotator 1 and 2: its JSON, its project files, and its CSV where that is all there is.

Source: gitlab.com/vgg/via, via-2.x.y/CodeDoc.md and via.js (export_project_to_json).
"""

import csv
import io
import json
import logging
import math
import posixpath
import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from segpipe.core.errors import AnnotationError, UserError, at
from segpipe.data.records import FLAGS, Dataset, Image, Instance
from segpipe.ingest import fractions
from segpipe.ingest.image_records import PhotoReference, folders_around, locate_photos
from segpipe.ingest.parsing import (
    category_or_problem,
    file_bytes,
    json_object,
    parsed_json,
    pixel_numbers,
    raised_flags,
    required_text,
    ring_of_axes,
    with_fields,
    with_problem,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry

logger = logging.getLogger(__name__)

FORMAT = "via"
ONLY_CLASS = "object"  # of regions without any attribute
_PROJECT = "_via_img_metadata"
_CSV_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
_CLASS_WORDS = ("class", "label", "labels", "category", "name", "type", "object")
_SHOWN = 3
_MARKS = ((b'"shape_attributes"',), (b'"regions"', b'"file_attributes"'), (f'"{_PROJECT}"'.encode(),))


@dataclass(frozen=True, slots=True)
class Document:
    """One annotation file. records: its photographs; options: names of attribute values, by attribute and value."""

    records: tuple[Any, ...]
    options: Mapping[str, Mapping[str, str]]


def recognise(source: Source) -> dict[str, Document]:
    """The VIA documents of a source by file: JSON and project files, or, where there is none, CSV files.

    Raises UserError for a file that is VIA's by its keys and cannot be read as such.
    """
    read_as = {".json": _json_file, ".csv": _csv_file}
    for suffix, parse in read_as.items():
        found = {file: parse(source.root / file, file) for file in source.with_suffix(suffix)}
        documents = {file: document for file, document in found.items() if document is not None}
        if documents:
            return documents
    return {}


def _json_file(path: Path, file: str) -> Document | None:
    data = file_bytes(path)
    if not any(all(mark in data for mark in marks) for marks in _MARKS):
        return None
    with at(file):
        document = parsed_json(data, pairs_hook=_with_every_record)
    return _checked(document, file)


def _with_every_record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which a record stays although a later one has its key, which is its name and size only."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        is_repeated = key in found and isinstance(value, dict) and "filename" in value
        found[f"{key}#{len(found)}" if is_repeated else key] = value
    return found


def _checked(document: Any, file: str) -> Document | None:
    """The document if it is VIA's, its records in the order of the file."""
    if not isinstance(document, dict):
        return None
    if _PROJECT not in document:
        is_via = any(isinstance(record, dict) and "regions" in record for record in document.values())
        return Document(tuple(document.values()), {}) if is_via else None
    records = document[_PROJECT]
    if not isinstance(records, dict):
        raise UserError(f"{file}: {_PROJECT} is not an object; export it again, or remove it from the source")
    return Document(tuple(records.values()), _options(document.get("_via_attributes")))


def _options(attributes: Any) -> dict[str, dict[str, str]]:
    """What the values of drop-down, radio and checkbox attributes are called."""
    region = attributes.get("region") if isinstance(attributes, dict) else None
    found: dict[str, dict[str, str]] = {}
    for name, attribute in (region if isinstance(region, dict) else {}).items():
        options = attribute.get("options") if isinstance(attribute, dict) else None
        if isinstance(options, dict):
            found[name] = {key: said.strip() for key, said in options.items() if isinstance(said, str) and said.strip()}
    return found


def _csv_file(path: Path, file: str) -> Document | None:
    """A CSV file as the JSON that VIA would have written: one row a region, one without a region for a bare picture."""
    text = file_bytes(path).decode("utf-8-sig", errors="replace")
    rows = csv.DictReader(io.StringIO(text))
    try:
        if not set(_CSV_COLUMNS) <= {(name or "").strip().lstrip("#") for name in rows.fieldnames or ()}:
            return None
        return Document(tuple(_csv_records(rows)), {})
    except csv.Error as error:
        raise UserError(f"{file}: not valid CSV ({error}); export it again, or remove it from the source") from error


def _csv_records(rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    records: dict[Any, dict[str, Any]] = {}
    for row in rows:
        cells = {str(name).strip().lstrip("#"): cell for name, cell in row.items()}
        name = cells.get("filename")
        size = cells.get("file_size")
        record = records.setdefault((name, size), {"filename": name, "size": size, "regions": []})
        shape, attributes = _cell(cells["region_shape_attributes"]), _cell(cells["region_attributes"])
        if shape != {}:
            record["regions"].append({"shape_attributes": shape, "region_attributes": attributes})
    return list(records.values())


def _cell(text: Any) -> Any:
    try:
        return json.loads(text or "{}")
    except (TypeError, ValueError, RecursionError):
        return text


def read(source: Source, documents: Mapping[str, Document]) -> Dataset:
    """Read the documents of `recognise`: one Image a record, and one Instance for each region.

    The class is the region attribute that most regions have (of several, one called class, label ... counts first);
    regions without any are all ONLY_CLASS. Never raises for a single record or region. Raises UserError for a file in
    fractions of the pictures.
    """
    records = [
        (wanted, _regions(record), document)
        for file, document in documents.items()
        for wanted, record in zip(_photos(source, file, document.records), document.records, strict=True)
    ]
    attribute = _class_attribute([region for _, regions, _ in records for region in regions])
    images, keys = locate_photos(source, [wanted for wanted, _, _ in records])
    instances = tuple(
        _instance(wanted.image.place, position, region, key, attribute, document)
        for key, (wanted, regions, document) in zip(keys, records, strict=True)
        for position, region in enumerate(regions)
    )
    for file, found in groupby(instances, lambda instance: instance.place.partition(": file[")[0]):
        fractions.refuse(file, found)
    return Dataset(
        format=FORMAT,
        categories=tuple(sorted({instance.category for instance in instances if instance.category})),
        images=tuple(images),
        instances=instances,
    )


def _photos(source: Source, file: str, records: Sequence[Any]) -> list[PhotoReference]:
    """The photograph of each record of a file. VIA knows no folders: those of one name differ in their bytes."""
    wanted = [_wanted(file, position, record) for position, record in enumerate(records)]
    sizes: dict[str, set[str]] = defaultdict(set)
    for photo, record in zip(wanted, records, strict=True):
        sizes[photo.name].add(_size(record))
    shared = {name for name, found in sizes.items() if name and len(found) > 1}
    pictures: dict[str, list[Path]] = defaultdict(list)
    for picture in source.image_files if shared else ():
        pictures[posixpath.basename(picture)].append(source.root / picture)
    return [
        _of_size(source, photo, _size(record), pictures[posixpath.basename(photo.name)])
        if photo.name in shared
        else photo
        for photo, record in zip(wanted, records, strict=True)
    ]


def _size(record: Any) -> str:
    return str(record.get("size")) if isinstance(record, dict) else ""


def _of_size(source: Source, photo: PhotoReference, size: str, alike: Sequence[Path]) -> PhotoReference:
    found = [path for path in alike if str(path.stat().st_size) == size]
    if len(found) == 1:
        return replace(photo, sibling=found[0].relative_to(source.root).as_posix())
    problem = (
        f"no single file {photo.name!r} of {size} bytes in the source, and other records are of files of that name"
    )
    detail = f"{problem}; give the folder of each in its filename"
    return replace(photo, name="", image=replace(photo.image, problem="missing_file", detail=detail))


def _wanted(file: str, position: int, record: Any) -> PhotoReference:
    image = Image(key="", file="", place=f"{file}: file[{position}]")
    try:
        name = required_text(json_object(record), "filename")
    except AnnotationError as error:
        return PhotoReference(image=replace(image, problem=error.reason, detail=str(error)))
    return PhotoReference(image=image, name=name, folders=folders_around(file, "images"))


def _regions(record: Any) -> list[Any]:
    """VIA 2 writes a list, VIA 1 an object."""
    regions = record.get("regions") if isinstance(record, dict) else None
    if isinstance(regions, dict):
        return list(regions.values())
    return regions if isinstance(regions, list) else []


def _class_attribute(regions: Sequence[Any]) -> str:
    """The name of the region attribute that says the class, "" if no region has any."""
    said = ((name, value) for region in regions for name, value in _attributes(region).items())
    counts = Counter(name for name, value in said if value not in ("", {}) and name.casefold() not in FLAGS)
    if not counts:
        return ""
    most = max(counts.values())
    names = sorted((name for name, count in counts.items() if count == most), key=_class_rank)
    others = sorted(set(counts) - {names[0]})
    also = f"; others are {', '.join(map(repr, others[:_SHOWN]))}" if others else ""
    logger.info("the class is the region attribute %r, in %d of %d regions%s", names[0], most, len(regions), also)
    return names[0]


def _class_rank(name: str) -> tuple[int, str]:
    folded = name.casefold()
    return (_CLASS_WORDS.index(folded) if folded in _CLASS_WORDS else len(_CLASS_WORDS)), name


def _attributes(region: Any) -> dict[str, Any]:
    attributes = region.get("region_attributes") if isinstance(region, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _instance(place: str, number: int, entry: Any, key: str, attribute: str, document: Document) -> Instance:
    """The instance of one region, as far as it can be read, with its first problem."""
    name = f"{place}.regions[{number}]"
    known: dict[str, Any] = {"id": name.replace(": file[", "#["), "image_key": key, "category": "", "place": name}
    try:
        region = json_object(entry)
        known |= category_or_problem(_class, region, attribute, document.options.get(attribute, {}))
        flags = raised_flags(_attributes(region).items())
        known = with_fields(known, {"flags": flags, "detail": ", ".join(flags)})
        known |= _shape(region.get("shape_attributes"))
    except AnnotationError as error:
        known = with_problem(known, error)
    return Instance(**known)


def _class(region: dict[str, Any], attribute: str, options: Mapping[str, str]) -> str:
    if not attribute:
        return ONLY_CLASS
    value = _attributes(region).get(attribute)
    if isinstance(value, dict):  # a checkbox: {"cat": true}
        ticked = [name for name, on in value.items() if on]
        value = ticked[0] if len(ticked) == 1 else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    said = options.get(value, value) if isinstance(value, str) else value
    try:
        return required_text({"class": said}, "class").strip()
    except AnnotationError:
        problem = f"attribute {attribute!r} is {reprlib.repr(value)}, which names no class"
        raise AnnotationError(f"{problem}; set it or delete the region", "unknown_category") from None


def _shape(shape: Any) -> dict[str, Any]:
    """The fields of an Instance that say where a region is."""
    record = json_object(shape)
    form = record.get("name")
    xs, ys = record.get("all_points_x"), record.get("all_points_y")
    if form == "polygon":
        return {"rings": (ring_of_axes(xs, ys, minimum=3),)}
    if form == "polyline":
        return {"kind": "line", "rings": (ring_of_axes(xs, ys, minimum=2),)}
    if form == "rect":
        x, y, width, height = pixel_numbers(record, "x", "y", "width", "height")
        if min(width, height) < 0:
            raise AnnotationError(f"a box of {width:g} x {height:g} has no inside; draw it again or delete it")
        return {"kind": "box", "rings": (geometry.box(x, y, x + width, y + height),)}
    if form == "circle":
        return {"rings": (geometry.circle(*pixel_numbers(record, "cx", "cy", "r")),)}
    if form == "ellipse":
        return {"rings": (_ellipse(record),)}
    if form == "point":
        return {"kind": "point", "rings": (tuple(pixel_numbers(record, "cx", "cy")),)}
    raise AnnotationError(f"shape {reprlib.repr(form)} is unknown; draw it as a polygon or delete it")


def _ellipse(record: dict[str, Any]) -> geometry.Ring:
    x, y, radius_x, radius_y = pixel_numbers(record, "cx", "cy", "rx", "ry")
    theta = pixel_numbers(record, "theta")[0] if record.get("theta") is not None else 0.0
    return geometry.ellipse(x, y, radius_x, radius_y, math.degrees(theta))
