"""LabelMe JSON (versions 3 to 5, and X-AnyLabeling's): one file a photograph, shapes of every type.

Source: wkentaro/labelme, labelme/label_file.py and labelme/utils/shape.py.
"""

import logging
import math
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.data import photos
from segpipe.data.photos import viewed_wh
from segpipe.data.records import FLAGS, Dataset, Image, Instance, Rle
from segpipe.ingest import fractions
from segpipe.ingest.image_records import (
    PhotoReference,
    folders_around,
    image_files_by_stem,
    locate_photos,
    sibling_photo,
)
from segpipe.ingest.parsing import (
    declared_size,
    file_bytes,
    frame_hw,
    json_document,
    json_list,
    json_object,
    raised_flags,
    required_text,
    ring_of_points,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry, mask_files, rle

logger = logging.getLogger(__name__)

FORMAT = "labelme"
_IGNORED = "__ignore__"  # labelme's own name for pixels that do not count
_BOXES = ("rectangle", "rotation", "oriented_rectangle")
_LINES = ("line", "linestrip")
_POINTS = ("point", "points")
_NOTES = ("flags", "attributes")


def recognise(source: Source) -> tuple[str, ...]:
    """The LabelMe files of a source; with them the other JSON files that have a picture of their name beside them."""
    files = source.with_suffix(".json")
    marked = {file for file in files if _is_marked(file_bytes(source.root / file))}
    pictures = image_files_by_stem(source)
    return tuple(file for file in files if marked and (file in marked or sibling_photo(pictures, file)))


def _is_marked(data: bytes) -> bool:
    return b'"shapes"' in data and b'"imagePath"' in data


def read(source: Source, files: Sequence[str]) -> Dataset:
    """Read the files of `recognise`: one Image each, and one Instance for each shape or group of shapes.

    Shapes of one group_id and label are one instance where they are outlines, lines or points alike. Never raises
    for a single file or shape: each has its `problem` and `detail` where it cannot be used.
    """
    pictures = image_files_by_stem(source)
    documents = [_document(source, file, sibling_photo(pictures, file)) for file in files]
    images, keys = locate_photos(source, [wanted for wanted, _, _ in documents])
    inside_wh = {wanted.image.place: size_wh for wanted, _, size_wh in documents}
    shapes = [drawn for _, drawn, _ in documents]
    instances = tuple(
        replace(instance, image_key=key) for key, drawn in zip(keys, shapes, strict=True) for instance in drawn
    )
    return Dataset(
        format=FORMAT,
        categories=tuple(sorted({instance.category for instance in instances if instance.category})),
        images=tuple(_told_of_size(source, image, inside_wh.get(image.place)) for image in images),
        instances=instances,
    )


def _document(source: Source, file: str, own: str) -> tuple[PhotoReference, list[Instance], tuple[int, int] | None]:
    """The photograph, the shapes, and the width and height of the photograph inside the file, if there is one.

    A photograph that is no file is read from there.
    """
    image = Image(key="", file="", place=file)
    try:
        document = json_document(source.root / file)
        shapes = json_list(document, "shapes")
    except AnnotationError as error:
        return PhotoReference(image=replace(image, problem=error.reason, detail=str(error)), sibling=own), [], None
    image = replace(image, **declared_size(document.get("imageHeight"), document.get("imageWidth")))
    text = photos.image_data_of(document)
    inside = file if text else ""
    found = _instances(file, document, shapes)
    image = fractions.with_problem(image, found)
    wanted = PhotoReference(
        image=image, name=_path(document), folders=folders_around(file), sibling=own, embedded_in=inside
    )
    return wanted, found, photos.embedded_size_wh(text) if text else None


def _path(document: dict[str, Any]) -> str:
    try:
        return required_text(document, "imagePath")
    except AnnotationError:
        return ""


def _told_of_size(source: Source, image: Image, inside_wh: tuple[int, int] | None) -> Image:
    """The image; with a detail where its file is of another size than the photograph inside its JSON."""
    if inside_wh is None or image.problem or not image.file or image.file == image.place:
        return image
    try:
        file_wh = viewed_wh(source.root / image.file)
    except AnnotationError:
        return image
    if file_wh == inside_wh:
        return image
    sizes = f"{inside_wh[0]} x {inside_wh[1]} pixels, {image.file} {file_wh[0]} x {file_wh[1]}; the file is used"
    return replace(image, detail=f"the photograph inside {image.place} has {sizes}")


def _instances(file: str, document: dict[str, Any], shapes: list[Any]) -> list[Instance]:
    members: dict[Any, list[Instance]] = {}
    for position, entry in enumerate(shapes):
        instance = _instance(f"{file}#{position}", f"{file}: shapes[{position}]", entry, document)
        members.setdefault(_group(entry, instance) or position, []).append(instance)
    return [_joined(group) for group in members.values()]


def _group(entry: Any, instance: Instance) -> tuple[str, str, str] | None:
    """What shapes of one instance share; None for a shape that stands alone."""
    number = entry.get("group_id") if isinstance(entry, dict) else None
    if number is None or not instance.category or instance.rle or instance.kind == "box":
        return None
    if instance.problem not in ("", "bad_ring"):
        return None
    return repr(number), instance.category, instance.kind


def _joined(group: list[Instance]) -> Instance:
    """One instance of all rings of a group; those that are none are counted."""
    if len(group) == 1:
        return group[0]
    drawn = [instance for instance in group if not instance.problem]
    details = [f"{len(group)} shapes of one group", *(instance.detail for instance in group if instance.detail)]
    return replace(
        (drawn or group)[0],
        rings=tuple(ring for instance in drawn for ring in instance.rings),
        rings_refused=len(group) - len(drawn) if drawn else 0,
        flags=tuple(flag for flag in FLAGS if any(flag in instance.flags for instance in group)),
        detail="; ".join(dict.fromkeys(details)),
    )


def _instance(number: str, place: str, entry: Any, document: dict[str, Any]) -> Instance:
    """The instance of one shape, as far as it can be read, with its first problem."""
    known: dict[str, Any] = {"id": number, "image_key": "", "category": "", "place": place}
    try:
        shape = json_object(entry)
        known |= _class(shape)
        known |= _noted(shape)
        known |= _drawn(shape, known, document)
    except AnnotationError as error:
        known |= {"problem": error.reason, "detail": str(error)}
    return Instance(**known)


def _class(shape: dict[str, Any]) -> dict[str, Any]:
    label = required_text(shape, "label")
    return {"role": "ignore"} if label == _IGNORED else {"category": label}


def _noted(shape: dict[str, Any]) -> dict[str, Any]:
    """Its flags, and those in words; X-AnyLabeling writes "difficult" and attributes beside the label."""
    pairs, attributes = (list(it.items()) if isinstance(it, dict) else [] for it in map(shape.get, _NOTES))
    raised = sorted(str(name) for name, value in pairs if value is True)
    found = raised_flags([*pairs, *attributes, ("difficult", shape.get("difficult"))])
    return {"flags": found, "detail": f"flags: {reprlib.repr(raised)}" if raised else ""}


def _drawn(shape: dict[str, Any], known: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The fields of an Instance that say where a shape is; sets its kind in `known` before it may fail."""
    form, points = shape.get("shape_type") or "polygon", shape.get("points")
    if form == "mask":
        return {"rle": _mask(shape, document)}
    if form == "polygon":
        return {"rings": (ring_of_points(points, minimum=3),)}
    if form == "circle":
        return {"rings": (_circle(points),)}
    if form in _BOXES:
        return {"kind": "box", "rings": (_box(points),)}
    if form in _LINES:
        known["kind"] = "line"
        return {"rings": (ring_of_points(points, minimum=2),)}
    if form in _POINTS:
        known["kind"] = "point"
        ring = ring_of_points(points, minimum=1)
        return {"rings": tuple(ring[i : i + 2] for i in range(0, len(ring), 2))}
    raise AnnotationError(f"shape_type {reprlib.repr(form)} is unknown; draw it as a polygon or delete it")


def _circle(points: Any) -> geometry.Ring:
    x, y, edge_x, edge_y = _two(points)
    return geometry.circle(x, y, math.hypot(edge_x - x, edge_y - y))


def _box(points: Any) -> geometry.Ring:
    """Two opposite corners, or, turned ones and X-AnyLabeling's, all four in their order."""
    ring = ring_of_points(points, minimum=2)
    return ring if len(ring) == 8 else geometry.box(*_two(points))


def _two(points: Any) -> geometry.Ring:
    ring = ring_of_points(points, minimum=2)
    if len(ring) != 4:
        raise AnnotationError(f"{len(ring) // 2} points where two belong; draw it again or delete it", "bad_ring")
    return ring


def _mask(shape: dict[str, Any], document: dict[str, Any]) -> Rle:
    """The crop begins in the pixel that holds the first point, as in labelme's own shapes_to_label."""
    crop = mask_files.decode_mask(mask_files.decode_base64(shape.get("mask")))
    left, top, right, bottom = _two(shape.get("points"))
    said_hw = (int(bottom) - int(top) + 1, int(right) - int(left) + 1)
    if max(abs(said - real) for said, real in zip(said_hw, crop.shape, strict=True)) > 1:
        problem = f"its mask has {crop.shape[1]} x {crop.shape[0]} pixels, its points span {said_hw[1]} x {said_hw[0]}"
        raise AnnotationError(f"{problem}; draw it again or delete it", "bad_rle")
    size_hw = frame_hw(document.get("imageHeight"), document.get("imageWidth"))
    return rle.encode_crop(crop, int(left), int(top), size_hw)
