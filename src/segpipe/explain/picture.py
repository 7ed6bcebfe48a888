"""The images that `explain` draws: one annotation in its photo, or all annotations of a photo."""

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
from segpipe.pictures.layout import stripes
from segpipe.pictures.overlay import overlay
from segpipe.pictures.thumbnails import Box, View, view_of

_VISIBLE, _HIDDEN, _LINE, _HALO = (40, 200, 90), (255, 40, 130), (255, 255, 255), (0, 0, 0)
_TINT = 0.5
_MARGIN_PX = 24  # of the photo, at least, around an annotation
_SIDE_PX = 900  # of the drawn image, at most
_MAX_ZOOM = 16


@dataclass(frozen=True, slots=True)
class Illustration:
    """A drawn image and the meaning of its colours."""

    image: Picture.Image
    legend: str


def mask_of(instance: Instance, size_hw: tuple[int, ...], root: Path) -> np.ndarray:
    """The pixels that an instance covers, also under other objects, bool (H, W).

    Raises AnnotationError if it cannot be drawn.
    """
    if instance.problem or (instance.rings and min(map(len, instance.rings)) < 6):
        raise AnnotationError(instance.detail or "it has no area")
    return outlines.to_mask(outlines.region(instance, (size_hw[0], size_hw[1]), root))


def of_instance(image: np.ndarray, instance: Instance, mask: np.ndarray, visible: np.ndarray) -> Illustration:
    """The part of an image around an instance, with its outline and its visible and hidden pixels.

    image: uint8 (H, W, 3); mask: bool (H, W), the pixels that it covers, also under other objects; visible: bool
    (H, W), those of them that the label map shows.
    """
    tinted = image.astype(np.float32)
    for pixels, colour in ((visible, _VISIBLE), (mask & ~visible, _HIDDEN)):
        tinted[pixels] += _TINT * (np.array(colour, np.float32) - tinted[pixels])
    view = _view(mask.shape, _box(instance, mask))
    drawn = _cut(tinted.round().astype(np.uint8), view)
    rings = [*instance.rings, *instance.holes] or outlines.trace(mask)
    _draw_lines(drawn, [view.scaled(ring) for ring in rings], closed=instance.kind not in ("line", "point"))
    legend = "green pixels are visible, pink ones are hidden or not drawn, the white line is the annotation's outline"
    return Illustration(drawn, legend)


def of_image(image: np.ndarray, label_map: np.ndarray, classes: ClassTable) -> Illustration:
    """An image with its label map over it; ignored pixels are hatched.

    image: uint8 (H, W, 3); label_map: uint8 (H, W).
    """
    tinted = overlay(image, label_map, classes.colours)
    tinted[(label_map == IGNORE_INDEX) & stripes(label_map.shape)] = classes.colours[IGNORE_INDEX]
    legend = "each object has the colour of its class (data/masks/classes.json), ignored pixels are hatched"
    return Illustration(_cut(tinted, _view(label_map.shape, None)), legend)


def _box(instance: Instance, mask: np.ndarray) -> Box | None:
    """The box around the outline and the pixels of an instance; None if it has neither."""
    xs = [x for ring in instance.rings for x in ring[0::2]]
    ys = [y for ring in instance.rings for y in ring[1::2]]
    if mask.any():
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        xs += [float(columns[0]), float(columns[-1] + 1)]
        ys += [float(rows[0]), float(rows[-1] + 1)]
    return (min(xs), min(ys), max(xs), max(ys)) if xs else None


def _view(size_hw: Sequence[int], box: Box | None) -> View:
    left, top, right, bottom = box or (0, 0, 0, 0)
    min_part_hw = (bottom - top + 2 * _MARGIN_PX, right - left + 2 * _MARGIN_PX)
    view = view_of(
        (size_hw[0], size_hw[1]), box, max_hw=(_SIDE_PX, _SIDE_PX), max_zoom=_MAX_ZOOM, min_part_hw=min_part_hw
    )
    return view.on_pixels()


def _cut(image: np.ndarray, view: View) -> Picture.Image:
    resampling = Picture.Resampling.NEAREST if view.zoom >= 1 else Picture.Resampling.BOX
    return Picture.fromarray(view.cut(image, (image.shape[0], image.shape[1]), resampling))


def _draw_lines(drawn: Picture.Image, rings: Sequence[Ring], closed: bool) -> None:
    """Draw the rings, which are in pixels of the drawn image; a single point becomes a short line."""
    pen = ImageDraw.Draw(drawn)
    for ring in rings:
        points = list(zip(ring[0::2], ring[1::2], strict=True))
        if len(points) == 1:
            (x, y) = points[0]
            points = [(x - 3, y), (x + 3, y)]
        if closed:
            points.append(points[0])
        pen.line(points, fill=_HALO, width=4)
        pen.line(points, fill=_LINE, width=2)
