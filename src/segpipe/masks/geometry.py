"""What a polygon is: whether it encloses anything, and how far correction would change it. No pixels here.

Correction (shapely's make_valid) serves the report: its area stands beside the area as drawn. What is drawn is never
the corrected polygon but the annotator's own rings by the pixel rule (raster.py), each that has three different points.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import LinearRing, LineString, MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

Ring = tuple[float, ...]
BORDER_TOLERANCE_PX = 0.5  # less than half a pixel past the border costs no pixel


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The usable rings and holes of one instance and what was found.

    refused: rings and holes that enclose nothing (fewer than three different points); crosses: one meets itself;
    past_border: part of it lies outside the frame; outside: all of it does; area_drawn, area_valid: square pixels
    of the rings by their signed sum as they run, and after correction (shapely's make_valid, polygonal parts), both
    without the holes'.
    """

    rings: tuple[Ring, ...]
    holes: tuple[Ring, ...]
    refused: int
    crosses: bool
    past_border: bool
    outside: bool
    area_drawn: float
    area_valid: float


def examine(rings: Sequence[Ring], size_hw: tuple[int, int], holes: Sequence[Ring] = ()) -> Shape:
    """Look at an instance's rings and holes (flat x, y ... of finite numbers, in pixels) in a frame of size_hw."""
    usable, usable_holes = ([ring for ring in some if _encloses(ring)] for some in (rings, holes))
    solid, taken = ([Polygon(_points(ring)) for ring in some] for some in (usable, usable_holes))
    inside, touches = _position(usable, size_hw)
    return Shape(
        rings=tuple(usable),
        holes=tuple(usable_holes),
        refused=len(rings) + len(holes) - len(usable) - len(usable_holes),
        crosses=any(not polygon.is_valid for polygon in [*solid, *taken]),
        past_border=not inside,
        outside=not touches,
        area_drawn=_area(solid) - _area(taken),
        area_valid=_area(map(polygonal_part, solid)) - _area(map(polygonal_part, taken)),
    )


def widened(lines: Sequence[Ring], radius_px: float) -> tuple[tuple[Ring, ...], tuple[Ring, ...]]:
    """Rings and holes around all that is nearer than radius_px to open lines or single points, ends and bends round."""
    parts = [LineString(_points(line)) if len(line) > 2 else Point(line) for line in lines]
    around = shapely.union_all([part.buffer(radius_px) for part in parts])
    polygons = [part for part in shapely.get_parts(around) if isinstance(part, Polygon) and not part.is_empty]
    rings = tuple(_flat(polygon.exterior) for polygon in polygons)
    return rings, tuple(_flat(hole) for polygon in polygons for hole in polygon.interiors)


def polygonal_part(polygon: Polygon) -> BaseGeometry:
    """A valid geometry of the area that `polygon` encloses: itself, or make_valid's polygons without lines and points.

    A bow-tie becomes its two triangles; nothing ever becomes its box or its hull.
    """
    if polygon.is_valid:
        return polygon
    parts = shapely.get_parts(shapely.make_valid(polygon, method="linework"))
    flat = [piece for part in parts for piece in shapely.get_parts(part)]
    return MultiPolygon([piece for piece in flat if isinstance(piece, Polygon)])


def _area(shapes: Iterable[BaseGeometry]) -> float:
    return float(sum(shape.area for shape in shapes))


def _flat(line: LinearRing) -> Ring:
    """x, y ... of a closed line, its last point (the first again) left out."""
    return tuple(np.asarray(line.coords)[:-1].ravel().tolist())


def _points(ring: Ring) -> np.ndarray:
    return np.asarray(ring, np.float64).reshape(-1, 2)


def _encloses(ring: Ring) -> bool:
    return len(ring) >= 6 and len(set(zip(ring[0::2], ring[1::2], strict=True))) >= 3


def _position(rings: Sequence[Ring], size_hw: tuple[int, int]) -> tuple[bool, bool]:
    """Whether all points are inside the frame, and whether the bounds touch it at all."""
    if not rings:
        return True, True
    points = np.concatenate([_points(ring) for ring in rings])
    low, high = points.min(axis=0), points.max(axis=0)
    width_height = np.array(size_hw[::-1])
    inside = (low >= -BORDER_TOLERANCE_PX).all() and (high <= width_height + BORDER_TOLERANCE_PX).all()
    return bool(inside), bool((high > 0).all() and (low < width_height).all())
