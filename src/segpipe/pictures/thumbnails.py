"""Small pictures for a page: a photograph, or the part of it around an annotation, with the annotation's outline."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segpipe.core.errors import AnnotationError
from segpipe.data import photos
from segpipe.data.records import Frame, Instance
from segpipe.masks import geometry, raster, rle
from segpipe.masks.geometry import Ring
from segpipe.masks.regions import region_of
from segpipe.masks.rle import Region

WIDTH, HEIGHT = 320, 240  # at most, in pixels
_QUALITY = 80
_LARGEST_ZOOM = 6.0
_CONTEXT = 1.0  # around an annotation, in its own longer side
_LEAST_PART = 1 / 3  # of the photograph's sides, that is shown around a small annotation
_OVERHANG = 0.5  # of the photograph's sides, that is shown beyond its border
_MARGIN = 0.05  # of the photograph's longer side, around an annotation that reaches past its border
_MARGIN_PX = 4  # of the thumbnail, around what covers none of its pixels
_GROUND = (128, 128, 128)  # where there is no photograph
_INSIDE, _LINE, _HALO = (255, 40, 130), (255, 40, 130), (255, 255, 255)
_TINT = 0.22

Box = tuple[float, float, float, float]  # left, top, right, bottom in the photograph's pixels


@dataclass(frozen=True, slots=True)
class View:
    """The part of a photograph that is shown: box in the photograph's pixels, and what one of them becomes."""

    box: Box
    zoom: float

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the thumbnail, in pixels."""
        left, top, right, bottom = self.box
        return max(1, round((bottom - top) * self.zoom)), max(1, round((right - left) * self.zoom))


def of_annotation(root: Path, file: str, frame: Frame, instance: Instance) -> str:
    """The part of a photograph around an annotation, outlined, as a data: URI of a JPEG; all of it without an outline.

    "" if the photograph cannot be read.
    """
    return _uri(root, file, frame, [instance], around=instance)


def of_photograph(root: Path, file: str, frame: Frame, instances: Sequence[Instance]) -> str:
    """A whole photograph with the outlines of `instances`, as a data: URI of a JPEG; "" if it cannot be read."""
    return _uri(root, file, frame, instances, around=None)


def view_of(size_hw: tuple[int, int], box: Box | None) -> View:
    """What to show of a photograph: all of it; around `box` a part; more than all of it if box reaches past it."""
    height, width = size_hw
    if box is None:
        return _fitting((0, 0, width, height))
    left, top, right, bottom = box
    if left < -1 or top < -1 or right > width + 1 or bottom > height + 1:
        beyond_x, beyond_y, margin = width * _OVERHANG, height * _OVERHANG, _MARGIN * max(size_hw)
        return _fitting((
            max(min(left - margin, 0.0), -beyond_x), max(min(top - margin, 0.0), -beyond_y),
            min(max(right + margin, width), width + beyond_x), min(max(bottom + margin, height), height + beyond_y),
        ))  # fmt: skip
    side = max(right - left, bottom - top)
    across = max(right - left + 2 * _CONTEXT * side, width * _LEAST_PART)
    down = max(bottom - top + 2 * _CONTEXT * side, height * _LEAST_PART)
    (left, right), (top, bottom) = _span(left, right, across, width), _span(top, bottom, down, height)
    return _fitting((left, top, right, bottom))


def outlined(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Pixels, uint8 (h, w, 3), with the region of `mask`, bool (h, w), tinted and its edge drawn just outside it."""
    thick = _grown(_grown(mask))
    line = thick & ~mask
    halo = _grown(thick) & ~thick
    drawn = pixels.astype(np.float32)
    drawn[mask] += _TINT * (np.array(_INSIDE) - drawn[mask])
    drawn[halo] = _HALO
    drawn[line] = _LINE
    return drawn.round().astype(np.uint8)


def _uri(root: Path, file: str, frame: Frame, instances: Sequence[Instance], around: Instance | None) -> str:
    try:
        stored_hw, orientation = photos.read_size(root / file)
        size_hw = stored_hw if frame == "stored" else photos.viewed_hw(stored_hw, orientation)
        box = _bounds(around, size_hw, root) if around else None
        view = view_of(size_hw, box)
        pixels = _pixels(photos.read_reduced(root / file, frame, min(1.0, view.zoom)), size_hw, view)
    except AnnotationError:
        return ""
    for instance in instances:
        mask = _mask(instance, size_hw, view, root)
        if not mask.any() and box:
            mask = _boxed(box, view)
        pixels = outlined(pixels, mask)
    return _jpeg_uri(pixels)


