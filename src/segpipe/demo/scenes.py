"""A drawn photo and its exact truth, determined by (seed, index) alone."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from shapely import affinity, set_precision
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

from segpipe.demo import shapes
from segpipe.demo.surfaces import Light, Patch, lit
from segpipe.demo.textures import Rng, blurred, cloudy, ground
from segpipe.masks import raster, rle

CLASSES = ("coin", "brick", "star", "ring", "leaf")
UNSELECTED = "pebble"
CROWD_EVERY = 41  # every 41st image shows a heap of small coins

_SIDES = ((1.0, 1.0), (1.0, 1.0), (0.8, 1.0), (1.0, 0.8), (0.9, 1.1), (1.1, 0.9))
_RADII = (0.18, 0.28)  # of the shorter side
_GRID = 0.1  # pixels: the annotations' precision
_MIN_PART_PX = 6.0  # square pixels: annotators do not draw smaller parts of an object either
_SAMPLES = 4  # per pixel and axis


@dataclass(frozen=True, slots=True)
class Thing:
    """An object before others cover it."""

    category: str
    shape: BaseGeometry  # in pixels, may exceed the border
    centre_xy: tuple[float, float]
    radius_px: float
    angle_deg: float
    crowd: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """An annotation: the part of an object inside the frame and not under the twig, and its pixels."""

    category: str
    shape: MultiPolygon
    region: rle.Region
    crowd: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawn photo and its annotations."""

    pixels: np.ndarray  # uint8 (H, W, 3) RGB
    truths: tuple[Truth, ...]  # where two overlap, that of fewer pixels is on top


def draw(seed: int, index: int, size_px: int) -> Scene:
    """Draw image number `index` of a seed. size_px: approximate length of its sides, 32 or more."""
    rng = np.random.default_rng([seed, index])
    sides = _SIDES[int(rng.integers(len(_SIDES)))]
    size_hw = (round(size_px * sides[0] / 16) * 16, round(size_px * sides[1] / 16) * 16)
    unit = min(size_hw) / 160
    over = shapes.twig(rng, size_hw, rng.uniform(4, 8) * unit) if rng.random() < 0.2 else Polygon()
    visible = _truths(_things(rng, size_hw, crowd=index % CROWD_EVERY == CROWD_EVERY - 1), over, size_hw)
    canvas = _painted(rng, [thing for thing, _ in visible], over, size_hw)
    return Scene(_photographed(rng, canvas, unit), _one_crowd([truth for _, truth in visible], size_hw))


def _things(rng: Rng, size_hw: tuple[int, int], crowd: bool) -> list[Thing]:
    """Objects that do not hide each other. Pebbles and the heap are below them, so they come first."""
    placed: list[Thing] = []
    for _ in range(int(rng.integers(3, 7))):
        category = CLASSES[int(rng.integers(len(CLASSES)))]
        placed += _first_fit(rng, category, size_hw, placed)
    pebbles = [_thing(rng, UNSELECTED, size_hw, 0.6) for _ in range(int(rng.integers(3)))]
    return [*pebbles, *(_heap(rng, size_hw) if crowd else []), *placed]


def _first_fit(rng: Rng, category: str, size_hw: tuple[int, int], placed: list[Thing]) -> list[Thing]:
    for _ in range(12):
        thing = _thing(rng, category, size_hw, 1.0)
        if all(_apart(thing, other) for other in placed):
            return [thing]
    return []


def _apart(one: Thing, other: Thing) -> bool:
    distance = np.hypot(one.centre_xy[0] - other.centre_xy[0], one.centre_xy[1] - other.centre_xy[1])
    return bool(distance > 0.66 * (one.radius_px + other.radius_px))


def _thing(rng: Rng, category: str, size_hw: tuple[int, int], scale: float) -> Thing:
    radius = rng.uniform(*_RADII) * min(size_hw) * scale
    margin = 0.45 * radius
    centre = (rng.uniform(margin, size_hw[1] - margin), rng.uniform(margin, size_hw[0] - margin))
    angle = rng.uniform(0, 360)
    outline: BaseGeometry = shapes.OUTLINES[category](rng)
    if category in CLASSES and rng.random() < 0.1:
        outline = shapes.broken(outline, rng)
    return Thing(category, shapes.placed(outline, centre, radius, angle), centre, radius, angle)


