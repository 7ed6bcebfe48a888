"""COCO panoptic: a JSON of segments, and a folder of PNGs whose colours are the segments' ids.

Source: cocodataset.org/#format-data (panoptic segmentation); cocodataset/panopticapi, panopticapi/utils.py (rgb2id).
"""

import posixpath
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segpipe.core.errors import AnnotationError, at
from segpipe.core.parallel import Mapper
from segpipe.data.records import Dataset, Instance
from segpipe.ingest.formats.coco import category_name, class_names, role
from segpipe.ingest.image_records import image_key, read_images
from segpipe.ingest.mask_surveys import Survey, survey
from segpipe.ingest.parsing import (
    Id,
    category_or_problem,
    file_bytes,
    is_whole,
    json_object,
    parsed_json,
    record_id,
    required_text,
    with_problem,
)
from segpipe.ingest.photo_finder import PhotoFinder
from segpipe.ingest.source import Source, folder_of, with_parents

FORMAT = "coco_panoptic"
Document = Mapping[str, Any]

_VOID = 0  # panopticapi/evaluation.py: VOID, pixels of no segment, which count for nothing
_LARGEST_ID = 2**24 - 1
_LISTS = ("images", "annotations", "categories")


def recognise(source: Source) -> dict[str, Document]:
    """The panoptic documents of a source by file. Raises UserError for one that cannot be read."""
    return {file: doc for file in source.with_suffix(".json") if (doc := _document(source, file)) is not None}


