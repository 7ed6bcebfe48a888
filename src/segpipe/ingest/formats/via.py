"""VGG Image Annotator: its JSON, its project files, and its CSV if there is neither.

    a.jpg                       named by filename, beside the annotation file or in images; size is its size in bytes
    via_region_data.json        {"a.jpg99": {"filename": "a.jpg", "size": 99, "regions": [...]}, ...}
    via_project.json            the same records under _via_img_metadata, and the options of attributes
    via_region_data.csv         one row per region; a photo without a region has one row with {}

Encoding: a region has `shape_attributes` (polygon and polyline: all_points_x, all_points_y; rect: x, y, width, height;
circle, ellipse and point: cx, cy, ...; theta in radians), all in pixels, and `region_attributes`. VIA does not say
which attribute is the class: it is the one that most regions have.
Spec: https://gitlab.com/vgg/via, via-2.x.y/CodeDoc.md and via.js (export_project_to_json).
Versions: VIA 1 (regions as an object) and VIA 2 (regions as a list).
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
from segpipe.ingest.image_records import PhotoReference, categories_of, folders_around, locate_photos
from segpipe.ingest.parsing import (
    UNKNOWN,
    Fields,
    file_bytes,
    json_object,
    object_or_empty,
    parsed_json,
    pixel_numbers,
    raised_flags,
    required_text,
    ring_of_axes,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry
from segpipe.masks.geometry import Ring

logger = logging.getLogger(__name__)

FORMAT = "via"
ONLY_CLASS = "object"  # the class of all regions, if no region has an attribute
_PROJECT = "_via_img_metadata"
_MARKS = ((b'"shape_attributes"',), (b'"regions"', b'"file_attributes"'), (f'"{_PROJECT}"'.encode(),))
_CSV_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
_CLASS_WORDS = ("class", "label", "labels", "category", "name", "type", "object")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ViaFile:
    """One annotation file."""

    records: tuple[Any, ...]  # one for each photo
    options: Mapping[str, Mapping[str, str]]  # the names of attribute values, by attribute and value


# Which files are VIA's


def recognise(source: Source) -> dict[str, ViaFile]:
    """The VIA files of a source: JSON and project files, or the CSV files if there are neither.

    Raises UserError for a file whose keys are VIA's and which cannot be read.
    """
    parsers = {".json": _json_file, ".csv": _csv_file}
    for suffix, parse in parsers.items():
        parsed = {file: parse(source.root / file, file) for file in source.with_suffix(suffix)}
        files = {file: via_file for file, via_file in parsed.items() if via_file is not None}
        if files:
            return files
    return {}


def _json_file(path: Path, file: str) -> ViaFile | None:
    data = file_bytes(path)
    if not any(all(mark in data for mark in marks) for marks in _MARKS):
        return None
    with at(file):
        document = parsed_json(data, pairs_hook=_with_every_record)
    if not isinstance(document, dict):
        return None
    if _PROJECT not in document:
        is_via = any(isinstance(record, dict) and "regions" in record for record in document.values())
        return ViaFile(tuple(document.values()), {}) if is_via else None
    records = document[_PROJECT]
    if not isinstance(records, dict):
        raise UserError(f"{file}: {_PROJECT} is not an object; export it again, or remove it from the source")
    return ViaFile(tuple(records.values()), _options(document.get("_via_attributes")))


def _with_every_record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object that keeps records of one key: the key is only the name and the size in bytes."""
    kept: dict[str, Any] = {}
    for key, value in pairs:
        is_repeated = key in kept and isinstance(value, dict) and "filename" in value
        kept[f"{key}#{len(kept)}" if is_repeated else key] = value
    return kept


def _options(attributes: Any) -> dict[str, dict[str, str]]:
    """The names of the values of drop-down, radio and checkbox attributes."""
    names_of: dict[str, dict[str, str]] = {}
    for name, attribute in object_or_empty(object_or_empty(attributes).get("region")).items():
        options = object_or_empty(object_or_empty(attribute).get("options"))
        texts = {key: text.strip() for key, text in options.items() if isinstance(text, str)}
        names_of[name] = {key: text for key, text in texts.items() if text}
    return names_of


