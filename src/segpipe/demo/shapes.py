"""Outlines of the demo's objects in unit coordinates: centre (0, 0), radius about 1."""

from collections.abc import Callable

import numpy as np
from shapely import affinity
from shapely.geometry import LineString, MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

_STEPS = 36  # points of a full turn
_MIN_PART = 0.05  # of the unit area: smaller parts of a broken object are left out


def coin(rng: np.random.Generator) -> Polygon:
    """A disc seen at an angle."""
    return _ellipse(1.0, rng.uniform(0.8, 1.0))


def brick(rng: np.random.Generator) -> Polygon:
    """A rectangle with round corners."""
    length, width = 1.0, rng.uniform(0.5, 0.72)
    corner = rng.uniform(0.08, 0.2)
    core = box(-length + corner, -width + corner, length - corner, width - corner)
    return Polygon(core.buffer(corner, quad_segs=3).exterior)


def star(rng: np.random.Generator) -> Polygon:
    """A star of five or six blunt rays."""
    rays = int(rng.integers(5, 7))
    radius = np.tile([1.08, rng.uniform(0.54, 0.64)], rays)
    angle = np.arange(2 * rays) * np.pi / rays
    sharp = Polygon(np.column_stack((radius * np.cos(angle), radius * np.sin(angle))))
    return Polygon(sharp.buffer(-0.06).buffer(0.06, quad_segs=2).exterior)


def ring(rng: np.random.Generator) -> Polygon:
    """A washer: a disc with a hole."""
    slant, hole = rng.uniform(0.82, 1.0), rng.uniform(0.36, 0.46)
    return Polygon(_ellipse(1.0, slant).exterior, [_ellipse(hole, hole * slant).exterior])


def leaf(rng: np.random.Generator) -> Polygon:
    """A bent lens, pointed at both ends."""
    along = np.linspace(-1.0, 1.0, _STEPS // 2)
    belly, bend = rng.uniform(0.46, 0.6), rng.uniform(-0.25, 0.25)
    half = belly * (1 - along**2) ** 0.8 * (1 - 0.3 * along)
    middle = bend * (1 - along**2)
    upper = np.column_stack((1.15 * along, middle + half))
    lower = np.column_stack((1.15 * along, middle - half))[-2:0:-1]
    return Polygon(np.concatenate((upper, lower)))


def pebble(rng: np.random.Generator) -> Polygon:
    """An irregular blob."""
    angle = np.arange(_STEPS) * 2 * np.pi / _STEPS
    radius = np.full(_STEPS, 0.85)
    for order in (2, 3, 4):
        radius += rng.uniform(0.04, 0.13) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return Polygon(np.column_stack((radius * np.cos(angle), 0.8 * radius * np.sin(angle))))


OUTLINES: dict[str, Callable[[np.random.Generator], Polygon]] = {
    "coin": coin,
    "brick": brick,
    "star": star,
    "ring": ring,
    "leaf": leaf,
    "pebble": pebble,
}


def broken(outline: Polygon, rng: np.random.Generator) -> MultiPolygon:
    """Two halves of an outline, pulled apart along a crack through its middle."""
    tilt, gap = rng.uniform(50, 130), rng.uniform(0.2, 0.32)
    near = affinity.rotate(box(0.0, -3.0, 3.0, 3.0), tilt - 90, origin=(0, 0))
    half = outline.intersection(near)
    other = outline.difference(near)
    push = np.deg2rad(tilt - 90)
    step = np.array([np.cos(push), np.sin(push)]) * gap / 2
    moved = [affinity.translate(half, *step), affinity.translate(other, *-step)]
    return parts_of(moved[0].union(moved[1]), _MIN_PART)


def placed(outline: BaseGeometry, centre_xy: tuple[float, float], radius_px: float, angle_deg: float) -> BaseGeometry:
    """The outline at its place in an image, in pixels: scaled, then rotated, then moved."""
    sized = affinity.scale(outline, radius_px, radius_px, origin=(0, 0))
    turned = affinity.rotate(sized, angle_deg, origin=(0, 0))
    return affinity.translate(turned, *centre_xy)


def twig(rng: np.random.Generator, size_hw: tuple[int, int], width_px: float) -> Polygon:
    """A bent bar across the whole image, which covers objects."""
    height, width = size_hw
    reach = 0.75 * (height + width)
    along = np.linspace(-reach, reach, 25)
    across = rng.uniform(0.03, 0.09) * min(size_hw) * np.sin(along / reach * 4 + rng.uniform(0, 6))
    line = affinity.rotate(LineString(np.column_stack((along, across))), rng.uniform(0, 180), origin=(0, 0))
    shift = rng.uniform(0.25, 0.75, 2)
    line = affinity.translate(line, shift[0] * width, shift[1] * height)
    return Polygon(line.buffer(width_px / 2, cap_style="flat", quad_segs=2).exterior)


def parts_of(geometry: BaseGeometry, min_area: float) -> MultiPolygon:
    """The polygons of a geometry with at least this area, the largest first."""
    pieces = list(geometry.geoms) if hasattr(geometry, "geoms") else [geometry]
    kept = [piece for piece in pieces if isinstance(piece, Polygon) and piece.area >= min_area]
    return MultiPolygon(sorted(kept, key=lambda piece: (-piece.area, piece.bounds)))


def _ellipse(long: float, short: float) -> Polygon:
    angle = np.arange(_STEPS) * 2 * np.pi / _STEPS
    return Polygon(np.column_stack((long * np.cos(angle), short * np.sin(angle))))
