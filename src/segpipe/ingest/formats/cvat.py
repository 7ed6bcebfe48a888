"""CVAT 1.1 XML: boxes, polygons, polylines, points, ellipses and masks on images, and tracks over frames.

Source: docs.cvat.ai/docs/manual/advanced/xml_format; cvat-ai/cvat, cvat/apps/dataset_manager/formats/cvat.py.
The shapes of an image are put in the order of their z_order, so that the nearer is on top under record_order.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import Element

from segpipe.core.errors import AnnotationError, at
from segpipe.data.records import Dataset, Image, Instance
from segpipe.data.split_words import split_named
from segpipe.ingest import fractions
from segpipe.ingest.formats import cvat_shapes
from segpipe.ingest.formats.cvat_frames import frame_records, refuse_several_videos
from segpipe.ingest.image_records import read_images
from segpipe.ingest.parsing import category_or_problem, file_bytes, with_fields, with_problem, xml_root, xml_text
from segpipe.ingest.source import Source

logger = logging.getLogger(__name__)

FORMAT = "cvat"
OUTSIDE = "outside"  # the reason code of a track's shape that is not on its frame
_NO_IMAGE = _NONE, _SEVERAL = -1, -2  # for the position of an image record


def recognise(source: Source) -> dict[str, Element]:
    """The CVAT documents of a source by file; empty if there are none. Raises UserError for a broken one."""
    return {file: root for file in source.with_suffix(".xml") if (root := _document(source, file)) is not None}


def _document(source: Source, file: str) -> Element | None:
    if b"<annotations" not in file_bytes(source.root / file):
        return None
    with at(file):
        root = xml_root(source, file)
    known = root.tag == "annotations" and any(root.find(tag) is not None for tag in ("meta", "image", "track"))
    return root if known else None


def read(source: Source, documents: Mapping[str, Element]) -> Dataset:
    """Read the documents of `recognise` as one data set: one class table by name, in the order of the labels.

    Never raises for a single record: each shape becomes one Instance, in a track each of its shapes, with `problem`
    and `detail` where it cannot be used. Raises UserError for a file in fractions of the pictures, and for tracks of
    several videos over the same pictures.
    """
    refuse_several_videos(source, documents)
    entries = {file: _photo_entries(source, file, root) for file, root in documents.items()}
    images, keys = read_images(source, entries, "image")
    image_of = {image.key: image for image in images}
    instances: list[Instance] = []
    for file, root in documents.items():
        shapes = _in_order(file, root, entries[file])
        found = [_instance(shape, image_of.get(keys[file].get(shape.image_id, ""))) for shape in shapes]
        fractions.refuse(file, found)
        instances += found
    splits = {keys[file].get(entry["id"]): entry["split"] for file, found in entries.items() for entry in found}
    labels = [name for root in documents.values() for name in _labels(root)]
    names = dict.fromkeys([*labels, *(instance.category for instance in instances if instance.category)])
    return Dataset(
        format=FORMAT,
        categories=tuple(names),
        images=tuple(
            replace(image, split=splits.get(image.key) or image.split)
            for image in sorted(images, key=lambda image: (image.file, image.place))
        ),
        instances=tuple(instances),
    )


def _labels(root: Element) -> Iterator[str]:
    """The names of the labels, without those of a skeleton's points."""
    for label in root.iterfind("meta//labels/label"):
        name = xml_text(label, "name")
        if name and label.find("parent") is None:
            yield name


def _photo_entries(source: Source, file: str, root: Element) -> list[dict[str, Any]]:
    """The image records: id, file_name, width, height, split; ids are positions, frames have numbers behind those."""
    subset = xml_text(root, "meta//subset")
    images = [_photo_entry(position, element, subset) for position, element in enumerate(root.iterfind("image"))]
    if images:
        return images
    return [record | {"split": split_named(subset)} for record in frame_records(source, file, root)]


def _photo_entry(position: int, element: Element, subset: str) -> dict[str, Any]:
    size = {key: _whole(text) for key in ("width", "height") if (text := element.get(key)) is not None}
    split = split_named(element.get("subset") or subset)
    return {"id": position, "file_name": element.get("name"), "split": split, "frame": _whole(element.get("id"))} | size


def _whole(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 18 else text


@dataclass(frozen=True, slots=True)
class _Placed:
    """One shape element. image_id: of its image record, or one of _NO_IMAGE; label: that it has, or its track."""

    element: Element
    image_id: int
    label: str | None
    id: str
    place: str


def _in_order(file: str, root: Element, entries: Sequence[Mapping[str, Any]]) -> list[_Placed]:
    """The shapes of all images, then of all tracks, of each image in the order of z_order, then of the file."""
    shapes = [*_on_images(file, root), *_in_tracks(file, root, entries)]
    return sorted(shapes, key=lambda shape: (shape.image_id, _z_order(shape.element)))


def _on_images(file: str, root: Element) -> Iterator[_Placed]:
    for number, image in enumerate(root.iterfind("image")):
        for position, element in enumerate(image):
            place = f"{file}: image[{number}] ({image.get('name', '')}): {element.tag}[{position}]"
            yield _Placed(element, number, element.get("label"), f"{file}#{number}.{position}", place)


def _in_tracks(file: str, root: Element, entries: Sequence[Mapping[str, Any]]) -> Iterator[_Placed]:
    records: dict[Any, dict[str, int]] = {}
    for entry in reversed(entries):
        records.setdefault(entry["frame"], {})[entry["file_name"]] = entry["id"]
    for number, track in enumerate(root.iterfind("track")):
        for position, element in enumerate(track):
            frame = _whole(element.get("frame", ""))
            place = f"{file}: track[{number}] (id {track.get('id', '')}): {element.tag}[{position}] (frame {frame})"
            found = records.get(frame, {}) if frame is not None else {}
            image_id = next(iter(found.values())) if len(found) == 1 else _SEVERAL if found else _NONE
            yield _Placed(element, image_id, track.get("label"), f"{file}#track{number}.{position}", place)


def _z_order(element: Element) -> int:
    try:
        return int(element.get("z_order", "0"))
    except ValueError:
        return 0


def _instance(shape: _Placed, image: Image | None) -> Instance:
    """The instance of one shape, as far as it can be read, with its first problem."""
    known: dict[str, Any] = {"id": shape.id, "place": shape.place, "image_key": "", "category": ""}
    try:
        known["image_key"] = _key(shape, image)
        if shape.element.get("outside") == "1":
            known["category"] = (shape.label or "").strip()
            raise AnnotationError("its track says that it is not on this frame", OUTSIDE)
        known |= category_or_problem(_label, shape)
        known = with_fields(known, cvat_shapes.noted(shape.element))
        known |= cvat_shapes.drawn(shape.element, _size_hw(image))
    except AnnotationError as error:
        known = with_problem(known, error)
    return Instance(**known)


def _key(shape: _Placed, image: Image | None) -> str:
    frame = shape.element.get("frame")
    if shape.image_id == _SEVERAL:
        problem = f"several images have the number of frame {frame}; give each a number that no other has"
        raise AnnotationError(problem, "ambiguous_image")
    if image is None:
        raise AnnotationError(f"no picture has the number of frame {frame}; put it there", "unknown_image")
    return image.key


def _label(shape: _Placed) -> str:
    if shape.label is None or not shape.label.strip():
        raise AnnotationError("has no label; give it one or delete it", "unknown_category")
    return shape.label.strip()


def _size_hw(image: Image | None) -> tuple[int, int] | None:
    return None if image is None or image.width is None or image.height is None else (image.height, image.width)