def _fitting(box: Sequence[float]) -> View:
    left, top, right, bottom = box
    zoom = min(WIDTH / (right - left), HEIGHT / (bottom - top), _LARGEST_ZOOM)
    return View((left, top, right, bottom), zoom)


def _span(low: float, high: float, length: float, limit: int) -> tuple[float, float]:
    """`length` around the middle of low..high, moved and cut to lie in 0..limit; in the order left, right."""
    length = min(length, limit)
    start = min(max(0.0, (low + high - length) / 2), limit - length)
    return start, start + length


def _pixels(photo: np.ndarray, size_hw: tuple[int, int], view: View) -> np.ndarray:
    """The view of a photograph that may have been read reduced; grey where the view reaches past it."""
    height, width = size_hw
    left, top, right, bottom = view.box
    inner = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    x, y = round((inner[0] - left) * view.zoom), round((inner[1] - top) * view.zoom)
    shown = View(inner, view.zoom).size_hw
    across, down = photo.shape[1] / width, photo.shape[0] / height
    part = (inner[0] * across, inner[1] * down, inner[2] * across, inner[3] * down)
    resized = Picture.fromarray(photo).resize(shown[::-1], Picture.Resampling.LANCZOS, box=part)
    canvas = Picture.new("RGB", view.size_hw[::-1], _GROUND)
    canvas.paste(resized, (x, y))
    return np.asarray(canvas)


def _bounds(instance: Instance, size_hw: tuple[int, int], root: Path) -> Box | None:
    if instance.rings:
        points = np.concatenate([np.asarray(ring, np.float64).reshape(-1, 2) for ring in instance.rings])
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return left, top, right, bottom
    region = _region(instance, size_hw, root)
    return rle.bounds(region) if region else None


def _mask(instance: Instance, size_hw: tuple[int, int], view: View, root: Path) -> np.ndarray:
    """Which pixels of the thumbnail the instance covers, bool (h, w); none if that cannot be told."""
    if instance.rings:
        shape = geometry.examine(_scaled(instance.rings, view), view.size_hw, _scaled(instance.holes, view))
        holes, even_odd = shape.holes, instance.even_odd
        region = raster.draw(shape.rings, view.size_hw, holes, even_odd) if shape.rings else None
        return raster.paint([region] if region else [], view.size_hw) > 0
    region = _region(instance, size_hw, root)
    return _sampled(region, size_hw, view) if region else np.zeros(view.size_hw, bool)


def _scaled(rings: Sequence[Ring], view: View) -> list[Ring]:
    """Rings in the thumbnail's pixels."""
    corner = np.array(view.box[:2])
    return [tuple(((np.reshape(ring, (-1, 2)) - corner) * view.zoom).ravel().tolist()) for ring in rings]


def _boxed(box: Box, view: View) -> np.ndarray:
    """A rectangle around an annotation that covers no pixel of the thumbnail, bool (h, w)."""
    left, right = ((x - view.box[0]) * view.zoom for x in (box[0], box[2]))
    top, bottom = ((y - view.box[1]) * view.zoom for y in (box[1], box[3]))
    mask = np.zeros(view.size_hw, bool)
    rows = slice(max(0, round(top) - _MARGIN_PX), max(0, round(bottom) + _MARGIN_PX))
    columns = slice(max(0, round(left) - _MARGIN_PX), max(0, round(right) + _MARGIN_PX))
    mask[rows, columns] = True
    return mask


def _region(instance: Instance, size_hw: tuple[int, int], root: Path) -> Region | None:
    if instance.rle is None and instance.mask_value is None:
        return None
    try:
        return region_of(instance, size_hw, root)
    except AnnotationError:
        return None


def _sampled(region: Region, size_hw: tuple[int, int], view: View) -> np.ndarray:
    """The region at the centres of the thumbnail's pixels, without decoding it at the photograph's size."""
    height, width = size_hw
    rows, columns = (np.arange(count) for count in view.size_hw)
    y = np.floor(view.box[1] + (rows + 0.5) / view.zoom).astype(np.int64).clip(0, height - 1)
    x = np.floor(view.box[0] + (columns + 0.5) / view.zoom).astype(np.int64).clip(0, width - 1)
    flat = x[None, :] * height + y[:, None]
    return np.searchsorted(region.edges, flat, side="right") % 2 == 1


def _grown(mask: np.ndarray) -> np.ndarray:
    """The mask and every pixel that touches it by a side."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _jpeg_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    # subsampling: lines keep their colour; no optimize: Pillow's buffer for it is too small for a picture of noise
    Picture.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
