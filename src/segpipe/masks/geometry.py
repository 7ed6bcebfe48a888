"""Rings of points: whether they enclose an area, how far correction would change it, and outlines of simple shapes.

Points are flat x, y, x, y ... in pixels. Correction (shapely's make_valid) is only for the report, which shows the
corrected area beside the area as drawn. Label maps are drawn from the annotator's rings, never from corrected ones, by
the pixel rule in raster.py. GEOS, which shapely calls, needs time that grows with the square of the crossings, and it
cannot be interrupted; therefore the measurements for the report have limits.
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
CURVE_POINTS = 64  # a polygon with 64 points is off the circle by 0.12 % of its radius
BORDER_TOLERANCE_PX = 0.5  # up to half a pixel past the border loses no pixel
_LONG = 10_000  # points of a ring: GEOS checked a star with so many in 0.2 s, one with 200,000 in 72 s
_MAX_CROSSINGS = 500  # of a corrected ring: 0.1 s; make_valid took 108 s for 500 random points, 27,000 crossings
_MAX_PAIRS = 1_000_000  # of sides near each other that are tested for crossings
_MAX_SIDES_AT_ONCE = 64  # sides whose neighbours are looked up in one call
_PIECE = 30  # sides of a line that are buffered together: 1,000 together took 40 times as long


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The usable rings of one instance in its frame, and their defects.

    >>> examine([(0, 0, 4, 0, 4, 4, 0, 4)], size_hw=(3, 4)).past_border  # the ring is 4 pixels high, the frame 3
    True
    """

    rings: tuple[Ring, ...]  # each has at least three different points
    holes: tuple[Ring, ...]
    refused: int  # rings and holes left out, because they have fewer than three different points
    crosses: bool  # some ring or hole intersects itself
    past_border: bool  # it is more than BORDER_TOLERANCE_PX outside the frame
    outside: bool  # it is entirely outside the frame
    area_drawn: float  # square pixels of the rings as drawn, minus those of the holes


class _Measured(NamedTuple):
    """The measurements of one ring."""

    bounds: Bounds
    valid: bool
    area: float  # of the ring as drawn


def examine(rings: Sequence[Ring], size_hw: tuple[int, int], holes: Sequence[Ring] = ()) -> Shape:
    """Examine an instance's rings and holes, of finite numbers, in a frame of size_hw."""
    return examine_each([(rings, holes)], size_hw)[0]


def examine_each(outlines: Sequence[Outline], size_hw: tuple[int, int]) -> list[Shape]:
    """`examine` the rings and holes of many instances in one call."""
    usable = [[tuple(ring for ring in part if _encloses(ring)) for part in outline] for outline in outlines]
    measured = iter(_measure([ring for outline in usable for part in outline for ring in part]))
    return [
        _shape(rings, holes, sum(map(len, outline)), [list(islice(measured, len(p))) for p in (rings, holes)], size_hw)
        for (rings, holes), outline in zip(usable, outlines, strict=True)
    ]


def widened(lines: Sequence[Ring], radius_px: float) -> tuple[tuple[Ring, ...], tuple[Ring, ...]]:
    """The rings and holes around all points nearer than radius_px to open lines or single points; ends are round."""
    parts = [part for line in lines for part in _pieces(line)]
    around = shapely.union_all([part.buffer(radius_px) for part in parts])
    polygons = [part for part in shapely.get_parts(around) if isinstance(part, Polygon) and not part.is_empty]
    rings = tuple(_flat(polygon.exterior) for polygon in polygons)
    return rings, tuple(_flat(hole) for polygon in polygons for hole in polygon.interiors)


def corrected_area(shape: Shape) -> float | None:
    """Square pixels of the corrected rings minus those of the holes; None if a ring crosses itself too often."""
    if not shape.crosses:
        return shape.area_drawn
    if not all(_can_be_corrected(ring) for ring in (*shape.rings, *shape.holes)):
        return None
    return sum(map(_corrected, shape.rings)) - sum(map(_corrected, shape.holes))