def _document(source: Source, file: str) -> Document | None:
    data = file_bytes(source.root / file)
    if b'"segments_info"' not in data:
        return None
    with at(file):
        document = parsed_json(data)
    whole = isinstance(document, dict) and all(isinstance(document.get(key), list) for key in _LISTS)
    return document if whole else None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One record of the list annotations. png: its file of the source, "" if there is none; problem: why."""

    file: str
    position: int
    record: Any
    png: str
    problem: str


def read(source: Source, documents: Mapping[str, Document], mapper: Mapper = map) -> Dataset:
    """Read the documents of `recognise` as one data set: one Instance for each segment, the pixels of its colour.

    Pixels of no segment (black) are an Instance to ignore; a colour that no segment has, and a record that cannot be
    used, is one with a problem. Never raises for a single record.
    """
    finder = PhotoFinder(source)
    entries = [
        _entry(source, finder, file, n, r, _photo_names(doc))
        for file, doc in documents.items()
        for n, r in enumerate(doc["annotations"])
    ]
    pngs = sorted({entry.png for entry in entries if entry.png})
    surveys = dict(zip(pngs, mapper(survey, [source.root / png for png in pngs]), strict=True))
    images, keys = read_images(_without(source, pngs), {file: doc["images"] for file, doc in documents.items()})
    classes = {file: class_names(file, doc) for file, doc in documents.items()}
    instances = [
        instance
        for entry in entries
        for instance in _instances(entry, surveys.get(entry.png), keys[entry.file], classes[entry.file])
    ]
    names = dict.fromkeys(name for table in classes.values() for name in table.values() if name)
    return Dataset(
        format=FORMAT,
        categories=tuple(names),
        images=tuple(sorted(images, key=lambda image: (image.file, image.place))),
        instances=tuple(_with_own_ids(instances)),
    )


def _without(source: Source, pngs: Sequence[str]) -> Source:
    """The source without the PNGs, which are no photographs."""
    taken = frozenset(pngs)
    return Source(source.root, tuple(file for file in source.files if file not in taken), source.refused)


def _photo_names(document: Document) -> frozenset[str]:
    named = (record.get("file_name") for record in document["images"] if isinstance(record, dict))
    return frozenset(name for name in named if isinstance(name, str))


def _entry(
    source: Source, finder: PhotoFinder, file: str, position: int, record: Any, photos: frozenset[str]
) -> _Entry:
    """The entry of a record. photos: the names of photographs, which stand elsewhere than a PNG of the same name."""
    try:
        name = required_text(json_object(record), "file_name")
    except AnnotationError as error:
        return _Entry(file, position, record, "", str(error))
    png = finder.as_written(name, _folders(file, also_of_photos=name not in photos))
    if png in source.refused:
        return _Entry(file, position, record, "", f"{png} {source.refused[png]}")
    problem = "" if png else f"no file {name!r} in the folder of its PNGs; put it there or delete the record"
    return _Entry(file, position, record, png or "", problem)


def _folders(json_file: str, also_of_photos: bool) -> list[str]:
    """Where the PNGs may stand: in a folder of the JSON's name, beside it or above it.

    also_of_photos: in the folder of the split's name too, which may be that of the photographs.
    """
    stem = posixpath.splitext(posixpath.basename(json_file))[0]
    bases = with_parents(folder_of(json_file))
    split = [re.sub(r"^panoptic_", "", stem)] if also_of_photos else []
    names = (stem, *split, "panoptic", "masks", "annotations")
    return [posixpath.join(base, name) for name in names for base in bases]


def _instances(
    entry: _Entry, found: Survey | None, keys: Mapping[Id, str], classes: Mapping[Id, str]
) -> Iterator[Instance]:
    place = f"{entry.file}: annotations[{entry.position}]"
    bare = Instance(id=f"{entry.file}#@{entry.position}", image_key="", category="", place=place)
    try:
        record = json_object(entry.record)
        number = record_id(record, "image_id")
        bare = replace(bare, id=f"{entry.file}#{number}", image_key=image_key(record, keys))
        segments = record.get("segments_info")
        if not isinstance(segments, list):
            raise AnnotationError(f"segments_info {reprlib.repr(segments)} is no list; export it again")
    except AnnotationError as error:
        yield replace(bare, problem=error.reason, detail=str(error))
        return
    known = [_segment(bare, n, segment, entry, found, classes) for n, segment in enumerate(segments)]
    yield from known
    if found is not None and not found.problem:
        yield from _unlisted(bare, entry.png, found, {_segment_id(segment) for segment in segments})


def _segment(
    bare: Instance, position: int, segment: Any, entry: _Entry, found: Survey | None, classes: Mapping[Id, str]
) -> Instance:
    known: dict[str, Any] = {
        "id": f"{bare.id}.@{position}", "place": f"{bare.place}.segments_info[{position}]",
    }  # fmt: skip
    try:
        record = json_object(segment)
        value = _segment_id(record)
        if value is None:
            raise AnnotationError(f"id {reprlib.repr(record.get('id'))} is no colour's number; export it again")
        known |= {"id": f"{bare.id}.{value}", "place": f"{known['place']} (id {value})"}
        if found is None or found.problem:
            raise AnnotationError(entry.problem or f"{entry.png} {found.problem if found else ''}")
        pixels = dict(found.pixels).get(value, 0)
        known |= {"mask_file": entry.png, "mask_value": value, "area": float(pixels)}
        known |= category_or_problem(category_name, record, classes)
        known["role"] = role(record)
    except AnnotationError as error:
        known = with_problem(known, error)
    return replace(bare, **known)


def _segment_id(segment: Any) -> int | None:
    number = segment.get("id") if isinstance(segment, dict) else None
    return int(number) if number is not None and is_whole(number, 1) and number <= _LARGEST_ID else None


def _unlisted(bare: Instance, png: str, found: Survey, listed: set[int | None]) -> Iterator[Instance]:
    """The pixels of no segment, and each colour that no segment has."""
    for value, pixels in found.pixels:
        if value not in listed:
            instance = replace(
                bare, id=f"{png}#{value}", place=f"{png}: {value}", mask_file=png, mask_value=value, area=float(pixels)
            )
            if value == _VOID:
                yield replace(instance, role="ignore", detail="pixels of no segment")
            else:
                detail = f"no segment has the id {value}; add it to segments_info or export the PNG again"
                yield replace(instance, problem="unknown_category", detail=detail)


def _with_own_ids(instances: Sequence[Instance]) -> Iterator[Instance]:
    """The instances, with a mark behind an id that an earlier one has."""
    used: set[str] = set()
    for position, instance in enumerate(instances):
        name = instance.id if instance.id not in used else f"{instance.id}@{position}"
        used.add(name)
        yield instance if name == instance.id else replace(instance, id=name, note="duplicate_id")
