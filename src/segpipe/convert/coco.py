"""COCO instances JSON: annotations/instances_<split>.json, with the photos' paths in the source as file names.

Outlines keep every number and run lengths do not change; masks of other formats become run lengths.
Source: https://cocodataset.org/#format-data
"""

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from segpipe.convert.target import (
    SPLITS,
    AnnotatedImage,
    Target,
    Written,
    annotated_images,
    convert_each,
    photo_path,
)
from segpipe.core.files import write_text
from segpipe.data.records import Dataset, Instance, Rle
from segpipe.masks import geometry, outlines, raster, rle


@dataclass(frozen=True, slots=True)
class _Segmentation:
    """An instance in COCO's fields."""

    segmentation: Any
    bbox_xywh: list[float]  # in pixels
    area: float  # square pixels, for a source that declares none


def write(dataset: Dataset, target: Target) -> Written:
    """Write one document for each split of the source, all with the same categories."""
    written = Written()
    images = annotated_images(dataset, target.root, written)
    image_ids, annotation_ids = count(1), count(1)
    for split in SPLITS:
        with_ids = [(next(image_ids), annotated) for annotated in images if annotated.image.split == split]
        if not with_ids:
            continue
        document = {
            "images": [_image(image_id, annotated, target.root) for image_id, annotated in with_ids],
            "annotations": [
                {"id": next(annotation_ids), "image_id": image_id, **record}
                for image_id, annotated in with_ids
                for record in _annotations(annotated, dataset.categories, target.root, written)
            ],
            "categories": [{"id": i, "name": name} for i, name in enumerate(dataset.categories, start=1)],
        }
        name = f"instances_{split}.json" if split else "instances.json"
        write_text(target.out / "annotations" / name, json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")
        for _, annotated in with_ids:
            target.copy_photo(annotated.image.file, photo_path(annotated.image, target.root))
    return written


def _image(image_id: int, annotated: AnnotatedImage, root: Path) -> dict[str, Any]:
    height, width = annotated.size_hw
    return {"id": image_id, "file_name": photo_path(annotated.image, root), "width": width, "height": height}


def _annotations(
    annotated: AnnotatedImage, categories: tuple[str, ...], root: Path, written: Written
) -> list[dict[str, Any]]:
    records = []
    shapes = convert_each(
        annotated, _refusal, lambda instance: _segmentation(instance, annotated.size_hw, root, written), written
    )
    for instance, shape in shapes:
        written.counts["crowd" if instance.role == "crowd" else "object"] += 1
        records.append({
            "category_id": categories.index(instance.category) + 1,
            "segmentation": shape.segmentation,
            "area": shape.area if instance.area is None else instance.area,
            "bbox": shape.bbox_xywh,
            "iscrowd": int(instance.role == "crowd"),
            **({"attributes": dict.fromkeys(instance.flags, True)} if instance.flags else {}),
        })  # fmt: skip
    return records


def _refusal(instance: Instance) -> str:
    if instance.role == "ignore":
        return "annotation: ignore (COCO has no ignored pixels; they become background)"
    if instance.kind in ("line", "point"):
        return f"annotation: {instance.kind} (COCO has only outlines)"
    return ""


def _segmentation(instance: Instance, size_hw: tuple[int, int], root: Path, written: Written) -> _Segmentation:
    if instance.kind == "box":
        written.changed["box: as outline with four corners"] += 1
    has_holes = bool(instance.holes) or instance.even_odd
    if instance.rings and not has_holes:
        return _of_rings(instance, size_hw)
    region = outlines.region(instance, size_hw, root)
    if has_holes:
        written.changed["object: outline with holes, as run lengths of the same pixels"] += 1
    left, top, right, bottom = rle.bounds(region) or (0.0, 0.0, 0.0, 0.0)
    stored = instance.rle or Rle(size_hw=size_hw, counts=rle.compressed(region)["counts"].decode("ascii"))
    counts = stored.counts if isinstance(stored.counts, str) else list(stored.counts)
    segmentation = {"size": list(stored.size_hw), "counts": counts}
    return _Segmentation(segmentation, [left, top, right - left, bottom - top], float(rle.area_px(region)))


def _of_rings(instance: Instance, size_hw: tuple[int, int]) -> _Segmentation:
    xs = [x for ring in instance.rings for x in ring[0::2]]
    ys = [y for ring in instance.rings for y in ring[1::2]]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    area = 0.0 if instance.area is not None else _area(instance, size_hw)
    return _Segmentation([list(ring) for ring in instance.rings], box, area)


def _area(instance: Instance, size_hw: tuple[int, int]) -> float:
    """The square pixels inside the outline; if they cannot be measured, the pixels that it covers."""
    corrected = geometry.corrected_area(geometry.examine(instance.rings, size_hw))
    return float(rle.area_px(raster.draw(instance.rings, size_hw))) if corrected is None else corrected
