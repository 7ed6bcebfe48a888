"""The one preprocessing: how a picture of any size becomes the network's consistent shape, and which part is where."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from segpipe.classes import IGNORE_INDEX

Mode = Literal["letterbox", "crop", "stretch"]
PADDING = 127  # mid-grey: near zero after normalisation, so a border looks like nothing in particular


@dataclass(frozen=True, slots=True)
class Fit:
    """letterbox: all of the picture, padded; crop: the window filled, the rest cut; stretch: sides scaled apart."""

    mode: Mode
    size_hw: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """A window on a picture resized to scaled_hw: window pixel (y, x) shows scaled pixel (y + offset_y, x + offset_x).

    Pixels outside the scaled picture are padding (offsets are negative there).
    """

    scaled_hw: tuple[int, int]
    offset_yx: tuple[int, int]

    def content(self, size_hw: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a window of size_hw that show the picture rather than padding."""
        (height, width), (y, x) = self.scaled_hw, self.offset_yx
        return (
            slice(max(0, -y), min(size_hw[0], height - y)),
            slice(max(0, -x), min(size_hw[1], width - x)),
        )


def training_window(native_hw: tuple[int, int], fit: Fit) -> Window:
    """The one window that the store holds of a picture of native_hw pixels: centred."""
    scaled = _scaled_hw(native_hw, fit)
    return Window(scaled, ((scaled[0] - fit.size_hw[0]) // 2, (scaled[1] - fit.size_hw[1]) // 2))


def windows(native_hw: tuple[int, int], fit: Fit) -> list[Window]:
    """Windows that together show every pixel of a picture: one, or for `crop` as many as its long side needs."""
    scaled = _scaled_hw(native_hw, fit)
    if fit.mode != "crop":
        return [training_window(native_hw, fit)]
    rows, columns = (_starts(scaled[axis], fit.size_hw[axis]) for axis in (0, 1))
    return [Window(scaled, (y, x)) for y in rows for x in columns]


def fit_image(image: np.ndarray, fit: Fit, window: Window) -> np.ndarray:
    """Cut `window` out of an image, uint8 (H, W, 3) -> uint8 (*fit.size_hw, 3), antialiased bilinear, padding grey."""
    height, width = window.scaled_hw
    if image.shape[:2] != window.scaled_hw:
        image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    canvas = np.full((*fit.size_hw, 3), PADDING, np.uint8)
    _copy(image, canvas, window)
    return canvas


def fit_label_map(label_map: np.ndarray, fit: Fit, window: Window, padding: int = IGNORE_INDEX) -> np.ndarray:
    """Cut `window` out of a label map, (H, W) -> (*fit.size_hw), same dtype: exact nearest, one new value: padding."""
    rows, columns = (_nearest(label_map.shape[axis], window.scaled_hw[axis]) for axis in (0, 1))
    canvas = np.full(fit.size_hw, padding, label_map.dtype)
    _copy(label_map[rows[:, None], columns], canvas, window)
    return canvas


def _scaled_hw(native_hw: tuple[int, int], fit: Fit) -> tuple[int, int]:
    if fit.mode == "stretch":
        return fit.size_hw
    ratios = (fit.size_hw[0] / native_hw[0], fit.size_hw[1] / native_hw[1])
    scale = min(ratios) if fit.mode == "letterbox" else max(ratios)
    height, width = (max(1, round(side * scale)) for side in native_hw)
    return height, width


def _starts(length: int, window: int) -> list[int]:
    """Evenly spaced starts of windows that cover `length`, no gap, first at 0 and last at the end."""
    count = math.ceil(length / window)
    return [round(i * (length - window) / max(1, count - 1)) for i in range(count)]


def _nearest(native: int, scaled: int) -> np.ndarray:
    """For each scaled pixel the native pixel that holds its centre; integers only, so it is exact."""
    return ((2 * np.arange(scaled) + 1) * native) // (2 * scaled)


def _copy(scaled: np.ndarray, canvas: np.ndarray, window: Window) -> None:
    rows, columns = window.content((canvas.shape[0], canvas.shape[1]))
    y, x = window.offset_yx
    canvas[rows, columns] = scaled[rows.start + y : rows.stop + y, columns.start + x : columns.stop + x]