def _heap(rng: Rng, size_hw: tuple[int, int]) -> list[Thing]:
    """A dozen small coins close together, annotated as one crowd."""
    short = min(size_hw)
    middle = rng.uniform(0.3, 0.7, 2) * size_hw[::-1]
    heap = []
    for _ in range(12):
        x, y = (float(value) for value in middle + rng.normal(0, 0.11, 2) * short)
        radius, angle = 0.06 * short, rng.uniform(0, 360)
        shape = shapes.placed(shapes.coin(rng), (x, y), radius, angle)
        if box(0, 0, *size_hw[::-1]).contains(shape):
            heap.append(Thing("coin", shape, (x, y), radius, angle, crowd=True))
    return heap


def _truths(things: list[Thing], over: Polygon, size_hw: tuple[int, int]) -> list[tuple[Thing, Truth]]:
    """Each thing with a visible part, and this part, from the bottom to the top."""
    pairs = [(thing, _truth(thing, over, size_hw)) for thing in things]
    visible = [(thing, truth) for thing, truth in pairs if truth is not None]
    return sorted(visible, key=lambda pair: _height(*pair))


def _height(thing: Thing, truth: Truth) -> tuple[int, int]:
    """A key for the painting order of masks: pebbles and crowds, then objects by decreasing pixel count."""
    if thing.crowd or thing.category == UNSELECTED:
        return (0, 0)
    return (1, -rle.area_px(truth.region))


def _truth(thing: Thing, over: Polygon, size_hw: tuple[int, int]) -> Truth | None:
    inside = thing.shape.intersection(box(0, 0, size_hw[1], size_hw[0])).difference(over)
    shape = shapes.parts_of(set_precision(inside, _GRID), _MIN_PART_PX)
    if shape.is_empty:
        return None
    return Truth(thing.category, shape, _region(shape, size_hw), thing.crowd)


def _region(shape: MultiPolygon, size_hw: tuple[int, int]) -> rle.Region:
    """The pixels of a shape: those of its exteriors without those of its holes."""
    holes = [flat_ring(hole.coords) for part in shape.geoms for hole in part.interiors]
    return raster.draw([flat_ring(part.exterior.coords) for part in shape.geoms], size_hw, holes)


def flat_ring(coords: object) -> list[float]:
    """x, y, x, y ... of a closed shapely line, on the grid of the annotations, without the repeated last point."""
    points = np.asarray(coords, np.float64)[:-1]
    return [round(float(value), 1) + 0.0 for value in points.ravel()]


def _one_crowd(truths: list[Truth], size_hw: tuple[int, int]) -> tuple[Truth, ...]:
    """The truths, with all parts of the crowd merged into one."""
    heap = [truth for truth in truths if truth.crowd]
    if not heap:
        return tuple(truths)
    covered = raster.paint([truth.region for truth in heap], size_hw) > 0
    crowd = Truth(heap[0].category, MultiPolygon(), raster.of_mask(covered), crowd=True)
    return (crowd, *(truth for truth in truths if not truth.crowd))


def _painted(rng: Rng, things: list[Thing], over: Polygon, size_hw: tuple[int, int]) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    light = Light((float(np.cos(angle)), float(np.sin(angle))), rng.uniform(0, 1))
    unit = min(size_hw) / 160
    canvas = ground(rng, size_hw, unit)
    _scatter(rng, canvas, unit)
    for thing in things:
        _put(rng, canvas, thing, light)
    if not over.is_empty:
        _put_twig(rng, canvas, over, light, unit)
    return canvas


def _scatter(rng: Rng, canvas: np.ndarray, unit: float) -> None:
    """Draw crumbs and a soft shadow from outside the image: texture that is not an object."""
    size_hw = canvas.shape[:2]
    for _ in range(int(rng.integers(0, 40))):
        y, x = (int(value) for value in rng.uniform(0, 1, 2) * size_hw)
        side = int(rng.integers(1, 3) * unit) + 1
        canvas[y : y + side, x : x + side] *= np.float32(rng.uniform(0.4, 1.4))
    if rng.random() < 0.4:
        patch = np.clip(cloudy(rng, size_hw, 70 * unit, 2) * 6 - 2.8, 0, 1)
        canvas *= (1 - np.float32(rng.uniform(0.15, 0.4)) * patch)[..., None]


def _put(rng: Rng, canvas: np.ndarray, thing: Thing, light: Light) -> None:
    """Paint one thing and its shadow, inside its box only."""
    reach = thing.radius_px * 0.45 + 3
    window = _window(thing.shape, reach, canvas.shape[:2])
    alpha = _coverage(thing.shape, window)
    _cast_shadow(canvas[window], alpha, light, thing.radius_px * 0.14, thing.radius_px * 0.12)
    colour = lit(
        thing.category, rng, Patch(canvas[window], alpha, *_object_frame(thing, window), thing.radius_px), light
    )
    canvas[window] += (colour - canvas[window]) * alpha[..., None]


