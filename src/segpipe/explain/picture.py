"""The pictures of `explain`: one annotation in its photograph, or all of a photograph's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

from segpipe.core.errors import AnnotationError
from segpipe.data.classes import IGNORE_INDEX, ClassTable
from segpipe.data.records import Instance
from segpipe.masks import outlines
from segpipe.masks.geometry import Ring
from segpipe.pictures.overlay import overlay

_VISIBLE, _HIDDEN, _LINE, _HALO = (40, 200, 90), (255, 40, 130), (255, 255, 255), (0, 0, 0)
_TINT = 0.5
_GROUND = 128  # beyond the photograph's border
_CONTEXT = 0.5  # around an annotation, in its own longer side
_LEAST_PX = 24  # around it at least
_BEYOND = 0.5  # of the photograph's sides, that is shown past its border at most
_SIDE_PX = 900  # of the picture's longer side, about
_MOST_ZOOM = 16


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture and what its colours mean."""

    image: Picture.Image
    legend: str


@dataclass(frozen=True, slots=True)
class _View:
    """The part of a photograph that is shown, in whole pixels, which may reach past it; zoom: of each of them."""

    left: int
    top: int
    right: int
    bottom: int
    zoom: float

    @property
    def size_wh(self) -> tuple[int, int]:
        return round((self.right - self.left) * self.zoom), round((self.bottom - self.top) * self.zoom)


def mask_of(instance: Instance, size_hw: tuple[int, ...], root: Path) -> np.ndarray:
    """The pixels that an instance covers by itself, bool (H, W). Raises AnnotationError if it cannot be drawn."""
    if instance.problem or (instance.rings and min(map(len, instance.rings)) < 6):
        raise AnnotationError(instance.detail or "it has no area")
    return outlines.mask(outlines.region(instance, (size_hw[0], size_hw[1]), root))


def of_instance(image: np.ndarray, instance: Instance, mask: np.ndarray, visible: np.ndarray) -> Drawn:
    """The part of a photograph, uint8 (H, W, 3), around an instance: pixels that show, that do not, its outline.

    mask, visible: bool (H, W), what it covers by itself and what of that shows.
    """
    tinted = image.astype(np.float32)
    for pixels, colour in ((visible, _VISIBLE), (mask & ~visible, _HIDDEN)):
        tinted[pixels] += _TINT * (np.array(colour, np.float32) - tinted[pixels])
    view = _view(_box(instance, mask), mask.shape)
    picture = _cut(tinted.round().astype(np.uint8), view)
    edges = [*instance.rings, *instance.holes] or outlines.traced(mask)
    _draw_lines(picture, edges, view, closed=instance.kind not in ("line", "point"))
    return Drawn(picture, "green pixels show, pink ones are hidden or not drawn, the white line is the annotation's")


def of_photograph(image: np.ndarray, label_map: np.ndarray, classes: ClassTable) -> Drawn:
    """A photograph, uint8 (H, W, 3), with its label map, uint8 (H, W), over it; what is ignored is hatched grey."""
    tinted = overlay(image, label_map, classes.colours)
    height, width = label_map.shape
    stripes = np.add.outer(np.arange(height), np.arange(width)) % 8 < 4
    tinted[(label_map == IGNORE_INDEX) & stripes] = classes.colours[IGNORE_INDEX]
    view = _View(0, 0, width, height, _zoom(max(height, width)))
    return Drawn(
        _cut(tinted, view), "each object in its class's colour (data/masks/classes.json), ignored pixels hatched"
    )


def _box(instance: Instance, mask: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of its outline and pixels; of the whole photograph if it has neither."""
    xs = [x for ring in instance.rings for x in ring[0::2]]
    ys = [y for ring in instance.rings for y in ring[1::2]]
    if mask.any():
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        xs += [float(columns[0]), float(columns[-1] + 1)]
        ys += [float(rows[0]), float(rows[-1] + 1)]
    if not xs:
        return 0.0, 0.0, float(mask.shape[1]), float(mask.shape[0])
    return min(xs), min(ys), max(xs), max(ys)


def _view(box: tuple[float, float, float, float], size_hw: Sequence[int]) -> _View:
    height, width = size_hw[:2]
    margin = max(_CONTEXT * max(box[2] - box[0], box[3] - box[1]), _LEAST_PX)
    left, right = _span(box[0], box[2], margin, width)
    top, bottom = _span(box[1], box[3], margin, height)
    return _View(left, top, right, bottom, _zoom(max(right - left, bottom - top)))


def _span(low: float, high: float, margin: float, side: int) -> tuple[int, int]:
    """What to show of one side: within the photograph, and past it only as far as the annotation leads."""
    least = 0 if low >= 0 else max(int(low) - _LEAST_PX, -int(side * _BEYOND))
    most = side if high <= side else min(int(high) + _LEAST_PX, int(side * (1 + _BEYOND)))
    start, stop = max(least, int(low - margin)), min(most, int(high + margin) + 1)
    return (start, stop) if stop - start > 1 else (0, side)


def _zoom(longer_side: int) -> float:
    return min(_MOST_ZOOM, max(1, _SIDE_PX // longer_side)) if longer_side <= _SIDE_PX else _SIDE_PX / longer_side


def _cut(image: np.ndarray, view: _View) -> Picture.Image:
    height, width = image.shape[:2]
    canvas = np.full((view.bottom - view.top, view.right - view.left, 3), _GROUND, np.uint8)
    rows, columns = slice(max(0, view.top), min(height, view.bottom)), slice(max(0, view.left), min(width, view.right))
    canvas[rows.start - view.top : rows.stop - view.top, columns.start - view.left : columns.stop - view.left] = image[
        rows, columns
    ]
    way = Picture.Resampling.NEAREST if view.zoom >= 1 else Picture.Resampling.BOX
    return Picture.fromarray(canvas).resize(view.size_wh, way)


def _draw_lines(picture: Picture.Image, rings: Sequence[Ring], view: _View, closed: bool) -> None:
    pen = ImageDraw.Draw(picture)
    for ring in rings:
        points = [
            ((x - view.left) * view.zoom, (y - view.top) * view.zoom) for x, y in zip(*[iter(ring)] * 2, strict=True)
        ]
        if len(points) == 1:
            points = [(points[0][0] - 3, points[0][1]), (points[0][0] + 3, points[0][1])]
        if closed:
            points.append(points[0])
        pen.line(points, fill=_HALO, width=4)
        pen.line(points, fill=_LINE, width=2)
