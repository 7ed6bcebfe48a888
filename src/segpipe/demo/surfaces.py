"""The look of an object of each class: relief and colour from coordinates in its frame, then light."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segpipe.demo.textures import Rng, blurred, cloudy, smooth_noise

# RGB 0..1; every class may have each of them
_PAINTS = np.array(
    [
        [0.80, 0.66, 0.30],
        [0.72, 0.46, 0.28],
        [0.66, 0.67, 0.70],
        [0.72, 0.28, 0.22],
        [0.42, 0.55, 0.26],
        [0.30, 0.46, 0.62],
        [0.86, 0.80, 0.70],
        [0.34, 0.30, 0.30],
        [0.80, 0.54, 0.20],
        [0.52, 0.36, 0.50],
        [0.28, 0.50, 0.46],
    ],
    np.float32,
)


@dataclass(frozen=True, slots=True)
class Light:
    """The light of a scene."""

    direction_xy: tuple[float, float]  # a unit vector towards the light, in the image plane
    soft: float  # 0..1; 1 makes the weakest shadows


@dataclass(frozen=True, slots=True)
class Patch:
    """The part of the image that an object covers."""

    behind: np.ndarray  # the image before, float32 (h, w, 3)
    alpha: np.ndarray  # coverage, float32 (h, w), 0..1
    u: np.ndarray  # coordinates in the object's frame, radius 1, float32 (h, w)
    v: np.ndarray
    radius_px: float


Relief = tuple[np.ndarray, np.ndarray]  # height in pixels, tone -1..1


def _coin(rng: Rng, patch: Patch) -> Relief:
    radius = np.hypot(patch.u, patch.v / 0.9)
    rim = np.exp(-(((radius - 0.84) / 0.07) ** 2))
    angle = np.arctan2(patch.v, patch.u)
    emblem = (radius < 0.55) * np.sin(int(rng.integers(3, 7)) * angle + 9 * radius) * 0.5
    return (rim + 0.35 * emblem) * patch.radius_px * 0.10, 0.25 * rim - 0.3 * (radius < 0.7)


def _brick(rng: Rng, patch: Patch) -> Relief:
    grit = cloudy(rng, patch.alpha.shape, max(patch.radius_px / 4, 2), 3)
    hollow = (np.abs(patch.u) < 0.62) & (np.abs(patch.v) < 0.24)
    return (grit * 0.10 - 0.08 * hollow) * patch.radius_px, 1.4 * (grit - 0.5) - 0.35 * hollow


def _star(rng: Rng, patch: Patch) -> Relief:
    radius = np.hypot(patch.u, patch.v)
    return np.clip(1 - radius, 0, 1) * patch.radius_px * 0.55, 0.5 - 0.9 * radius


def _ring(rng: Rng, patch: Patch) -> Relief:
    radius = np.hypot(patch.u, patch.v / 0.92)
    tube = np.sqrt(np.clip(1 - ((radius - 0.74) / 0.27) ** 2, 0, 1))
    brushed = np.sin(radius * rng.uniform(30, 45)) * 0.25
    return tube * patch.radius_px * 0.24, brushed


def _leaf(rng: Rng, patch: Patch) -> Relief:
    away = np.abs(patch.v)
    rib = np.exp(-((away / 0.06) ** 2))
    veins = np.clip(np.cos((patch.u - 0.9 * away) * rng.uniform(20, 28)), 0.5, 1) - 0.5
    spots = smooth_noise(rng, patch.alpha.shape, (patch.radius_px / 3, patch.radius_px / 3))
    return -0.08 * rib * patch.radius_px - 0.4 * away * patch.radius_px * 0.3, 0.7 * rib + 0.6 * veins + spots - 0.6


def _pebble(rng: Rng, patch: Patch) -> Relief:
    speckle = smooth_noise(rng, patch.alpha.shape, (max(patch.radius_px / 12, 1),) * 2)
    dome = np.sqrt(np.clip(1.1 - patch.u**2 - patch.v**2, 0, 1))
    return dome * patch.radius_px * 0.5, 0.9 * (speckle - 0.5)


_RELIEFS: dict[str, Callable[[Rng, Patch], Relief]] = {
    "coin": _coin,
    "brick": _brick,
    "star": _star,
    "ring": _ring,
    "leaf": _leaf,
    "pebble": _pebble,
}
_GLOSS = {"coin": 0.5, "brick": 0.0, "star": 0.35, "ring": 0.6, "leaf": 0.15, "pebble": 0.1}


def lit(category: str, rng: Rng, patch: Patch, light: Light) -> np.ndarray:
    """The colour of each pixel of the patch, float32 (h, w, 3), about 0..1."""
    height, tone = _RELIEFS[category](rng, patch)
    edge = blurred(patch.alpha, max(patch.radius_px * 0.09, 1.0)) * patch.radius_px * 0.22
    shade, gleam = _shading(np.asarray(height, np.float32) + edge, light)
    first, second = _two_paints(rng, patch.behind)
    drift = smooth_noise(rng, patch.alpha.shape, (patch.radius_px, patch.radius_px))[..., None] * 0.55
    colour = first + (second - first) * drift
    colour = colour * (1 + 0.32 * np.asarray(tone, np.float32)[..., None]) * shade[..., None]
    return np.asarray(colour + _GLOSS[category] * gleam[..., None], np.float32)


def _two_paints(rng: Rng, behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The paint of three with the strongest contrast to the image behind, and a random paint."""
    paints = _PAINTS[rng.integers(len(_PAINTS), size=4)] * rng.uniform(0.8, 1.15, (4, 3)).astype(np.float32)
    contrast = np.abs(paints[:3] - behind[::4, ::4].mean(axis=(0, 1))).sum(axis=1)
    return paints[int(contrast.argmax())], paints[3]


def _shading(height: np.ndarray, light: Light) -> tuple[np.ndarray, np.ndarray]:
    """The diffuse factor, about 1, and the highlight, 0..1, of a relief in pixels."""
    slope_y, slope_x = np.gradient(height)
    facing = -(slope_x * np.float32(light.direction_xy[0]) + slope_y * np.float32(light.direction_xy[1]))
    facing = facing / np.sqrt(1 + slope_x**2 + slope_y**2)
    strength = np.float32(0.75 - 0.3 * light.soft)
    return np.clip(1 + strength * facing, 0.25, 1.6), np.clip(facing - 0.35, 0, 1) ** 2
