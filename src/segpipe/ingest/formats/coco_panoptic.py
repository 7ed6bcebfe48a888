"""COCO panoptic: a JSON of segments, and a folder of PNGs whose colours are the ids of the segments.

    annotations/panoptic_val2017.json       {"images": [...], "annotations": [...], "categories": [...]}
    annotations/panoptic_val2017/x.png      named by file_name of an annotation; the folder may have other names
    val2017/x.jpg                           named by file_name of an image

Encoding: an annotation is one image; each entry of its `segments_info` is one object. The pixels of a segment have the
colour R + 256 G + 65536 B = its id. Black pixels are in no segment and are ignored.
Spec: https://cocodataset.org/#format-data (panoptic segmentation); cocodataset/panopticapi, panopticapi/utils.py
(rgb2id) and panopticapi/evaluation.py (VOID).
Versions: COCO 2017 with the panoptic annotations of 2018.
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
from segpipe.ingest.formats.coco import LISTS, Document, category_name, class_names, role
from segpipe.ingest.image_records import image_key, read_images
from segpipe.ingest.mask_surveys import Survey, survey
from segpipe.ingest.parsing import Fields, Id, file_bytes, is_whole, json_object, parsed_json, record_id, required_text
from segpipe.ingest.photo_finder import PhotoFinder
from segpipe.ingest.source import Source, folder_of, with_parents

FORMAT = "coco_panoptic"
_VOID = 0  # the colour of pixels in no segment
_MAX_ID = 2**24 - 1


def recognise(source: Source) -> dict[str, Document]:
    """The panoptic documents of a source by file. Raises UserError for one that cannot be read."""
    return {file: doc for file in source.with_suffix(".json") if (doc := _document(source, file)) is not None}


def _document(source: Source, file: str) -> Document | None:
    data = file_bytes(source.root / file)
    if b'"segments_info"' not in data:
        return None
    with at(file):
        document = parsed_json(data)
    has_lists = isinstance(document, dict) and all(isinstance(document.get(key), list) for key in LISTS)
    return document if has_lists else None


@dataclass(frozen=True, slots=True)
class _Annotation:
    """One entry of the list annotations: the segments of one image."""

    file: str
    position: int
    entry: Any
    png: str  # its file in the source, "" if there is none
    problem: str  # why there is none


def read(source: Source, documents: Mapping[str, Document], mapper: Mapper = map) -> Dataset:
    """The data set of the documents of `recognise`: one Instance per segment, the pixels of its colour.

    The pixels of no segment are an Instance to ignore. A colour without a segment, and a record that cannot be used,
    is an Instance with a problem.
    """
    finder = PhotoFinder(source)
    annotations = [
        _annotation(source, finder, file, position, entry, _photo_names(doc))
        for file, doc in documents.items()
        for position, entry in enumerate(doc["annotations"])
    ]
    pngs = sorted({annotation.png for annotation in annotations if annotation.png})
    surveys = dict(zip(pngs, mapper(survey, [source.root / png for png in pngs]), strict=True))
    images, key_of = read_images(_without(source, pngs), {file: doc["images"] for file, doc in documents.items()})
    names = {file: class_names(file, doc) for file, doc in documents.items()}
    instances = [
        instance
        for annotation in annotations
        for instance in _instances(
            annotation, surveys.get(annotation.png), key_of[annotation.file], names[annotation.file]
        )
    ]
    return Dataset(
        format=FORMAT,
        categories=tuple(dict.fromkeys(name for table in names.values() for name in table.values() if name)),
        images=tuple(sorted(images, key=lambda image: (image.file, image.place))),
        instances=tuple(_with_unique_ids(instances)),
    )


def _without(source: Source, pngs: Sequence[str]) -> Source:
    """The source without the PNGs, which are not photos."""
    left_out = frozenset(pngs)
    return Source(source.root, tuple(file for file in source.files if file not in left_out), source.refused)


def _photo_names(document: Document) -> frozenset[str]:
    names = (record.get("file_name") for record in document["images"] if isinstance(record, dict))
    return frozenset(name for name in names if isinstance(name, str))


def _annotation(
    source: Source, finder: PhotoFinder, file: str, position: int, entry: Any, photo_names: frozenset[str]
) -> _Annotation:
    try:
        name = required_text(json_object(entry), "file_name")
    except AnnotationError as error:
        return _Annotation(file, position, entry, "", str(error))
    png = finder.as_written(name, _png_folders(file, may_be_with_photos=name not in photo_names))
    if png in source.refused:
        return _Annotation(file, position, entry, "", f"{png} {source.refused[png]}")
    problem = "" if png else f"no file {name!r} in the folder of its PNGs; add it or delete the record"
    return _Annotation(file, position, entry, png or "", problem)


def _png_folders(json_file: str, may_be_with_photos: bool) -> list[str]:
    """The possible folders of the PNGs: a folder named after the JSON or like "panoptic", beside the JSON or above it.

    may_be_with_photos: also in the folder named after the split, which may be the folder of the photos.
    """
    stem = posixpath.splitext(posixpath.basename(json_file))[0]
    split = [re.sub(r"^panoptic_", "", stem)] if may_be_with_photos else []
    names = (stem, *split, "panoptic", "masks", "annotations")
    return [posixpath.join(base, name) for name in names for base in with_parents(folder_of(json_file))]


def _instances(
    annotation: _Annotation, png: Survey | None, key_of: Mapping[Id, str], names: Mapping[Id, str]
) -> Iterator[Instance]:
    """The segments of one image, then the colours of its PNG that are in no segment."""
    fields = Fields.of_object(annotation.entry)
    number = fields.read(record_id, "image_id", default="")
    key = fields.read(image_key, key_of, default="")
    segments = fields.read(_segments, default=[])
    common = Instance(
        id=f"{annotation.file}#{number}" if key else f"{annotation.file}#@{annotation.position}",
        image_key=key,
        category="",
        place=f"{annotation.file}: annotations[{annotation.position}]",
        problem=fields.problem,
        detail=fields.detail,
    )
    if common.problem:
        yield common
        return
    of_segments = [_segment(common, position, entry, annotation, png, names) for position, entry in enumerate(segments)]
    yield from of_segments
    if png is not None and not png.problem:
        yield from _other_colours(common, annotation.png, png, {segment.mask_value for segment in of_segments})


def _segments(record: dict[str, Any]) -> list[Any]:
    segments = record.get("segments_info")
    if not isinstance(segments, list):
        raise AnnotationError(f"segments_info {reprlib.repr(segments)} is not a list; export it again")
    return segments


def _segment(
    common: Instance, position: int, entry: Any, annotation: _Annotation, png: Survey | None, names: Mapping[Id, str]
) -> Instance:
    """One entry of segments_info. common: the fields of all segments of its image."""
    fields = Fields.of_object(entry)
    value = fields.read(_colour_value, default=None)
    place = f"{common.place}.segments_info[{position}]"
    return replace(
        common,
        id=f"{common.id}.@{position}" if value is None else f"{common.id}.{value}",
        place=place if value is None else f"{place} (id {value})",
        **fields.read_together(_mask, value, annotation, png),
        category=fields.read(category_name, names, default=""),
        role=fields.read(role, default="object"),
        problem=fields.problem,
        detail=fields.detail,
    )


def _colour_value(record: dict[str, Any]) -> int | None:
    """The id of a segment, which is the number of its colour."""
    number = record.get("id")
    if number is None or not is_whole(number, 1) or number > _MAX_ID:
        raise AnnotationError(f"id {reprlib.repr(number)} is not the number of a colour; export it again")
    return int(number)


def _mask(record: dict[str, Any], value: int | None, annotation: _Annotation, png: Survey | None) -> dict[str, Any]:
    if png is None or png.problem:
        raise AnnotationError(annotation.problem or f"{annotation.png} {png.problem if png else ''}")
    return {"mask_file": annotation.png, "mask_value": value, "area": float(dict(png.pixels).get(value or 0, 0))}


def _other_colours(common: Instance, file: str, png: Survey, segments: set[int | None]) -> Iterator[Instance]:
    """The pixels of no segment, and each colour that is not in `segments`."""
    for value, pixels in png.pixels:
        if value not in segments:
            instance = replace(
                common,
                id=f"{file}#{value}",
                place=f"{file}: {value}",
                mask_file=file,
                mask_value=value,
                area=float(pixels),
            )
            if value == _VOID:
                yield replace(instance, role="ignore", detail="pixels of no segment")
            else:
                detail = f"no segment has the id {value}; add it to segments_info or export the PNG again"
                yield replace(instance, problem="unknown_category", detail=detail)


def _with_unique_ids(instances: Sequence[Instance]) -> Iterator[Instance]:
    """The instances; an id that an earlier instance has gets its position behind it."""
    used: set[str] = set()
    for position, instance in enumerate(instances):
        name = instance.id if instance.id not in used else f"{instance.id}@{position}"
        used.add(name)
        yield instance if name == instance.id else replace(instance, id=name, note="duplicate_id")