def _csv_file(path: Path, file: str) -> ViaFile | None:
    """A CSV file as the JSON that VIA would have written."""
    text = file_bytes(path).decode("utf-8-sig", errors="replace")
    rows = csv.DictReader(io.StringIO(text))
    try:
        if not set(_CSV_COLUMNS) <= {(name or "").strip().lstrip("#") for name in rows.fieldnames or ()}:
            return None
        return ViaFile(tuple(_csv_records(rows)), {})
    except csv.Error as error:
        raise UserError(f"{file}: not valid CSV ({error}); export it again, or remove it from the source") from error


def _csv_records(rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    records: dict[Any, dict[str, Any]] = {}
    for row in rows:
        cells = {str(name).strip().lstrip("#"): cell for name, cell in row.items()}
        name, size = cells.get("filename"), cells.get("file_size")
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


def read(source: Source, files: Mapping[str, ViaFile]) -> Dataset:
    """The data set of the files of `recognise`: one Image per record, one Instance per region.

    The class is the region attribute that most regions have; of several, one with a name like class or label. Regions
    without any attribute are of ONLY_CLASS. A record or region that cannot be used has a problem. Raises UserError for
    a file whose coordinates are fractions of the images.
    """
    records = [
        (photo, _regions(record), via_file)
        for file, via_file in files.items()
        for photo, record in zip(_photos(source, file, via_file.records), via_file.records, strict=True)
    ]
    attribute = _class_attribute([region for _, regions, _ in records for region in regions])
    images, keys = locate_photos(source, [photo for photo, _, _ in records])
    instances = tuple(
        _instance(photo.image.place, position, region, key, attribute, via_file.options.get(attribute, {}))
        for key, (photo, regions, via_file) in zip(keys, records, strict=True)
        for position, region in enumerate(regions)
    )
    for file, of_file in groupby(instances, lambda instance: instance.place.partition(": file[")[0]):
        fractions.refuse(file, of_file)
    return Dataset(
        format=FORMAT,
        categories=categories_of(instances),
        images=tuple(images),
        instances=instances,
    )


# Photos


def _photos(source: Source, file: str, records: Sequence[Any]) -> list[PhotoReference]:
    """The photo of each record. VIA writes no folders: several records may have one name, and differ in their size."""
    photos = [_photo(file, position, record) for position, record in enumerate(records)]
    sizes: dict[str, set[str]] = defaultdict(set)
    for photo, record in zip(photos, records, strict=True):
        sizes[photo.name].add(_size(record))
    shared = {name for name, of_name in sizes.items() if name and len(of_name) > 1}
    paths: dict[str, list[Path]] = defaultdict(list)
    for image_file in source.image_files if shared else ():
        paths[posixpath.basename(image_file)].append(source.root / image_file)
    return [
        _of_size(source, photo, _size(record), paths[posixpath.basename(photo.name)]) if photo.name in shared else photo
        for photo, record in zip(photos, records, strict=True)
    ]


def _photo(file: str, position: int, record: Any) -> PhotoReference:
    image = Image(key="", file="", place=f"{file}: file[{position}]")
    try:
        name = required_text(json_object(record), "filename")
    except AnnotationError as error:
        return PhotoReference(image=replace(image, problem=error.reason, detail=str(error)))
    return PhotoReference(image=image, name=name, folders=folders_around(file, "images"))


def _size(record: Any) -> str:
    """The size in bytes, as written."""
    return str(record.get("size")) if isinstance(record, dict) else ""


def _of_size(source: Source, photo: PhotoReference, size: str, candidates: Sequence[Path]) -> PhotoReference:
    """The photo whose name several records share. candidates: the files of that name."""
    of_size = [path for path in candidates if str(path.stat().st_size) == size]
    if len(of_size) == 1:
        return replace(photo, sibling=of_size[0].relative_to(source.root).as_posix())
    problem = f"several records name {photo.name!r}, and there is no single file of that name with {size} bytes"
    detail = f"{problem}; write the folder into each filename"
    return replace(photo, name="", image=replace(photo.image, problem="missing_file", detail=detail))


# Regions


def _regions(record: Any) -> list[Any]:
    regions = object_or_empty(record).get("regions")
    if isinstance(regions, dict):  # VIA 1
        return list(regions.values())
    return regions if isinstance(regions, list) else []


def _class_attribute(regions: Sequence[Any]) -> str:
    """The region attribute that is the class, "" if no region has an attribute."""
    pairs = ((name, value) for region in regions for name, value in _attributes(region).items())
    counts = Counter(name for name, value in pairs if value not in ("", {}) and name.casefold() not in FLAGS)
    if not counts:
        return ""
    most = max(counts.values())
    name = min((name for name, count in counts.items() if count == most), key=_class_rank)
    others = sorted(set(counts) - {name})
    also = f"; others are {', '.join(map(repr, others[:_SHOWN]))}" if others else ""
    logger.info("the class is the region attribute %r, in %d of %d regions%s", name, most, len(regions), also)
    return name


def _class_rank(name: str) -> tuple[int, str]:
    folded = name.casefold()
    return (_CLASS_WORDS.index(folded) if folded in _CLASS_WORDS else len(_CLASS_WORDS)), name


def _attributes(region: Any) -> dict[str, Any]:
    return object_or_empty(object_or_empty(region).get("region_attributes"))


def _instance(place: str, position: int, entry: Any, key: str, attribute: str, options: Mapping[str, str]) -> Instance:
    """One region. place: its record; key: its image; attribute: the class attribute, options: its values' names."""
    name = f"{place}.regions[{position}]"
    fields = Fields.of_object(entry)
    return Instance(
        id=name.replace(": file[", "#["),
        place=name,
        image_key=key,
        category=fields.read(_class_name, attribute, options, default=""),
        **fields.read_together(_flags),
        **fields.read_together(_drawn),
        problem=fields.problem,
        detail=fields.detail,
    )


def _class_name(region: dict[str, Any], attribute: str, options: Mapping[str, str]) -> str:
    if not attribute:
        return ONLY_CLASS
    value = _attributes(region).get(attribute)
    if isinstance(value, dict):  # a checkbox: {"cat": true}
        ticked = [name for name, is_ticked in value.items() if is_ticked]
        value = ticked[0] if len(ticked) == 1 else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    name = options.get(value, value) if isinstance(value, str) else value
    try:
        return required_text({"class": name}, "class").strip()
    except AnnotationError:
        problem = f"attribute {attribute!r} is {reprlib.repr(value)}, which is not a class name"
        raise AnnotationError(f"{problem}; correct it or delete the region", UNKNOWN) from None


def _flags(region: dict[str, Any]) -> dict[str, Any]:
    flags = raised_flags(_attributes(region).items())
    return {"flags": flags, "detail": ", ".join(flags)}


def _drawn(region: dict[str, Any]) -> dict[str, Any]:
    """kind and rings."""
    record = json_object(region.get("shape_attributes"))
    form = record.get("name")
    xs, ys = record.get("all_points_x"), record.get("all_points_y")
    if form == "polygon":
        return {"rings": (ring_of_axes(xs, ys, minimum=3),)}
    if form == "polyline":
        return {"kind": "line", "rings": (ring_of_axes(xs, ys, minimum=2),)}
    if form == "rect":
        return {"kind": "box", "rings": (_box(record),)}
    if form == "circle":
        return {"rings": (geometry.circle(*pixel_numbers(record, "cx", "cy", "r")),)}
    if form == "ellipse":
        return {"rings": (_ellipse(record),)}
    if form == "point":
        return {"kind": "point", "rings": (tuple(pixel_numbers(record, "cx", "cy")),)}
    raise AnnotationError(f"shape {reprlib.repr(form)} is unknown; draw it as a polygon or delete it")


def _box(record: dict[str, Any]) -> Ring:
    x, y, width, height = pixel_numbers(record, "x", "y", "width", "height")
    if min(width, height) < 0:
        raise AnnotationError(f"a box of {width:g} x {height:g} pixels is impossible; draw it again or delete it")
    return geometry.box(x, y, x + width, y + height)


def _ellipse(record: dict[str, Any]) -> Ring:
    x, y, radius_x, radius_y = pixel_numbers(record, "cx", "cy", "rx", "ry")
    theta = pixel_numbers(record, "theta")[0] if record.get("theta") is not None else 0.0
    return geometry.ellipse(x, y, radius_x, radius_y, math.degrees(theta))
