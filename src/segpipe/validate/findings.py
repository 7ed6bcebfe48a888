"""Findings about the drawn annotations of one image: duplicates, unusual shapes, declared areas that disagree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import Polygon

from segpipe.core.plurals import counted
from segpipe.data.records import Instance
from segpipe.ledger.findings import Finding
from segpipe.masks import rle
from segpipe.masks.geometry import Ring
from segpipe.masks.rle import Region

SAME_OBJECT_IOU = 0.95  # an object that a person draws twice stays below this, a copied record above
_SAME_BOX_IOU = 0.8  # of the boxes, which are compared first because comparing regions is slower
_WHOLE_FRAME = 0.98  # of the image's pixels
_AREA_TOLERANCE, _AREA_TOLERANCE_PX = 0.05, 10  # tools round areas in different ways
_BOX_TOLERANCE, _BOX_TOLERANCE_PX = 0.02, 2


@dataclass(frozen=True, slots=True)
class DrawnInstance:
    """An annotation as it will be drawn, with its measures."""

    instance: Instance
    region: Region
    px: int  # pixels of the region
    box: rle.Bounds  # left, top, right, bottom around them
    areas: tuple[float, ...]  # square pixels inside its outline: as drawn, then corrected; () without an outline


def find(drawn: Sequence[DrawnInstance], size_hw: tuple[int, int]) -> list[Finding]:
    """The findings about the annotations of one image of size_hw pixels, in the order of the annotations."""
    earlier_of = _repeated(drawn)
    findings = []
    for item in drawn:
        findings += [_duplicate(item, *earlier_of[item.instance.id])] if item.instance.id in earlier_of else []
        findings += _about_one(item, size_hw)
    return findings


def has_nested_rings(rings: Sequence[Ring]) -> bool:
    """Whether a ring is entirely inside another ring or on it.

    >>> has_nested_rings([(0, 0, 9, 0, 9, 9, 0, 9), (2, 2, 4, 2, 4, 4)])
    True
    """
    if len(rings) < 2:
        return False
    points = [np.reshape(ring, (-1, 2)) for ring in rings]
    low, high = (np.array([limit(of_ring, axis=0) for of_ring in points]) for limit in (np.min, np.max))
    for outer, around in enumerate(points):
        within = (low[outer] <= low).all(axis=1) & (high <= high[outer]).all(axis=1)
        within[outer] = False
        inner = [points[i] for i in np.flatnonzero(within)]
        if inner:
            polygon = Polygon(around)
            shapely.prepare(polygon)
            starts = np.cumsum([0, *map(len, inner[:-1])])
            if np.logical_and.reduceat(shapely.intersects_xy(polygon, np.concatenate(inner)), starts).any():
                return True
    return False


def _repeated(drawn: Sequence[DrawnInstance]) -> dict[str, tuple[DrawnInstance, float]]:
    """The first earlier object with the same pixels, and their IoU, by the id of the later object."""
    objects = [item for item in drawn if item.instance.role == "object"]
    earlier_of: dict[str, tuple[DrawnInstance, float]] = {}
    for first, later in _candidates(objects):
        one, other = objects[first], objects[later]
        shared = rle.shared_px(one.region, other.region)
        iou = shared / (one.px + other.px - shared)
        if iou >= SAME_OBJECT_IOU:
            earlier_of.setdefault(other.instance.id, (one, iou))
    return earlier_of


def _candidates(drawn: Sequence[DrawnInstance]) -> Iterator[tuple[int, int]]:
    """Positions (i, j), i < j, in ascending order, of annotations with nearly equal sizes and boxes."""
    px = np.array([item.px for item in drawn])
    ordered = np.sort(px)
    if not (ordered[:-1] >= SAME_OBJECT_IOU * ordered[1:]).any():
        return
    boxes = np.array([item.box for item in drawn])
    frames = shapely.box(*boxes.T)
    i, j = shapely.STRtree(frames).query(frames)
    i, j = i[i < j], j[i < j]
    shared = (np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2])).prod(axis=1)
    sides = boxes[:, 2:] - boxes[:, :2]
    united = sides[i].prod(axis=1) + sides[j].prod(axis=1) - shared
    alike = (np.minimum(px[i], px[j]) >= SAME_OBJECT_IOU * np.maximum(px[i], px[j])) & (
        shared >= _SAME_BOX_IOU * united
    )
    yield from sorted(zip(i[alike].tolist(), j[alike].tolist(), strict=True))


def _duplicate(item: DrawnInstance, earlier: DrawnInstance, iou: float) -> Finding:
    same_class = item.instance.category == earlier.instance.category
    classes = "" if same_class else f", as {earlier.instance.category} and as {item.instance.category}"
    return _finding(
        item,
        "annotated_twice" if same_class else "annotated_as_two_classes",
        f"the same pixels as {earlier.instance.id} (IoU {100 * iou:.3g} %){classes}",
        earlier.instance.id,
    )


def _about_one(item: DrawnInstance, size_hw: tuple[int, int]) -> Iterator[Finding]:
    share = item.px / (size_hw[0] * size_hw[1])
    if item.instance.role == "object" and share >= _WHOLE_FRAME:
        yield _finding(item, "whole_frame", f"{100 * share:.3g} % of the image's pixels")
    if has_nested_rings(item.instance.rings):
        yield _finding(item, "nested_rings", counted(len(item.instance.rings), "ring"))
    declared = item.instance.area
    if declared is None or any(
        _is_near(declared, area, _AREA_TOLERANCE, _AREA_TOLERANCE_PX) for area in (item.px, *item.areas)
    ):
        return
    is_box = _is_near(declared, _box_area(item), _BOX_TOLERANCE, _BOX_TOLERANCE_PX)
    detail = f"the declared area is {declared:,.0f}, the annotation covers {item.px:,} px"
    yield _finding(item, "area_of_box" if is_box else "area_disagrees", detail)


def _is_near(declared: float, measured: float, share: float, px: float) -> bool:
    return abs(declared - measured) <= max(share * max(declared, measured), px)


def _box_area(item: DrawnInstance) -> float:
    """The area of the box around its rings, which may extend past the image border; without rings around its pixels."""
    if not item.instance.rings:
        left, top, right, bottom = item.box
        return (right - left) * (bottom - top)
    points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in item.instance.rings])
    return float((points.max(axis=0) - points.min(axis=0)).prod())


def _finding(item: DrawnInstance, code: str, detail: str, twin: str = "") -> Finding:
    instance = item.instance
    return Finding(code=code, kind="annotation", id=instance.id, image_key=instance.image_key, detail=detail, twin=twin)
