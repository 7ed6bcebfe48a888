"""What a polygon is: whether it encloses anything, and how far correction would change it. No pixels here.

Correction (shapely's make_valid) serves the report: its area stands beside the area as drawn. What is drawn is never
the corrected polygon but the annotator's own rings by the pixel rule (raster.py), each that has three different points.
GEOS, which shapely calls, takes time that grows with the square of what is in the way, and cannot be stopped: what is
only for the report is measured within limits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import shapely
from shapely.geometry import LinearRing, LineString, MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

from segpipe.masks.rle import Bounds

Ring = tuple[float, ...]
Outline = tuple[Sequence[Ring], Sequence[Ring]]  # rings and holes of one instance
BORDER_TOLERANCE_PX = 0.5  # less than half a pixel past the border costs no pixel
_LONG = 10_000  # points of a ring: GEOS took 0.2 s to check a star of so many, and 72 s for one of 200,000
_CROSSINGS = 500  # of a ring that is corrected: 0.1 s; make_valid took 108 s for 500 random points, 27,000 crossings
_PAIRS = 1_000_000  # of sides near each other, looked at to find crossings
_AT_ONCE = 64  # sides that others are looked for at once, at most
_PIECE = 30  # sides of a line that are widened at once: 1,000 at once took 40 times as long


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The usable rings and holes of one instance and what was found.

    refused: rings and holes that enclose nothing (fewer than three different points); crosses: one meets itself;
    past_border: part of it lies outside the frame; outside: all of it does; area_drawn: square pixels of the rings as
    they run, without the holes'.
    """

    rings: tuple[Ring, ...]
    holes: tuple[Ring, ...]
    refused: int
    crosses: bool
    past_border: bool
    outside: bool
    area_drawn: float


class _Ring(NamedTuple):
    """What is known of a ring: area as it runs."""

    bounds: Bounds
    valid: bool
    area: float


def examine(rings: Sequence[Ring], size_hw: tuple[int, int], holes: Sequence[Ring] = ()) -> Shape:
    """Look at an instance's rings and holes (flat x, y ... of finite numbers, in pixels) in a frame of size_hw."""
    return examine_each([(rings, holes)], size_hw)[0]


def examine_each(outlines: Sequence[Outline], size_hw: tuple[int, int]) -> list[Shape]:
    """`examine` the rings and holes of many instances in one call."""
    usable = [[tuple(ring for ring in part if _encloses(ring)) for part in outline] for outline in outlines]
    seen = iter(_look([ring for outline in usable for part in outline for ring in part]))
    return [
        _shape(
            rings, holes, len(own[0]) + len(own[1]), [list(islice(seen, len(part))) for part in (rings, holes)], size_hw
        )
        for (rings, holes), own in zip(usable, outlines, strict=True)
    ]


def widened(lines: Sequence[Ring], radius_px: float) -> tuple[tuple[Ring, ...], tuple[Ring, ...]]:
    """Rings and holes around all that is nearer than radius_px to open lines or single points, ends and bends round."""
    parts = [part for line in lines for part in _pieces(line)]
    around = shapely.union_all([part.buffer(radius_px) for part in parts])
    polygons = [part for part in shapely.get_parts(around) if isinstance(part, Polygon) and not part.is_empty]
    rings = tuple(_flat(polygon.exterior) for polygon in polygons)
    return rings, tuple(_flat(hole) for polygon in polygons for hole in polygon.interiors)


def corrected_area(shape: Shape) -> float | None:
    """Square pixels of the rings after correction, without the holes'; None if a ring crosses itself too often."""
    if not shape.crosses:
        return shape.area_drawn
    if not all(_can_be_corrected(ring) for ring in (*shape.rings, *shape.holes)):
        return None
    return sum(map(_corrected, shape.rings)) - sum(map(_corrected, shape.holes))


def _corrected(ring: Ring) -> float:
    return float(polygonal_part(Polygon(_points(ring))).area)


def polygonal_part(polygon: Polygon) -> BaseGeometry:
    """A valid geometry of the area that `polygon` encloses: itself, or make_valid's polygons without lines and points.

    A bow-tie becomes its two triangles; nothing ever becomes its box or its hull.
    """
    if polygon.is_valid:
        return polygon
    parts = shapely.get_parts(shapely.make_valid(polygon, method="linework"))
    flat = [piece for part in parts for piece in shapely.get_parts(part)]
    return MultiPolygon([piece for piece in flat if isinstance(piece, Polygon)])


