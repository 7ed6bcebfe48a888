"""COCO instances JSON: annotations/instances_<split>.json, photographs named by their path in the source.

Outlines are written number for number, run lengths as they are; masks of other formats become run lengths.
"""

import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from segpipe.convert.target import SPLITS, Page, Target, Written, accepted, pages, photograph
from segpipe.core.files import write_text
from segpipe.data.records import Dataset, Instance, Rle
from segpipe.masks import geometry, outlines, raster, rle


@dataclass(frozen=True, slots=True)
class _Shape:
    """segmentation as COCO writes it, its box in pixels, and its area if the source declares none."""

    segmentation: Any
    bbox_xywh: list[float]
    area: float


def write(dataset: Dataset, target: Target) -> Written:
    """Write one document for each split of the source, all with the same categories."""
    written = Written()
    found = pages(dataset, target.root, written)
    numbers, ids = count(1), count(1)
    for split in SPLITS:
        own = [page for page in found if page.image.split == split]
        if not own:
            continue
        numbered = [(next(numbers), page) for page in own]
        document = {
            "images": [_image(number, page, target.root) for number, page in numbered],
            "annotations": [
                {"id": next(ids), "image_id": number, **record}
                for number, page in numbered
                for record in _annotations(page, dataset.categories, target.root, written)
            ],
            "categories": [{"id": i, "name": name} for i, name in enumerate(dataset.categories, start=1)],
        }
        name = f"instances_{split}.json" if split else "instances.json"
        write_text(target.out / "annotations" / name, json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")
        for page in own:
            target.put_photograph(page.image.file, photograph(page.image, target.root))
    return written


def _image(number: int, page: Page, root: Path) -> dict[str, Any]:
    height, width = page.size_hw
    return {"id": number, "file_name": photograph(page.image, root), "width": width, "height": height}


def _annotations(page: Page, categories: tuple[str, ...], root: Path, written: Written) -> list[dict[str, Any]]:
    records = []
    shapes = accepted(page, _refused, lambda instance: _shape(instance, page.size_hw, root, written), written)
    for instance, shape in shapes:
        written.counts["crowds" if instance.role == "crowd" else "objects"] += 1
        records.append({
            "category_id": categories.index(instance.category) + 1,
            "segmentation": shape.segmentation,
            "area": shape.area if instance.area is None else instance.area,
            "bbox": shape.bbox_xywh,
            "iscrowd": int(instance.role == "crowd"),
            **({"attributes": dict.fromkeys(instance.flags, True)} if instance.flags else {}),
        })  # fmt: skip
    return records


def _refused(instance: Instance) -> str:
    if instance.role == "ignore":
        return "annotation: ignore (COCO has no pixels that do not count; they become background)"
    if instance.kind in ("line", "point"):
        return f"annotation: {instance.kind} (COCO has outlines only)"
    return ""


def _shape(instance: Instance, size_hw: tuple[int, int], root: Path, written: Written) -> _Shape:
    if instance.kind == "box":
        written.changed["boxes became outlines of four corners"] += 1
    has_holes = bool(instance.holes) or instance.even_odd
    if instance.rings and not has_holes:
        return _of_rings(instance, size_hw)
    drawn = outlines.region(instance, size_hw, root)
    if has_holes:
        written.changed["outlines with holes became run lengths of the same pixels"] += 1
    left, top, right, bottom = rle.bounds(drawn) or (0.0, 0.0, 0.0, 0.0)
    stored = instance.rle or Rle(size_hw=size_hw, counts=rle.compressed(drawn)["counts"].decode("ascii"))
    counts = stored.counts if isinstance(stored.counts, str) else list(stored.counts)
    segmentation = {"size": list(stored.size_hw), "counts": counts}
    return _Shape(segmentation, [left, top, right - left, bottom - top], float(rle.area_px(drawn)))


def _of_rings(instance: Instance, size_hw: tuple[int, int]) -> _Shape:
    xs = [x for ring in instance.rings for x in ring[0::2]]
    ys = [y for ring in instance.rings for y in ring[1::2]]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    area = 0.0 if instance.area is not None else _area(instance, size_hw)
    return _Shape([list(ring) for ring in instance.rings], box, area)


def _area(instance: Instance, size_hw: tuple[int, int]) -> float:
    """Square pixels inside its outline, or the pixels that it covers where those cannot be measured."""
    corrected = geometry.corrected_area(geometry.examine(instance.rings, size_hw))
    return float(rle.area_px(raster.draw(instance.rings, size_hw))) if corrected is None else corrected
