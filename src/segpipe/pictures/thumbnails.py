"""Thumbnails for a page: a photo, or the part of it around an annotation, with the annotation's outline."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import numpy as np
from PIL import Image

from segpipe.core.errors import AnnotationError
from segpipe.data import photos
from segpipe.data.records import Frame, Instance
from segpipe.masks import geometry, raster, rle
from segpipe.masks.geometry import Ring
from segpipe.masks.regions import region_of
from segpipe.masks.rle import Region
from segpipe.pictures.overlay import edges

WIDTH, HEIGHT = 320, 240  # at most, in pixels
_QUALITY = 80
_MAX_ZOOM = 6.0
_CONTEXT = 1.0  # around an annotation, relative to its longer side
_MIN_PART = 1 / 3  # of the photo's sides, shown around a small annotation
_OVERHANG = 0.5  # of the photo's sides, shown beyond its border
_MARGIN = 0.05  # of the photo's longer side, around an annotation that reaches past its border
_MARGIN_PX = 4  # of the thumbnail, around an annotation that covers none of its pixels
_GROUND = (128, 128, 128)  # beyond the photo's border
_INSIDE, _LINE, _HALO = (255, 40, 130), (255, 40, 130), (255, 255, 255)
_TINT = 0.22

Box = tuple[float, float, float, float]  # left, top, right, bottom in the photo's pixels


@dataclass(frozen=True, slots=True)
class View:
    """The part of a photo that is shown, and its scale."""

    box: Box  # may exceed the photo
    zoom: float  # shown pixels for each pixel of the photo, in both directions

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the shown image, in pixels."""
        left, top, right, bottom = self.box
        return max(1, round((bottom - top) * self.zoom)), max(1, round((right - left) * self.zoom))

    def on_pixels(self) -> "View":
        """The view extended to whole pixels of the photo; if it enlarges, each of them becomes one square.

        >>> View((0.5, 0.5, 3.0, 3.0), 2.7).on_pixels()
        View(box=(0, 0, 3, 3), zoom=2)
        """
        left, top, right, bottom = self.box
        zoom = floor(self.zoom) if self.zoom >= 1 else self.zoom
        return View((floor(left), floor(top), ceil(right), ceil(bottom)), zoom)

    def scaled(self, ring: Ring) -> Ring:
        """A ring of the photo, flat x, y, x, y ..., in pixels of the shown image."""
        points = (np.reshape(ring, (-1, 2)) - np.array(self.box[:2])) * self.zoom
        return tuple(points.ravel().tolist())

    def cut(
        self,
        image: np.ndarray,
        size_hw: tuple[int, int],
        resampling: Image.Resampling = Image.Resampling.LANCZOS,
    ) -> np.ndarray:
        """The shown image, uint8 (*self.size_hw, 3), grey beyond the photo's border.

        image: uint8 (h, w, 3), the whole photo, at its size or smaller; size_hw: the photo's size.
        """
        height, width = size_hw
        left, top, right, bottom = self.box
        inner = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
        x, y = round((inner[0] - left) * self.zoom), round((inner[1] - top) * self.zoom)
        shown = View(inner, self.zoom).size_hw
        across, down = image.shape[1] / width, image.shape[0] / height
        part = (inner[0] * across, inner[1] * down, inner[2] * across, inner[3] * down)
        resized = Image.fromarray(image).resize(shown[::-1], resampling, box=part)
        canvas = Image.new("RGB", self.size_hw[::-1], _GROUND)
        canvas.paste(resized, (x, y))
        return np.asarray(canvas)


def of_annotation(root: Path, file: str, frame: Frame, instance: Instance) -> str:
    """A thumbnail of the part of a photo around an annotation, outlined, as a data: URI of a JPEG.

    root: the source folder; file: the photo's path inside it. The whole photo if the annotation has no outline;
    "" if the photo cannot be read.
    """
    return _uri(root, file, frame, [instance], around=instance)


def of_photo(root: Path, file: str, frame: Frame, instances: Sequence[Instance]) -> str:
    """A thumbnail of a whole photo with the outlines of `instances`, as a data: URI of a JPEG; "" if it is unreadable.

    root: the source folder; file: the photo's path inside it.
    """
    return _uri(root, file, frame, instances, around=None)


