"""LabelMe JSON: one file beside each photograph; outlines number for number, masks as LabelMe 5's mask shapes.

Source: wkentaro/labelme, labelme/label_file.py and labelme/utils/shape.py.
"""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from segpipe.convert.target import Page, Target, Written, by_path, pages, path_from, places, suffix
from segpipe.core.errors import AnnotationError
from segpipe.core.files import write_json
from segpipe.data import photos
from segpipe.data.records import Dataset, Instance
from segpipe.masks import outlines

_VERSION = "5.5.0"
_IGNORED = "__ignore__"  # labelme's own name for pixels that do not count
_SHAPE_TYPES = {"region": "polygon", "box": "polygon", "line": "linestrip", "point": "point"}


def write(dataset: Dataset, target: Target) -> Written:
    """Write one file for each photograph."""
    written = Written()
    found = pages(dataset, target.root, written)
    place_of = places([page.image for page in found], by_path)
    for page in found:
        place = place_of[page.image.key]
        photograph = place + suffix(page.image, target.root)
        target.put_photograph(page.image.file, photograph)
        path, source = target.out / f"{place}.json", target.root / page.image.file
        inside = photos.is_embedded(source) and not target.copy_images
        named = target.out / photograph if target.copy_images or inside else source
        document = _document(page, path_from(path.parent, named), target.root, written)
        write_json(path, document | ({photos.IMAGE_DATA: photos.embedded_text(source)} if inside else {}))
    names = {instance.category for page in found for instance in page.instances if instance.category}
    if tuple(sorted(names)) != dataset.categories:
        written.changed["classes lost their order and those without an object: LabelMe has no list of them"] = len(
            names
        )
    return written


def _document(page: Page, image_path: str, root: Path, written: Written) -> dict[str, Any]:
    shapes = []
    for group, instance in enumerate(page.instances, start=1):
        try:
            shapes += _shapes(instance, group, page.size_hw, root, written)
        except AnnotationError as error:
            written.dropped[f"annotation: {error.reason}"] += 1
        else:
            written.counts["regions to ignore" if instance.role == "ignore" else "objects"] += 1
    return {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        photos.IMAGE_DATA: None,
        "imageHeight": page.size_hw[0],
        "imageWidth": page.size_hw[1],
    }


def _shapes(
    instance: Instance, group: int, size_hw: tuple[int, int], root: Path, written: Written
) -> list[dict[str, Any]]:
    """One shape for each ring, of one group where there are several."""
    label = instance.category if instance.role == "object" else _IGNORED
    if not instance.rings or _has_holes(instance):
        shapes = [_mask_shape(label, outlines.to_mask(outlines.region(instance, size_hw, root)))]
    elif instance.kind == "box" and (corners := _corners(instance)):
        shapes = [_shape(label, "rectangle", corners)]
    else:
        several = len(instance.rings) > 1
        rings = [_shape(label, _SHAPE_TYPES[instance.kind], ring) for ring in instance.rings]
        shapes = [shape | ({"group_id": group} if several else {}) for shape in rings]
    _tell(instance, written)
    return [shape | {"flags": dict.fromkeys(instance.flags, True)} for shape in shapes]


def _tell(instance: Instance, written: Written) -> None:
    if instance.role == "crowd":
        written.changed[f"crowds became {_IGNORED}, without their class"] += 1
    if instance.role == "ignore" and instance.layered:
        written.changed["regions to ignore came beneath the objects they covered"] += 1
    if _has_holes(instance):
        written.changed["outlines with holes became masks of the same pixels"] += 1
    if instance.kind == "box" and not _corners(instance):
        written.changed["turned boxes became outlines of four corners"] += 1
    if instance.rle:
        written.changed["run lengths became masks of the same pixels"] += 1


def _has_holes(instance: Instance) -> bool:
    return bool(instance.holes) or instance.even_odd


def _corners(instance: Instance) -> tuple[float, ...]:
    """Two opposite corners of an upright box; () if it is turned."""
    ring = instance.rings[0]
    left, top, right, bottom = min(ring[0::2]), min(ring[1::2]), max(ring[0::2]), max(ring[1::2])
    upright = ring == (left, top, right, top, right, bottom, left, bottom)
    return (left, top, right, bottom) if upright else ()


def _shape(label: str, kind: str, flat: tuple[float, ...]) -> dict[str, Any]:
    points = [list(flat[i : i + 2]) for i in range(0, len(flat), 2)]
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}


def _mask_shape(label: str, mask: np.ndarray) -> dict[str, Any]:
    """The part of the mask that is set, as a PNG; its points are the first and the last pixel of that part."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom = (int(rows[0]), int(rows[-1])) if len(rows) else (0, 0)
    left, right = (int(columns[0]), int(columns[-1])) if len(columns) else (0, 0)
    buffer = io.BytesIO()
    Picture.fromarray(mask[top : bottom + 1, left : right + 1]).save(buffer, "PNG")
    shape = _shape(label, "mask", (float(left), float(top), float(right), float(bottom)))
    return shape | {"mask": base64.b64encode(buffer.getvalue()).decode("ascii")}
