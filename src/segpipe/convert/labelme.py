"""LabelMe JSON: one file per image; outlines keep every number, masks become the mask shapes of LabelMe 5.

Source: wkentaro/labelme, labelme/label_file.py and labelme/utils/shape.py.
"""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from segpipe.convert.target import (
    AnnotatedImage,
    Target,
    Written,
    annotated_images,
    by_path,
    path_from,
    suffix,
    target_stems,
)
from segpipe.core.errors import AnnotationError
from segpipe.core.files import write_json
from segpipe.data import photos
from segpipe.data.records import Dataset, Instance
from segpipe.masks import outlines

_VERSION = "5.5.0"
_IGNORED = "__ignore__"  # LabelMe's label for ignored pixels
_SHAPE_TYPES = {"region": "polygon", "box": "polygon", "line": "linestrip", "point": "point"}


def write(dataset: Dataset, target: Target) -> Written:
    """Write one file for each image."""
    written = Written()
    images = annotated_images(dataset, target.root, written)
    stems = target_stems([annotated.image for annotated in images], by_path)
    for annotated in images:
        image, stem = annotated.image, stems[annotated.image.key]
        photo = stem + suffix(image, target.root)
        target.copy_photo(image.file, photo)
        path, source = target.out / f"{stem}.json", target.root / image.file
        is_embedded = photos.is_embedded(source) and not target.copy_images
        named = target.out / photo if target.copy_images or is_embedded else source
        document = _document(annotated, path_from(path.parent, named), target.root, written)
        embedded = {photos.IMAGE_DATA: photos.embedded_text(source)} if is_embedded else {}
        write_json(path, document | embedded)
    names = {instance.category for annotated in images for instance in annotated.instances if instance.category}
    if tuple(sorted(names)) != dataset.categories:
        written.changed["class: LabelMe has no list of classes, so their order and unused ones are lost"] = len(names)
    return written


def _document(annotated: AnnotatedImage, image_path: str, root: Path, written: Written) -> dict[str, Any]:
    shapes = []
    for group, instance in enumerate(annotated.instances, start=1):
        try:
            shapes += _shapes(instance, group, annotated.size_hw, root, written)
        except AnnotationError as error:
            written.dropped[f"annotation: {error.reason}"] += 1
        else:
            written.counts["ignored region" if instance.role == "ignore" else "object"] += 1
    return {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        photos.IMAGE_DATA: None,
        "imageHeight": annotated.size_hw[0],
        "imageWidth": annotated.size_hw[1],
    }


def _shapes(
    instance: Instance, group: int, size_hw: tuple[int, int], root: Path, written: Written
) -> list[dict[str, Any]]:
    """One shape for each ring; several rings have the same group."""
    label = instance.category if instance.role == "object" else _IGNORED
    if not instance.rings or _has_holes(instance):
        shapes = [_mask_shape(label, outlines.to_mask(outlines.region(instance, size_hw, root)))]
    elif instance.kind == "box" and (corners := _corners(instance)):
        shapes = [_shape(label, "rectangle", corners)]
    else:
        group_id = {"group_id": group} if len(instance.rings) > 1 else {}
        shapes = [_shape(label, _SHAPE_TYPES[instance.kind], ring) | group_id for ring in instance.rings]
    _count_changes(instance, written)
    return [shape | {"flags": dict.fromkeys(instance.flags, True)} for shape in shapes]


def _count_changes(instance: Instance, written: Written) -> None:
    if instance.role == "crowd":
        written.changed[f"crowd: as {_IGNORED}, without class"] += 1
    if instance.role == "ignore" and instance.layered:
        written.changed["ignored region: under the objects instead of over them"] += 1
    if _has_holes(instance):
        written.changed["object: outline with holes, as mask of the same pixels"] += 1
    if instance.kind == "box" and not _corners(instance):
        written.changed["rotated box: as outline with four corners"] += 1
    if instance.rle:
        written.changed["object: run lengths, as mask of the same pixels"] += 1


def _has_holes(instance: Instance) -> bool:
    return bool(instance.holes) or instance.even_odd


def _corners(instance: Instance) -> tuple[float, ...]:
    """Two opposite corners of an upright box; () if it is rotated."""
    ring = instance.rings[0]
    left, top, right, bottom = min(ring[0::2]), min(ring[1::2]), max(ring[0::2]), max(ring[1::2])
    is_upright = ring == (left, top, right, top, right, bottom, left, bottom)
    return (left, top, right, bottom) if is_upright else ()


def _shape(label: str, kind: str, flat: tuple[float, ...]) -> dict[str, Any]:
    points = [list(flat[i : i + 2]) for i in range(0, len(flat), 2)]
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}


def _mask_shape(label: str, mask: np.ndarray) -> dict[str, Any]:
    """A mask, bool (H, W), as a PNG of the box around its pixels; the points are the box's first and last pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom = (int(rows[0]), int(rows[-1])) if len(rows) else (0, 0)
    left, right = (int(columns[0]), int(columns[-1])) if len(columns) else (0, 0)
    buffer = io.BytesIO()
    Picture.fromarray(mask[top : bottom + 1, left : right + 1]).save(buffer, "PNG")
    shape = _shape(label, "mask", (float(left), float(top), float(right), float(bottom)))
    return shape | {"mask": base64.b64encode(buffer.getvalue()).decode("ascii")}