def _look(rings: Sequence[Ring]) -> list[_Ring]:
    """What is to be known of each ring that encloses something."""
    if not rings:
        return []
    points = np.fromiter(chain.from_iterable(rings), np.float64).reshape(-1, 2)
    lengths = np.array([len(ring) // 2 for ring in rings])
    polygons = shapely.polygons(shapely.linearrings(points, indices=np.arange(len(rings)).repeat(lengths)))
    valid = np.ones(len(rings), bool)
    valid[lengths <= _LONG] = shapely.is_valid(polygons[lengths <= _LONG])
    for i in np.flatnonzero(lengths > _LONG).tolist():
        valid[i] = not _crossings(rings[i])[0]
    facts = zip(shapely.bounds(polygons).tolist(), valid.tolist(), shapely.area(polygons).tolist(), strict=True)
    return [_Ring(tuple(bounds), is_valid, area) for bounds, is_valid, area in facts]


def _can_be_corrected(ring: Ring) -> bool:
    found, all_looked_at = _crossings(ring)
    return found <= _CROSSINGS and all_looked_at


def _crossings(ring: Ring) -> tuple[int, bool]:
    """How often sides of a ring meet that are no neighbours, and whether all sides were looked at.

    That ends when more than _CROSSINGS are found, or more than _PAIRS were looked at.
    """
    points = _points(ring)
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    sides = shapely.linestrings(np.stack([points, np.roll(points, -1, axis=0)], axis=1))
    tree = shapely.STRtree(sides)
    found = looked = start = 0
    at_once = 1  # more of them as long as they are near few others
    while start < len(sides):
        if found > _CROSSINGS or looked > _PAIRS:
            return found, False
        one, other = tree.query(sides[start : start + at_once])
        between = other - one - start
        apart = (between > 1) & (between < len(sides) - 1)
        one, other = one[apart] + start, other[apart]
        looked += len(one)
        found += int(np.count_nonzero(shapely.intersects(sides[one], sides[other])))
        start, at_once = start + at_once, min(2 * at_once, _AT_ONCE)
    return found, True


def _shape(
    rings: tuple[Ring, ...],
    holes: tuple[Ring, ...],
    given: int,
    seen: Sequence[Sequence[_Ring]],
    size_hw: tuple[int, int],
) -> Shape:
    solid, taken = seen
    inside, touches = _position([ring.bounds for ring in solid], size_hw)
    return Shape(
        rings=rings,
        holes=holes,
        refused=given - len(rings) - len(holes),
        crosses=not all(ring.valid for ring in (*solid, *taken)),
        past_border=not inside,
        outside=not touches,
        area_drawn=float(sum(ring.area for ring in solid) - sum(ring.area for ring in taken)),
    )


def _pieces(line: Ring) -> list[LineString | Point]:
    """An open line, or a single point, in pieces that touch."""
    if len(line) == 2:
        return [Point(line)]
    points = _points(line)
    return [LineString(points[i : i + _PIECE + 1]) for i in range(0, len(points) - 1, _PIECE)]


def _flat(line: LinearRing) -> Ring:
    """x, y ... of a closed line, its last point (the first again) left out."""
    return tuple(np.asarray(line.coords)[:-1].ravel().tolist())


def _points(ring: Ring) -> np.ndarray:
    return np.asarray(ring, np.float64).reshape(-1, 2)


def _encloses(ring: Ring) -> bool:
    return len(ring) >= 6 and len(set(zip(ring[0::2], ring[1::2], strict=True))) >= 3


def _position(bounds: Sequence[Bounds], size_hw: tuple[int, int]) -> tuple[bool, bool]:
    """Whether all points are inside the frame, and whether the bounds around all touch it at all."""
    if not bounds:
        return True, True
    left, top = (min(one[side] for one in bounds) for side in (0, 1))
    right, bottom = (max(one[side] for one in bounds) for side in (2, 3))
    height, width = size_hw
    over = BORDER_TOLERANCE_PX
    inside = min(left, top) >= -over and right <= width + over and bottom <= height + over
    return inside, right > 0 and bottom > 0 and left < width and top < height


CURVE_POINTS = 64  # a polygon of so many points misses the circle by 0.12 % of its radius


def box(left: float, top: float, right: float, bottom: float) -> Ring:
    """The four corners of an upright rectangle, clockwise from the top left, whichever corners are given."""
    left, right = min(left, right), max(left, right)
    top, bottom = min(top, bottom), max(top, bottom)
    return left, top, right, top, right, bottom, left, bottom


def rotated(ring: Ring, angle_deg: float) -> Ring:
    """A ring rotated about the middle of its points, clockwise as seen (y points down)."""
    if not angle_deg:
        return ring
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    middle_x, middle_y = (sum(ring[axis::2]) / (len(ring) // 2) for axis in (0, 1))
    flat: list[float] = []
    for x, y in zip(ring[0::2], ring[1::2], strict=True):
        along, across = x - middle_x, y - middle_y
        flat += [middle_x + along * cosine - across * sine, middle_y + along * sine + across * cosine]
    return tuple(flat)


def circle(x: float, y: float, radius: float) -> Ring:
    """A circle about (x, y) as a polygon of CURVE_POINTS points on it."""
    return ellipse(x, y, radius, radius)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, angle_deg: float = 0.0) -> Ring:
    """An ellipse about (x, y), rotated clockwise as seen (y points down), as a polygon of CURVE_POINTS points on it."""
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    ring: list[float] = []
    for step in range(CURVE_POINTS):
        turn = 2 * math.pi * step / CURVE_POINTS
        along, across = radius_x * math.cos(turn), radius_y * math.sin(turn)
        ring += [x + along * cosine - across * sine, y + along * sine + across * cosine]
    return tuple(ring)
