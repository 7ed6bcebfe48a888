"""Outlines of shapes that formats describe by a few numbers: flat x, y ... in pixels."""

import math

Ring = tuple[float, ...]

CURVE_POINTS = 64  # a polygon of so many points misses the circle by 0.12 % of its radius


def box(left: float, top: float, right: float, bottom: float) -> Ring:
    """The four corners of an upright rectangle, clockwise from the top left, whichever corners are given."""
    left, right = min(left, right), max(left, right)
    top, bottom = min(top, bottom), max(top, bottom)
    return left, top, right, top, right, bottom, left, bottom


def turned(ring: Ring, angle_deg: float) -> Ring:
    """A ring turned about the middle of its points, clockwise as seen (y points down)."""
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
    """An ellipse about (x, y), turned clockwise as seen (y points down), as a polygon of CURVE_POINTS points on it."""
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    ring: list[float] = []
    for step in range(CURVE_POINTS):
        turn = 2 * math.pi * step / CURVE_POINTS
        along, across = radius_x * math.cos(turn), radius_y * math.sin(turn)
        ring += [x + along * cosine - across * sine, y + along * sine + across * cosine]
    return tuple(ring)
