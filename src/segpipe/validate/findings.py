"""The drawn annotations of one photograph against each other and against what they declare."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import Polygon

from segpipe.data.records import Instance
from segpipe.ledger.findings import Finding
from segpipe.masks import rle
from segpipe.masks.geometry import Ring
from segpipe.masks.rle import Region

SAME_OBJECT_IOU = 0.95  # of two regions; a person who draws an object twice stays below, a copied record above
_SAME_BOX_IOU = 0.8  # of the boxes around them: looked at first, since regions are dearer to compare
_WHOLE_FRAME = 0.98  # of the photograph's pixels
_AREA_OFF, _AREA_OFF_PX = 0.05, 10  # what a declared area may be off: drawing rounds, and tools round differently
_BOX_OFF, _BOX_OFF_PX = 0.02, 2


@dataclass(frozen=True, slots=True)
class Drawn:
    """An annotation as it is drawn.

    px: how many pixels that are; box: left, top, right, bottom of them; areas: square pixels inside its outline, if it
    has one, as it runs and, if that was measured, corrected.
    """

    instance: Instance
    region: Region
    px: int
    box: rle.Bounds
    areas: tuple[float, ...]


def findings(drawn: Sequence[Drawn], size_hw: tuple[int, int]) -> list[Finding]:
    """What is worth knowing of annotations on one photograph of size_hw pixels, in their order."""
    twins = _twins(drawn)
    found = []
    for one in drawn:
        found += [_twice(one, *twins[one.instance.id])] if one.instance.id in twins else []
        found += _alone(one, size_hw)
    return found


def nested(rings: Sequence[Ring]) -> bool:
    """Whether a ring lies wholly inside another, or on it: union fills such a hole."""
    if len(rings) < 2:
        return False
    points = [np.reshape(ring, (-1, 2)) for ring in rings]
    low, high = (np.array([limit(own, axis=0) for own in points]) for limit in (np.min, np.max))
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


def _twins(drawn: Sequence[Drawn]) -> dict[str, tuple[Drawn, float]]:
    """By id of each object that covers the pixels of an earlier one: the first such, and their IoU."""
    objects = [one for one in drawn if one.instance.role == "object"]
    twins: dict[str, tuple[Drawn, float]] = {}
    for first, later in _alike(objects):
        one, other = objects[first], objects[later]
        shared = rle.shared_px(one.region, other.region)
        iou = shared / (one.px + other.px - shared)
        if iou >= SAME_OBJECT_IOU:
            twins.setdefault(other.instance.id, (one, iou))
    return twins


def _alike(drawn: Sequence[Drawn]) -> Iterator[tuple[int, int]]:
    """Positions (i, j), i < j, in order, of annotations whose sizes and boxes are nearly equal."""
    px = np.array([one.px for one in drawn])
    ordered = np.sort(px)
    if not (ordered[:-1] >= SAME_OBJECT_IOU * ordered[1:]).any():
        return
    boxes = np.array([one.box for one in drawn])
    frames = shapely.box(*boxes.T)
    i, j = shapely.STRtree(frames).query(frames)
    i, j = i[i < j], j[i < j]
    shared = (np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2])).prod(axis=1)
    sides = boxes[:, 2:] - boxes[:, :2]
    together = sides[i].prod(axis=1) + sides[j].prod(axis=1) - shared
    alike = (np.minimum(px[i], px[j]) >= SAME_OBJECT_IOU * np.maximum(px[i], px[j])) & (
        shared >= _SAME_BOX_IOU * together
    )
    yield from sorted(zip(i[alike].tolist(), j[alike].tolist(), strict=True))


def _twice(one: Drawn, other: Drawn, iou: float) -> Finding:
    same = one.instance.category == other.instance.category
    what = "" if same else f", as {other.instance.category} and as {one.instance.category}"
    return _finding(
        one,
        "annotated_twice" if same else "annotated_as_two_classes",
        f"the pixels of {other.instance.id} ({100 * iou:.3g} % in common){what}",
        other.instance.id,
    )


def _alone(one: Drawn, size_hw: tuple[int, int]) -> Iterator[Finding]:
    share = one.px / (size_hw[0] * size_hw[1])
    if one.instance.role == "object" and share >= _WHOLE_FRAME:
        yield _finding(one, "whole_frame", f"{100 * share:.3g} % of the photograph's pixels")
    if nested(one.instance.rings):
        yield _finding(one, "nested_rings", f"{len(one.instance.rings)} rings")
    declared = one.instance.area
    if declared is None or any(_near(declared, area, _AREA_OFF, _AREA_OFF_PX) for area in (one.px, *one.areas)):
        return
    code = "area_of_box" if _near(declared, _box_area(one), _BOX_OFF, _BOX_OFF_PX) else "area_disagrees"
    yield _finding(one, code, f"declares {declared:,.0f}, covers {one.px:,} pixels")


def _near(declared: float, measured: float, share: float, px: float) -> bool:
    return abs(declared - measured) <= max(share * max(declared, measured), px)


def _box_area(one: Drawn) -> float:
    """Of the box around its rings, which may reach past the photograph; else around its pixels."""
    if not one.instance.rings:
        left, top, right, bottom = one.box
        return (right - left) * (bottom - top)
    points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in one.instance.rings])
    return float((points.max(axis=0) - points.min(axis=0)).prod())


def _finding(one: Drawn, code: str, detail: str, twin: str = "") -> Finding:
    own = one.instance
    return Finding(code=code, kind="annotation", id=own.id, image_key=own.image_key, detail=detail, twin=twin)