def view_of(
    size_hw: tuple[int, int],
    box: Box | None,
    *,
    max_hw: tuple[int, int] = (HEIGHT, WIDTH),
    max_zoom: float = _MAX_ZOOM,
    min_part_hw: tuple[float, float] | None = None,
) -> View:
    """The view of a photo around `box`; of the whole photo if box is None; of more if box reaches past the border.

    size_hw: of the photo; max_hw: of the shown image; min_part_hw: height and width that are shown around a small box,
    in the photo's pixels, by default a third of the photo's.
    """
    height, width = size_hw
    if box is None:
        return _fitting((0, 0, width, height), max_hw, max_zoom)
    left, top, right, bottom = box
    if left < -1 or top < -1 or right > width + 1 or bottom > height + 1:
        beyond_x, beyond_y, margin = width * _OVERHANG, height * _OVERHANG, _MARGIN * max(size_hw)
        extended = (
            max(min(left - margin, 0.0), -beyond_x), max(min(top - margin, 0.0), -beyond_y),
            min(max(right + margin, width), width + beyond_x), min(max(bottom + margin, height), height + beyond_y),
        )  # fmt: skip
        return _fitting(extended, max_hw, max_zoom)
    min_height, min_width = min_part_hw or (height * _MIN_PART, width * _MIN_PART)
    context = 2 * _CONTEXT * max(right - left, bottom - top)
    left, right = _span(left, right, max(right - left + context, min_width), width)
    top, bottom = _span(top, bottom, max(bottom - top + context, min_height), height)
    return _fitting((left, top, right, bottom), max_hw, max_zoom)


def outlined(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An image with a region tinted and a line drawn just outside it, uint8 (h, w, 3).

    pixels: uint8 (h, w, 3); mask: bool (h, w), the region.
    """
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
        pixels = view.cut(photos.read_reduced(root / file, frame, min(1.0, view.zoom)), size_hw)
    except AnnotationError:
        return ""
    for instance in instances:
        mask = _mask(instance, size_hw, view, root)
        if not mask.any() and box:
            mask = _box_mask(box, view)
        pixels = outlined(pixels, mask)
    return _jpeg_uri(pixels)


def _fitting(box: Box, max_hw: tuple[int, int], max_zoom: float) -> View:
    left, top, right, bottom = box
    return View(box, min(max_hw[1] / (right - left), max_hw[0] / (bottom - top), max_zoom))


def _span(low: float, high: float, length: float, limit: int) -> tuple[float, float]:
    """Start and end of `length` around the middle of low..high, moved and cut to be inside 0..limit."""
    length = min(length, limit)
    start = min(max(0.0, (low + high - length) / 2), limit - length)
    return start, start + length


def _bounds(instance: Instance, size_hw: tuple[int, int], root: Path) -> Box | None:
    if instance.rings:
        points = np.concatenate([np.asarray(ring, np.float64).reshape(-1, 2) for ring in instance.rings])
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return left, top, right, bottom
    region = _region(instance, size_hw, root)
    return rle.bounds(region) if region else None


def _mask(instance: Instance, size_hw: tuple[int, int], view: View, root: Path) -> np.ndarray:
    """The pixels of the thumbnail that the instance covers, bool (h, w); all False if the instance is invalid."""
    if instance.rings:
        rings, holes = ([view.scaled(ring) for ring in part] for part in (instance.rings, instance.holes))
        shape = geometry.examine(rings, view.size_hw, holes)
        region = raster.draw(shape.rings, view.size_hw, shape.holes, instance.even_odd) if shape.rings else None
        return raster.paint([region] if region else [], view.size_hw) > 0
    region = _region(instance, size_hw, root)
    return _sampled(region, size_hw, view) if region else np.zeros(view.size_hw, bool)


def _box_mask(box: Box, view: View) -> np.ndarray:
    """A rectangle around an annotation that covers no pixel of the thumbnail, bool (h, w)."""
    left, top, right, bottom = view.scaled(box)
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
    """The region at the centres of the thumbnail's pixels, without decoding it at the photo's size."""
    height, width = size_hw
    rows, columns = (np.arange(count) for count in view.size_hw)
    y = np.floor(view.box[1] + (rows + 0.5) / view.zoom).astype(np.int64).clip(0, height - 1)
    x = np.floor(view.box[0] + (columns + 0.5) / view.zoom).astype(np.int64).clip(0, width - 1)
    flat = x[None, :] * height + y[:, None]
    return np.searchsorted(region.edges, flat, side="right") % 2 == 1


def _grown(mask: np.ndarray) -> np.ndarray:
    """The mask and every pixel that touches it by a side."""
    return mask | edges(mask)


def _jpeg_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    # subsampling: lines keep their colour; no optimize: Pillow's buffer for it is too small for an image of noise
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
