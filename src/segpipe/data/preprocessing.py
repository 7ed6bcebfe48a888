"""The preprocessing of training and prediction: which parts of an image the network sees, at which size."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image

from segpipe.data.classes import IGNORE_INDEX

Mode = Literal["letterbox", "crop", "stretch"]
PADDING = 127  # mid-grey: near zero after normalisation
_CROP_OVERLAP = 8  # neighbouring windows of `crop` overlap by at least 1/8 of their shorter side


@dataclass(frozen=True, slots=True)
class Fit:
    """The conversion of images to the size that the network sees.

    Images with a longer side than tile_side are cut into tiles with the aspect ratio of size_hw. All tiles have one
    scale; if the image is narrower than a tile, the rest is padding.
    """

    mode: Mode  # letterbox: scale and pad; crop: scale and cut; stretch: scale each side separately
    size_hw: tuple[int, int]  # height and width that the network sees
    tile_side: int = 0  # longer side of a tile in native pixels; 0: no tiles
    tile_overlap: int = 0  # minimum overlap of neighbouring tiles in native pixels

    @property
    def tile_hw(self) -> tuple[int, int]:
        """Height and width of a tile in native pixels."""
        return _like(self.size_hw, self.tile_side / max(self.size_hw))

    def cuts(self, native_hw: tuple[int, int]) -> bool:
        """Whether an image of this size is cut into tiles."""
        return 0 < self.tile_side < max(native_hw)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an image, and its place in the network's input."""

    rows: slice  # of the image, native pixels
    columns: slice
    content: tuple[slice, slice]  # rows and columns of the input that show the part; the rest is padding


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows of one size that together show every pixel of an image: each of `rows` with each of `columns`."""

    rows: tuple[slice, ...]  # native pixels, from the top to the bottom of the image
    columns: tuple[slice, ...]
    content: tuple[slice, slice]  # as in Window
    overlap: int  # minimum overlap of neighbours in native pixels

    @property
    def windows(self) -> list[Window]:
        """The windows, row by row."""
        return [Window(rows, columns, self.content) for rows in self.rows for columns in self.columns]


@lru_cache(maxsize=4096)
def plan(native_hw: tuple[int, int], fit: Fit) -> Plan:
    """The windows that prediction uses for an image of native_hw pixels.

    One window for `letterbox` and `stretch`; several along the longer side for `crop`, and for tiles.

    >>> plan((100, 300), Fit("crop", (64, 64))).columns
    (slice(0, 100, None), slice(66, 166, None), slice(133, 233, None), slice(200, 300, None))
    """
    part_hw, overlap = native_hw, 0
    if fit.cuts(native_hw):
        tile_hw = fit.tile_hw
        part_hw, overlap = _smaller(tile_hw, native_hw), fit.tile_overlap
        content_hw = _scaled(part_hw[0], fit.size_hw[0], tile_hw[0]), _scaled(part_hw[1], fit.size_hw[1], tile_hw[1])
    elif fit.mode == "crop":
        part_hw, content_hw = _crop_hw(native_hw, fit), fit.size_hw
        overlap = min(part_hw) // _CROP_OVERLAP
    elif fit.mode == "letterbox":
        content_hw = _like(native_hw, min(s / n for s, n in zip(fit.size_hw, native_hw, strict=True)))
    else:
        content_hw = fit.size_hw
    rows, columns = (_spans(length, part, overlap) for length, part in zip(native_hw, part_hw, strict=True))
    return Plan(rows, columns, _centred(_smaller(content_hw, fit.size_hw), fit.size_hw), overlap)


def stored_windows(native_hw: tuple[int, int], fit: Fit) -> list[Window]:
    """The windows that training uses for an image of native_hw pixels: as `plan`, but for `crop` the centre only."""
    whole = plan(native_hw, fit)
    if fit.mode != "crop" or fit.cuts(native_hw):
        return whole.windows
    return [Window(*_centred(_crop_hw(native_hw, fit), native_hw), whole.content)]


def fit_image(image: np.ndarray, fit: Fit, window: Window) -> np.ndarray:
    """A window of an image at the network's size: antialiased bilinear, padded with grey.

    image: uint8 (H, W, 3). Returns uint8 (*fit.size_hw, 3).
    """
    return _placed(Image.fromarray(image[window.rows, window.columns]), fit, window)


def fit_pil_image(image: Image.Image, fit: Fit, window: Window) -> np.ndarray:
    """A window of Pillow's image, mode RGB, at the network's size, uint8 (*fit.size_hw, 3); equals `fit_image`."""
    box = (window.columns.start, window.rows.start, window.columns.stop, window.rows.stop)
    is_whole = box == (0, 0, image.width, image.height)
    return _placed(image if is_whole else image.crop(box), fit, window)


def fit_label_map(label_map: np.ndarray, fit: Fit, window: Window, padding: int = IGNORE_INDEX) -> np.ndarray:
    """A window of a label map at the network's size: nearest neighbour, padded with `padding`.

    label_map: integer (H, W). Returns the same dtype, fit.size_hw.
    """
    rows, columns = sampled(window)
    canvas = np.full(fit.size_hw, padding, label_map.dtype)
    if label_map.flags.f_contiguous:  # rows of the transposed map are contiguous: copy those first
        canvas[window.content] = label_map.T[columns].T[rows]
    else:
        canvas[window.content] = label_map[rows][:, columns]
    return canvas


def sampled(window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the image that `fit_label_map` samples, int (content height,) and (content width,)."""
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
    """The largest part of an image with the aspect ratio of fit.size_hw."""
    scale = min(n / s for s, n in zip(fit.size_hw, native_hw, strict=True))
    return _smaller(_like(fit.size_hw, scale), native_hw)


def _spans(length: int, part: int, overlap: int) -> tuple[slice, ...]:
    """Evenly spaced parts that cover 0..length, in whole pixels."""
    if part >= length:
        return (slice(0, length),)
    assert overlap < part, "with this overlap the parts would not advance"
    last = -(-(length - part) // (part - overlap))
    starts = [i * (length - part) // last for i in range(last + 1)]
    return tuple(slice(start, start + part) for start in starts)


def _centred(inner_hw: tuple[int, int], outer_hw: tuple[int, int]) -> tuple[slice, slice]:
    top, left = (-((inner - outer) // 2) for inner, outer in zip(inner_hw, outer_hw, strict=True))
    return slice(top, top + inner_hw[0]), slice(left, left + inner_hw[1])


def _like(size_hw: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))


def _scaled(part: int, size: int, tile: int) -> int:
    return max(1, round(part * size / tile))


def _smaller(one_hw: tuple[int, int], other_hw: tuple[int, int]) -> tuple[int, int]:
    return min(one_hw[0], other_hw[0]), min(one_hw[1], other_hw[1])


def _length(span: slice) -> int:
    length: int = span.stop - span.start
    return length


def _nearest(native: slice, scaled: int) -> np.ndarray:
    """For each scaled pixel the native pixel that contains its centre; exact, since it uses integers only."""
    return native.start + ((2 * np.arange(scaled) + 1) * _length(native)) // (2 * scaled)
