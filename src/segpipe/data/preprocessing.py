"""The one preprocessing: which parts of a picture of any size the network sees, and how each comes to its shape."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image

from segpipe.data.classes import IGNORE_INDEX

Mode = Literal["letterbox", "crop", "stretch"]
PADDING = 127  # mid-grey: near zero after normalisation, so a border looks like nothing in particular
_CROP_OVERLAP = 8  # windows of `crop` share at least this part (an eighth) of their shorter side


@dataclass(frozen=True, slots=True)
class Fit:
    """letterbox: all of the picture, padded; crop: the window filled, the rest cut; stretch: sides scaled apart.

    A picture whose longer side exceeds tile_side (0: none does) is cut instead into tiles of the shape of size_hw whose
    longer side is tile_side native pixels, and that share at least tile_overlap native pixels with their neighbours.
    All tiles come at one scale; where the picture is narrower than a tile, the rest is padding.
    """

    mode: Mode
    size_hw: tuple[int, int]
    tile_side: int = 0
    tile_overlap: int = 0

    @property
    def tile_hw(self) -> tuple[int, int]:
        """Height and width of a tile in native pixels."""
        return _like(self.size_hw, self.tile_side / max(self.size_hw))

    def cuts(self, native_hw: tuple[int, int]) -> bool:
        """Whether a picture of that size is cut into tiles."""
        return 0 < self.tile_side < max(native_hw)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture, in native pixels, and the rows and columns of the network's input that show it.

    The rest of the input is padding.
    """

    rows: slice
    columns: slice
    content: tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows of one size that together show every pixel of a picture.

    rows, columns: what they show along each side, from 0 to the picture's end; neighbours share at least `overlap`
    native pixels; content: as in Window.
    """

    rows: tuple[slice, ...]
    columns: tuple[slice, ...]
    content: tuple[slice, slice]
    overlap: int

    @property
    def windows(self) -> list[Window]:
        """The windows, row by row."""
        return [Window(rows, columns, self.content) for rows in self.rows for columns in self.columns]


@lru_cache(maxsize=4096)
def plan(native_hw: tuple[int, int], fit: Fit) -> Plan:
    """What prediction looks at in a picture of native_hw pixels.

    One window; or as many as a picture that is cut into tiles needs, or the longer side of one in `crop`.
    """
    part_hw, overlap = native_hw, 0
    if fit.cuts(native_hw):
        tile_hw = fit.tile_hw
        part_hw, overlap = _least(tile_hw, native_hw), fit.tile_overlap
        content_hw = _shown(part_hw[0], fit.size_hw[0], tile_hw[0]), _shown(part_hw[1], fit.size_hw[1], tile_hw[1])
    elif fit.mode == "crop":
        part_hw, content_hw = _crop_hw(native_hw, fit), fit.size_hw
        overlap = min(part_hw) // _CROP_OVERLAP
    elif fit.mode == "letterbox":
        content_hw = _like(native_hw, min(s / n for s, n in zip(fit.size_hw, native_hw, strict=True)))
    else:
        content_hw = fit.size_hw
    rows, columns = (_spans(length, part, overlap) for length, part in zip(native_hw, part_hw, strict=True))
    return Plan(rows, columns, _centred(_least(content_hw, fit.size_hw), fit.size_hw), overlap)


def stored_windows(native_hw: tuple[int, int], fit: Fit) -> list[Window]:
    """What training sees of a picture of native_hw pixels: what prediction does, but of `crop` the middle alone."""
    whole = plan(native_hw, fit)
    if fit.mode != "crop" or fit.cuts(native_hw):
        return whole.windows
    return [Window(*_centred(_crop_hw(native_hw, fit), native_hw), whole.content)]


def fit_image(image: np.ndarray, fit: Fit, window: Window) -> np.ndarray:
    """Bring a window of an image, uint8 (H, W, 3), to uint8 (*fit.size_hw, 3): antialiased bilinear, padding grey."""
    return _placed(Image.fromarray(image[window.rows, window.columns]), fit, window)


def fit_pil_image(picture: Image.Image, fit: Fit, window: Window) -> np.ndarray:
    """The same of Pillow's picture, mode RGB."""
    box = (window.columns.start, window.rows.start, window.columns.stop, window.rows.stop)
    whole = box == (0, 0, picture.width, picture.height)
    return _placed(picture if whole else picture.crop(box), fit, window)


def fit_label_map(label_map: np.ndarray, fit: Fit, window: Window, padding: int = IGNORE_INDEX) -> np.ndarray:
    """Bring a window of a label map, (H, W), to (*fit.size_hw), same dtype: exact nearest, one new value: padding."""
    rows, columns = sampled(window)
    canvas = np.full(fit.size_hw, padding, label_map.dtype)
    if label_map.flags.f_contiguous:  # what lies side by side in memory is copied first
        canvas[window.content] = label_map.T[columns].T[rows]
    else:
        canvas[window.content] = label_map[rows][:, columns]
    return canvas


def sampled(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the picture whose pixels a label map of the window is made of."""
    spans = zip((window.rows, window.columns), window.content, strict=True)
    rows, columns = (_nearest(native, _length(content)) for native, content in spans)
    return rows, columns


def _placed(part: Image.Image, fit: Fit, window: Window) -> np.ndarray:
    height, width = map(_length, window.content)
    if part.size != (width, height):
        part = part.resize((width, height), Image.Resampling.BILINEAR)
    if (height, width) == fit.size_hw:
        return np.asarray(part)
    canvas = np.full((*fit.size_hw, 3), PADDING, np.uint8)
    canvas[window.content] = np.asarray(part)
    return canvas


def _crop_hw(native_hw: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """The largest part of a picture that has the shape of fit.size_hw."""
    scale = min(n / s for s, n in zip(fit.size_hw, native_hw, strict=True))
    return _least(_like(fit.size_hw, scale), native_hw)


def _spans(length: int, part: int, overlap: int) -> tuple[slice, ...]:
    """Evenly spaced parts that cover `length`, the first from 0, the last to the end; whole pixels."""
    if part >= length:
        return (slice(0, length),)
    assert overlap < part, "neighbours that share all of themselves cover nothing"
    last = -(-(length - part) // (part - overlap))
    starts = [i * (length - part) // last for i in range(last + 1)]
    return tuple(slice(start, start + part) for start in starts)


def _centred(inner_hw: tuple[int, int], outer_hw: tuple[int, int]) -> tuple[slice, slice]:
    top, left = (-((inner - outer) // 2) for inner, outer in zip(inner_hw, outer_hw, strict=True))
    return slice(top, top + inner_hw[0]), slice(left, left + inner_hw[1])


def _like(size_hw: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))


def _shown(part: int, size: int, tile: int) -> int:
    return max(1, round(part * size / tile))


def _least(one_hw: tuple[int, int], other_hw: tuple[int, int]) -> tuple[int, int]:
    return min(one_hw[0], other_hw[0]), min(one_hw[1], other_hw[1])


def _length(span: slice) -> int:
    length: int = span.stop - span.start
    return length


def _nearest(native: slice, scaled: int) -> np.ndarray:
    """For each scaled pixel the native pixel that holds its centre; integers only, so it is exact."""
    return native.start + ((2 * np.arange(scaled) + 1) * _length(native)) // (2 * scaled)