def polygonal_part(polygon: Polygon) -> BaseGeometry:
    """A valid geometry of the area that `polygon` encloses: itself, or make_valid's polygons without lines and points.

    >>> polygonal_part(Polygon([(0, 0), (8, 8), (8, 0), (0, 8)])).area  # a bow-tie becomes its two triangles
    32.0
    """
    if polygon.is_valid:
        return polygon
    parts = shapely.get_parts(shapely.make_valid(polygon, method="linework"))
    flat = [piece for part in parts for piece in shapely.get_parts(part)]
    return MultiPolygon([piece for piece in flat if isinstance(piece, Polygon)])


def box(left: float, top: float, right: float, bottom: float) -> Ring:
    """The corners of an upright rectangle, clockwise from the top left; any two opposite corners may be given.

    >>> box(5, 4, 2, 1)
    (2, 1, 5, 1, 5, 4, 2, 4)
    """
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
    """A circle about (x, y) as a polygon with CURVE_POINTS points."""
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


def _corrected(ring: Ring) -> float:
    return float(polygonal_part(Polygon(_points(ring))).area)


def _measure(rings: Sequence[Ring]) -> list[_Measured]:
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
    return [_Measured(tuple(bounds), is_valid, area) for bounds, is_valid, area in facts]


def _can_be_corrected(ring: Ring) -> bool:
    crossings, is_complete = _crossings(ring)
    return crossings <= _MAX_CROSSINGS and is_complete


def _crossings(ring: Ring) -> tuple[int, bool]:
    """The number of crossings of sides of a ring that are not neighbours, and whether all sides were tested.

    The search ends after more than _MAX_CROSSINGS crossings or _MAX_PAIRS tested pairs.
    """
    points = _points(ring)
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    sides = shapely.linestrings(np.stack([points, np.roll(points, -1, axis=0)], axis=1))
    tree = shapely.STRtree(sides)
    crossings = tested = start = 0
    at_once = 1  # doubled each time: where many sides are near each other, the limits end the search early
    while start < len(sides):
        if crossings > _MAX_CROSSINGS or tested > _MAX_PAIRS:
            return crossings, False
        one, other = tree.query(sides[start : start + at_once])
        between = other - one - start
        apart = (between > 1) & (between < len(sides) - 1)
        one, other = one[apart] + start, other[apart]
        tested += len(one)
        crossings += int(np.count_nonzero(shapely.intersects(sides[one], sides[other])))
        start, at_once = start + at_once, min(2 * at_once, _MAX_SIDES_AT_ONCE)
    return crossings, True


def _shape(
    rings: tuple[Ring, ...],
    holes: tuple[Ring, ...],
    count: int,
    measured: Sequence[Sequence[_Measured]],
    size_hw: tuple[int, int],
) -> Shape:
    solid, subtracted = measured
    inside, touches = _position([ring.bounds for ring in solid], size_hw)
    return Shape(
        rings=rings,
        holes=holes,
        refused=count - len(rings) - len(holes),
        crosses=not all(ring.valid for ring in (*solid, *subtracted)),
        past_border=not inside,
        outside=not touches,
        area_drawn=float(sum(ring.area for ring in solid) - sum(ring.area for ring in subtracted)),
    )


def _pieces(line: Ring) -> list[LineString | Point]:
    """An open line in pieces that touch, or a single point."""
    if len(line) == 2:
        return [Point(line)]
    points = _points(line)
    return [LineString(points[i : i + _PIECE + 1]) for i in range(0, len(points) - 1, _PIECE)]


def _flat(line: LinearRing) -> Ring:
    """The points of a closed line without the last one, which repeats the first."""
    return tuple(np.asarray(line.coords)[:-1].ravel().tolist())


def _points(ring: Ring) -> np.ndarray:
    return np.asarray(ring, np.float64).reshape(-1, 2)


def _encloses(ring: Ring) -> bool:
    return len(ring) >= 6 and len(set(zip(ring[0::2], ring[1::2], strict=True))) >= 3


def _position(bounds: Sequence[Bounds], size_hw: tuple[int, int]) -> tuple[bool, bool]:
    """Whether all points are inside the frame, and whether the bounds around all of them touch it."""
    if not bounds:
        return True, True
    left, top = (min(each[side] for each in bounds) for side in (0, 1))
    right, bottom = (max(each[side] for each in bounds) for side in (2, 3))
    height, width = size_hw
    limit = BORDER_TOLERANCE_PX
    inside = min(left, top) >= -limit and right <= width + limit and bottom <= height + limit
    return inside, right > 0 and bottom > 0 and left < width and top < height