def _object_frame(thing: Thing, window: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """(u, v) of each pixel centre in the thing's frame: its centre is 0, its radius 1."""
    y = (np.arange(window[0].start, window[0].stop) + 0.5 - thing.centre_xy[1]) / thing.radius_px
    x = (np.arange(window[1].start, window[1].stop) + 0.5 - thing.centre_xy[0]) / thing.radius_px
    turn = np.deg2rad(thing.angle_deg)
    u, v = x * np.cos(turn) + y[:, None] * np.sin(turn), y[:, None] * np.cos(turn) - x * np.sin(turn)
    return u.astype(np.float32), v.astype(np.float32)


def _put_twig(rng: Rng, canvas: np.ndarray, over: Polygon, light: Light, unit: float) -> None:
    window = (slice(0, canvas.shape[0]), slice(0, canvas.shape[1]))
    alpha = _coverage(over, window)
    _cast_shadow(canvas, alpha, light, 2 * unit, 2 * unit)
    bark = cloudy(rng, canvas.shape[:2], 5 * unit, 3)[..., None]
    colour = (0.15 + 0.45 * bark) * np.array([1.0, 0.85, 0.7], np.float32) * np.float32(rng.uniform(0.6, 1.4))
    canvas += (colour - canvas) * alpha[..., None]


def _window(shape: BaseGeometry, reach: float, size_hw: tuple[int, ...]) -> tuple[slice, slice]:
    left, top, right, bottom = shape.bounds
    rows = slice(max(0, int(top - reach)), min(size_hw[0], int(bottom + reach) + 1))
    return rows, slice(max(0, int(left - reach)), min(size_hw[1], int(right + reach) + 1))


def _coverage(shape: BaseGeometry, window: tuple[slice, slice]) -> np.ndarray:
    """The share of each pixel of a window that the shape covers, float32 0..1, from _SAMPLES x _SAMPLES samples."""
    rows, columns = window
    height, width = rows.stop - rows.start, columns.stop - columns.start
    local = affinity.translate(shape, -columns.start, -rows.start)
    fine = affinity.scale(local, _SAMPLES, _SAMPLES, origin=(0, 0))
    parts = shapes.parts_of(fine, 0.0)
    region = _region(parts, (height * _SAMPLES, width * _SAMPLES))
    samples = raster.paint([region], (height * _SAMPLES, width * _SAMPLES))
    hits = Image.fromarray((samples > 0).astype(np.uint8) * np.uint8(255)).reduce(_SAMPLES)
    return np.asarray(hits, np.float32) / np.float32(255)


def _cast_shadow(canvas: np.ndarray, alpha: np.ndarray, light: Light, offset_px: float, blur_px: float) -> None:
    """Darken the canvas, in place, where a raised shape blocks the light."""
    right, down = (round(-offset_px * part) for part in light.direction_xy)
    margin = max(abs(right), abs(down))
    wide = np.pad(blurred(alpha, blur_px), margin)
    shadow = wide[margin - down :, margin - right :][: alpha.shape[0], : alpha.shape[1]]
    canvas *= (1 - np.float32(0.55 - 0.35 * light.soft) * shadow)[..., None]


def _photographed(rng: Rng, canvas: np.ndarray, unit: float) -> np.ndarray:
    """The canvas with uneven light, a tint, a slight blur and noise, uint8 (H, W, 3)."""
    height, width = canvas.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    slope = rng.normal(0, 0.12, 2).astype(np.float32)
    vignette = 1 - np.float32(rng.uniform(0, 0.18)) * (x**2 + y**2)
    tint = rng.normal(1, 0.05, 3).astype(np.float32) * np.float32(rng.uniform(0.85, 1.15))
    exposed = canvas * ((1 + slope[0] * x + slope[1] * y) * vignette)[..., None] * tint
    sharp = Image.fromarray(_to_uint8(exposed))
    blurry = np.asarray(sharp.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.6) * unit)), np.float32)
    noise = rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(0.5, 3.5))
    return np.clip(blurry + noise + np.float32(0.5), 0, 255).astype(np.uint8)


def _to_uint8(colours: np.ndarray) -> np.ndarray:
    return (np.clip(colours, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
