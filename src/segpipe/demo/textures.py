"""Noise, and the backgrounds of the demo's objects. All arrays are float32; patterns are (H, W), about 0..1."""

from collections.abc import Callable

import numpy as np
from PIL import Image

Rng = np.random.Generator


def smooth_noise(rng: Rng, size_hw: tuple[int, int], cell_yx: tuple[float, float]) -> np.ndarray:
    """Random values on a grid of cell_yx pixels, interpolated by bicubic curves, (H, W), about 0..1."""
    height, width = size_hw
    rows, columns = int(height / cell_yx[0]) + 4, int(width / cell_yx[1]) + 4
    grid = Image.fromarray(rng.random((rows, columns), np.float32))
    shift = rng.random(2) + 1
    window = (shift[1], shift[0], shift[1] + width / cell_yx[1], shift[0] + height / cell_yx[0])
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC, box=window))


def cloudy(rng: Rng, size_hw: tuple[int, int], cell_px: float, octaves: int = 4, stretch: float = 1.0) -> np.ndarray:
    """Noise of several sizes, each half as large and half as strong as the previous. stretch: length along x."""
    total = np.zeros(size_hw, np.float32)
    for octave in range(octaves):
        cell = max(cell_px / 2**octave, 1.0)
        total += smooth_noise(rng, size_hw, (cell, cell * stretch)) / np.float32(2**octave)
    return total / np.float32(2 - 2.0 ** (1 - octaves))


def blurred(plane: np.ndarray, radius_px: float) -> np.ndarray:
    """A plane (H, W) smoothed by two box means of 2 * radius_px + 1 pixels. Outside the plane is 0."""
    step = max(1, int(radius_px / 4))  # a wide mean needs only every step-th pixel
    height, width = plane.shape
    small = np.asarray(Image.fromarray(plane).reduce(step)) if step > 1 else plane
    half = max(1, round(radius_px / step))
    for _ in range(2):
        small = _box_mean(_box_mean(small, half).T, half).T
    if step == 1:
        return small
    window = (0, 0, width / step, height / step)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR, box=window))


def _box_mean(plane: np.ndarray, half: int) -> np.ndarray:
    padded = np.pad(plane, ((half + 1, half), (0, 0)))
    sums = np.cumsum(padded, axis=0, dtype=np.float32)
    return (sums[2 * half + 1 :] - sums[: -2 * half - 1]) / np.float32(2 * half + 1)


def _axes(rng: Rng, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates along and across a random direction."""
    y, x = np.arange(size_hw[0], dtype=np.float32)[:, None], np.arange(size_hw[1], dtype=np.float32)
    angle = np.float32(rng.uniform(0, np.pi))
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _sand(rng: Rng, size_hw: tuple[int, int], unit: float) -> np.ndarray:
    return 0.6 * cloudy(rng, size_hw, 40 * unit) + 0.4 * smooth_noise(rng, size_hw, (1.6 * unit, 1.6 * unit))


def _cloth(rng: Rng, size_hw: tuple[int, int], unit: float) -> np.ndarray:
    along, across = _axes(rng, size_hw)
    thread = 2 * np.pi / (rng.uniform(4.5, 8.0) * unit)
    weave = np.sin(along * thread) * np.sin(across * thread)
    return np.asarray(0.5 + 0.22 * weave + 0.5 * (cloudy(rng, size_hw, 50 * unit, 3) - 0.5))


def _wood(rng: Rng, size_hw: tuple[int, int], unit: float) -> np.ndarray:
    _, across = _axes(rng, size_hw)
    warp = cloudy(rng, size_hw, 70 * unit, 3) * 60 * unit
    grain = 0.5 + 0.5 * np.sin((across + warp) * 2 * np.pi / (rng.uniform(9, 16) * unit))
    return np.asarray(0.25 + 0.4 * grain + 0.35 * cloudy(rng, size_hw, 5 * unit, 2, stretch=3.0))


def _marble(rng: Rng, size_hw: tuple[int, int], unit: float) -> np.ndarray:
    warp = cloudy(rng, size_hw, 60 * unit, 4)
    vein = 1 - np.abs(np.sin(warp * rng.uniform(9, 16)))
    return np.asarray(0.75 - 0.5 * vein**3 - 0.25 * cloudy(rng, size_hw, 30 * unit, 3))


def _tiles(rng: Rng, size_hw: tuple[int, int], unit: float) -> np.ndarray:
    along, across = _axes(rng, size_hw)
    pitch = rng.uniform(34, 60) * unit
    row = np.floor(across / pitch)
    shifted = along + pitch / 2 * (row % 2)
    column = np.floor(shifted / (pitch * 1.5))
    tone = (np.sin(row * 12.9 + column * 78.2) * 43758.5) % 1.0
    edge = np.minimum(across % pitch, shifted % (pitch * 1.5)) < 2.2 * unit
    return np.asarray(np.where(edge, 0.05, 0.4 + 0.3 * tone) + 0.35 * (cloudy(rng, size_hw, 12 * unit, 3) - 0.3))


def _grass(rng: Rng, size_hw: tuple[int, int], unit: float) -> np.ndarray:
    blades = smooth_noise(rng, size_hw, (7 * unit, 1.8 * unit)) + smooth_noise(rng, size_hw, (5 * unit, 2.5 * unit))
    return 0.35 * blades + 0.4 * cloudy(rng, size_hw, 35 * unit, 3) - 0.05


GROUNDS: tuple[Callable[[Rng, tuple[int, int], float], np.ndarray], ...] = (
    _sand,
    _cloth,
    _wood,
    _marble,
    _tiles,
    _grass,
)

# dark and light ends, RGB 0..1: sand, slate, moss, walnut, linen, terracotta, denim, ash, pine, plaster
_TONES = np.array(
    [
        [[0.52, 0.42, 0.30], [0.87, 0.78, 0.62]],
        [[0.20, 0.23, 0.27], [0.48, 0.52, 0.56]],
        [[0.16, 0.23, 0.10], [0.50, 0.58, 0.30]],
        [[0.24, 0.14, 0.08], [0.56, 0.38, 0.24]],
        [[0.62, 0.58, 0.52], [0.93, 0.91, 0.86]],
        [[0.40, 0.20, 0.13], [0.76, 0.48, 0.34]],
        [[0.13, 0.20, 0.34], [0.42, 0.54, 0.70]],
        [[0.34, 0.34, 0.33], [0.70, 0.70, 0.68]],
        [[0.55, 0.40, 0.22], [0.88, 0.72, 0.48]],
        [[0.45, 0.50, 0.50], [0.80, 0.85, 0.83]],
    ],
    np.float32,
)


def ground(rng: Rng, size_hw: tuple[int, int], unit: float) -> np.ndarray:
    """A background of random pattern and colours, float32 (H, W, 3), 0..1. unit: 1/160 of the side, in pixels."""
    pattern = np.clip(GROUNDS[int(rng.integers(len(GROUNDS)))](rng, size_hw, unit), 0, 1)
    dark, light = _TONES[int(rng.integers(len(_TONES)))]
    stain = _TONES[int(rng.integers(len(_TONES)))].mean(axis=0)
    patches = np.clip(cloudy(rng, size_hw, 60 * unit, 2) * 1.6 - 0.7, 0, 0.6)
    canvas = np.empty((*size_hw, 3), np.float32)
    for channel in range(3):  # channel by channel: half the time of a broadcast over the last axis
        colour = dark[channel] + (light[channel] - dark[channel]) * pattern
        canvas[..., channel] = colour + (stain[channel] * (0.6 + 0.5 * pattern) - colour) * patches
    return canvas
