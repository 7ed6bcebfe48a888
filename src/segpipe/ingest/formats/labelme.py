"""LabelMe JSON: one file per photo, with shapes of every type.

    a.jpg      named by imagePath, or by the name of the JSON; or inside the JSON as imageData (base64)
    a.json     {"shapes": [...], "imagePath": "a.jpg", "imageData": null, "imageHeight": 666, "imageWidth": 1000}

Encoding: a shape has a `label`, a `shape_type` and `points` [[x, y], ...] in pixels. A rectangle is two opposite
corners, a circle its centre and a point on it, a mask two corners and a base64 PNG. Shapes of one group_id, label and
kind are one object. The label `__ignore__` marks pixels to ignore.
Spec: wkentaro/labelme, labelme/label_file.py and labelme/utils/shape.py.
Versions: LabelMe 2 to 5, and X-AnyLabeling (rectangles with four corners, oriented_rectangle, attributes).
"""

import logging
import math
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.core.plurals import counted
from segpipe.data import photos
from segpipe.data.records import FLAGS, Dataset, Image, Instance, Rle, ShapeKind
from segpipe.ingest import fractions
from segpipe.ingest.image_records import (
    PhotoReference,
    categories_of,
    folders_around,
    image_files_by_stem,
    locate_photos,
    marked_or_beside_photos,
    sibling_photo,
    with_image_keys,
)
from segpipe.ingest.parsing import (
    Fields,
    declared_size,
    frame_hw,
    json_document,
    json_list,
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

FORMAT = "labelme"
_IGNORED = "__ignore__"
_BOXES = ("rectangle", "rotation", "oriented_rectangle")
_LINES = ("line", "linestrip")
_POINTS = ("point", "points")


def recognise(source: Source) -> tuple[str, ...]:
    """The LabelMe files of a source, and with them the other JSON files beside a photo of their name."""
    return marked_or_beside_photos(source, ".json", _is_marked)


def _is_marked(data: bytes) -> bool:
    return b'"shapes"' in data and b'"imagePath"' in data


def read(source: Source, files: Sequence[str]) -> Dataset:
    """The data set of the files of `recognise`: one Image per file, one Instance per shape or group of shapes.

    A file or shape that cannot be used has a problem.
    """
    stems = image_files_by_stem(source)
    documents = [_document(source, file, sibling_photo(stems, file)) for file in files]
    images, keys = locate_photos(source, [photo for photo, _, _ in documents])
    embedded_wh = {photo.image.place: size_wh for photo, _, size_wh in documents}
    instances = with_image_keys(keys, [of_file for _, of_file, _ in documents])
    return Dataset(
        format=FORMAT,
        categories=categories_of(instances),
        images=tuple(_with_size_note(source, image, embedded_wh.get(image.place)) for image in images),
        instances=instances,
    )


def _document(source: Source, file: str, sibling: str) -> tuple[PhotoReference, list[Instance], tuple[int, int] | None]:
    """The photo, the instances, and the (width, height) of the photo inside the file, if there is one."""
    image = Image(key="", file="", place=file)
    try:
        document = json_document(source.root / file)
        shapes = json_list(document, "shapes")
    except AnnotationError as error:
        return PhotoReference(image=replace(image, problem=error.reason, detail=str(error)), sibling=sibling), [], None
    image = replace(image, **declared_size(document.get("imageHeight"), document.get("imageWidth")))
    embedded = photos.image_data_of(document)
    instances = _instances(file, document, shapes)
    photo = PhotoReference(
        image=fractions.with_problem(image, instances),
        name=_path(document),
        folders=folders_around(file),
        sibling=sibling,
        embedded_in=file if embedded else "",
    )
    return photo, instances, photos.embedded_size_wh(embedded) if embedded else None


def _path(document: dict[str, Any]) -> str:
    try:
        return required_text(document, "imagePath")
    except AnnotationError:
        return ""


def _with_size_note(source: Source, image: Image, embedded_wh: tuple[int, int] | None) -> Image:
    """The image, with a detail if its file and the photo inside its JSON differ in size."""
    if embedded_wh is None or image.problem or not image.file or image.file == image.place:
        return image
    try:
        file_wh = photos.viewed_wh(source.root / image.file)
    except AnnotationError:
        return image
    if file_wh == embedded_wh:
        return image
    sizes = f"{embedded_wh[0]} x {embedded_wh[1]} pixels, {image.file} {file_wh[0]} x {file_wh[1]}; the file is used"
    return replace(image, detail=f"the photo inside {image.place} has {sizes}")


def _instances(file: str, document: dict[str, Any], shapes: list[Any]) -> list[Instance]:
    groups: dict[Any, list[Instance]] = {}
    for position, entry in enumerate(shapes):
        instance = _instance(f"{file}#{position}", f"{file}: shapes[{position}]", entry, document)
        groups.setdefault(_group(entry, instance) or position, []).append(instance)
    return [_joined(group) for group in groups.values()]


def _group(entry: Any, instance: Instance) -> tuple[str, str, str] | None:
    """The key that the shapes of one object share; None for a shape that is a whole object."""
    number = entry.get("group_id") if isinstance(entry, dict) else None
    if number is None or not instance.category or instance.rle or instance.kind == "box":
        return None
    if instance.problem not in ("", "bad_ring"):
        return None
    return repr(number), instance.category, instance.kind


def _joined(group: list[Instance]) -> Instance:
    """One instance with all valid rings of a group and the number of the others."""
    if len(group) == 1:
        return group[0]
    valid = [instance for instance in group if not instance.problem]
    details = [f"{len(group)} shapes of one group", *(instance.detail for instance in group if instance.detail)]
    return replace(
        (valid or group)[0],
        rings=tuple(ring for instance in valid for ring in instance.rings),
        rings_refused=len(group) - len(valid) if valid else 0,
        flags=tuple(flag for flag in FLAGS if any(flag in instance.flags for instance in group)),
        detail="; ".join(dict.fromkeys(details)),
    )


def _instance(number: str, place: str, entry: Any, document: dict[str, Any]) -> Instance:
    """One entry of the list shapes."""
    fields = Fields.of_object(entry)
    label = fields.read(required_text, "label", default="")
    return Instance(
        id=number,
        image_key="",
        category="" if label == _IGNORED else label,
        role="ignore" if label == _IGNORED else "object",
        **fields.read_together(_flags),
        **{"kind": fields.read(_kind, default="region"), **fields.read_together(_drawn, document)},
        place=place,
        problem=fields.problem,
        detail=fields.detail,
    )


def _flags(shape: dict[str, Any]) -> dict[str, Any]:
    """The shape's flags, and as the detail all that are set. X-AnyLabeling also writes "difficult" and attributes."""
    declared, attributes = (object_or_empty(shape.get(key)) for key in ("flags", "attributes"))
    names = sorted(str(name) for name, value in declared.items() if value is True)
    flags = raised_flags([*declared.items(), *attributes.items(), ("difficult", shape.get("difficult"))])
    return {"flags": flags, "detail": f"flags: {reprlib.repr(names)}" if names else ""}


def _type(shape: dict[str, Any]) -> Any:
    return shape.get("shape_type") or "polygon"  # LabelMe 2 wrote no type


def _kind(shape: dict[str, Any]) -> ShapeKind:
    """Line or point, known even if the points cannot be read; else region."""
    form = _type(shape)
    return "line" if form in _LINES else "point" if form in _POINTS else "region"


def _drawn(shape: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """rings, for boxes kind, or rle."""
    form, points = _type(shape), shape.get("points")
    if form == "mask":
        return {"rle": _mask(shape, document)}
    if form == "polygon":
        return {"rings": (ring_of_points(points, minimum=3),)}
    if form == "circle":
        return {"rings": (_circle(points),)}
    if form in _BOXES:
        return {"kind": "box", "rings": (_box(points),)}
    if form in _LINES:
        return {"rings": (ring_of_points(points, minimum=2),)}
    if form in _POINTS:
        return {"rings": single_points(ring_of_points(points, minimum=1))}
    raise AnnotationError(f"shape_type {reprlib.repr(form)} is unknown; draw it as a polygon or delete it")


def _circle(points: Any) -> Ring:
    x, y, edge_x, edge_y = _two_points(points)
    return geometry.circle(x, y, math.hypot(edge_x - x, edge_y - y))


def _box(points: Any) -> Ring:
    """The four corners of two opposite ones; four corners, as of a rotated box, are kept."""
    ring = ring_of_points(points, minimum=2)
    return ring if len(ring) == 8 else geometry.box(*_two_points(points))


def _two_points(points: Any) -> Ring:
    ring = ring_of_points(points, minimum=2)
    if len(ring) != 4:
        points = counted(len(ring) // 2, "point")
        raise AnnotationError(f"it has {points} instead of 2; draw it again or delete it", "bad_ring")
    return ring


def _mask(shape: dict[str, Any], document: dict[str, Any]) -> Rle:
    """The mask of a crop in its frame. The crop starts in the pixel of the first point, as in shapes_to_label."""
    crop = mask_files.decode_mask(mask_files.decode_base64(shape.get("mask")))
    left, top, right, bottom = _two_points(shape.get("points"))
    span_hw = (int(bottom) - int(top) + 1, int(right) - int(left) + 1)
    if max(abs(length - pixels) for length, pixels in zip(span_hw, crop.shape, strict=True)) > 1:
        span = f"its points span {span_hw[1]} x {span_hw[0]}"
        problem = f"its mask has {crop.shape[1]} x {crop.shape[0]} pixels, but {span}"
        raise AnnotationError(f"{problem}; draw it again or delete it", "bad_rle")
    size_hw = frame_hw(document.get("imageHeight"), document.get("imageWidth"))
    return rle.encode_crop(crop, int(left), int(top), size_hw)
