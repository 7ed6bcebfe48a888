"""Comparison of two images in detail: one is aligned to the other, then their blocks are compared.

A hash of 64 bits only finds images of one layout, such as all chest radiographs. Copies also agree in detail, once a
slight rotation, crop or shift is undone. How strictly they must agree depends on how much detail there is: with little
detail, the rest of a common layout also agrees. bench/duplicates.py measures the results.
"""

import numpy as np

DETAIL = 48  # pixels a side of the compared images
_DETAIL_RATIO = (0.55, 0.9)  # strength of the fine band against the coarse band: little detail, much detail
_MIN_CORRELATION = (0.8, 0.6)  # minimum correlation of most blocks, with little and with much detail
_MAY_DIFFER = 0.2  # share of the blocks that may correlate less, as under a watermark
_HALF = (0.88, 0.01)  # or minimum correlation of half of the blocks (the others may be painted over), plus this per bit
_CHUNK = 48  # pairs at a time: they fit the processor's cache
_BLOCK = 6  # pixels a side of a block; they are compared separately, or one strong edge would decide
_INSIDE = slice(_BLOCK, DETAIL - _BLOCK)  # without the border, where copies are cut and framed
_FLAT = 1.0  # grey levels; a block with a smaller standard deviation is ignored
_MAX_MOTION = 0.3  # limit of each number of the motion, in half sides of the image
_ITERATIONS = (6, 3, 2)  # at a quarter of the side, half of it, and all of it


def same_content(one: np.ndarray, other: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Whether pairs of images have the same content, bool (K,).

    one, other: float (K, DETAIL, DETAIL), grey levels 0..255, in the same orientation; bits: int (K,), the number of
    different bits of their hashes.
    """
    parts = [slice(start, start + _CHUNK) for start in range(0, len(one), _CHUNK)]
    return np.concatenate([np.zeros(0, bool), *(_compare(one[part], other[part], bits[part]) for part in parts)])


def _compare(one: np.ndarray, other: np.ndarray, bits: np.ndarray) -> np.ndarray:
    fine, other_fine = (_DETAILS.band(images) for images in (one, other))
    detail = (_strength(one, fine) + _strength(other, other_fine)) / 2
    required = np.stack([np.interp(detail, _DETAIL_RATIO, _MIN_CORRELATION), _HALF[0] + _HALF[1] * bits], axis=1)
    motion = np.zeros((len(one), 6), np.float32)
    agree = _agree(fine, other_fine, motion, required)
    left = np.flatnonzero(~agree)
    for scale, iterations in zip(_SCALES, _ITERATIONS, strict=True):
        motion[left] = scale.aligned(one[left], other[left], motion[left], iterations)
    agree[left] = _agree(fine[left], other_fine[left], motion[left], required[left])
    return agree


def _strength(images: np.ndarray, fine: np.ndarray) -> np.ndarray:
    strength: np.ndarray = fine.std(axis=(1, 2)) / np.maximum(_LAYOUT.band(images).std(axis=(1, 2)), 1e-3)
    return strength


def _agree(fine: np.ndarray, other_fine: np.ndarray, motion: np.ndarray, required: np.ndarray) -> np.ndarray:
    """Whether, after the motion, enough blocks that are not flat correlate as required, bool (K,).

    required: (K, 2), the correlation of most blocks, and of half of them; one of both is enough. Two images agree if
    all blocks are flat.
    """
    warped, inside = _DETAILS.warp(other_fine, motion)
    shown = _blocks(inside.astype(np.float32))
    a, b = (_blocks(images * inside) for images in (fine, warped))
    a, b = (blocks - blocks.mean(axis=2, keepdims=True) for blocks in (a, b))
    power, other_power = (np.square(blocks).mean(axis=2) for blocks in (a, b))
    correlation = (a * b).mean(axis=2) / np.sqrt(np.maximum(power * other_power, 1e-4))
    counts = (shown.mean(axis=2) > 0.9) & (np.maximum(power, other_power) > _FLAT**2)
    ordered, last = np.sort(np.where(counts, correlation, np.inf), axis=1), np.maximum(counts.sum(axis=1) - 1, 0)
    shares = np.stack([_MAY_DIFFER * last, last / 2], axis=1).astype(int)
    return np.asarray((np.take_along_axis(ordered, shares, axis=1) >= required).any(axis=1))


def _blocks(images: np.ndarray) -> np.ndarray:
    """The blocks of images without those at the border, (K, blocks, pixels of a block)."""
    count = DETAIL // _BLOCK - 2
    split = images[:, _INSIDE, _INSIDE].reshape(len(images), count, _BLOCK, count, _BLOCK).swapaxes(2, 3)
    return split.reshape(len(images), count * count, _BLOCK * _BLOCK)


class _Scale:
    """Images of one size, and the motion between two of them.

    A motion is six numbers, float (K, 6): x moves by m0 + m1 x + m2 y, y by m3 + m4 x + m5 y, where x and y run from -1
    to 1 across the image.
    """

    def __init__(self, side: int, smooth: float, wide: float) -> None:
        """side: pixels; smooth, wide: standard deviations in pixels of the band's two Gaussians; 0: no Gaussian."""
        self.side = side
        self.smooth, self.wide = (_gaussian(side, deviation) for deviation in (smooth, wide))
        places = (np.arange(side, dtype=np.float32) - (side - 1) / 2) / (side / 2)
        self.x, self.y = np.tile(places, (side, 1)), np.tile(places[:, None], (1, side))
        ends = np.clip(np.arange(side)[:, None] + [1, -1], 0, side - 1)
        differences = np.eye(side, dtype=np.float32)[ends] * np.array([[1], [-1]], np.float32)
        self.slope = differences.sum(axis=1) * np.float32(side / 4)

    def band(self, images: np.ndarray) -> np.ndarray:
        """The images without finer and coarser detail: a difference of Gaussians, float32 (K, side, side).

        images: float32 (K, DETAIL, DETAIL), grey levels 0..255.
        """
        factor = DETAIL // self.side
        small = images.reshape(len(images), self.side, factor, self.side, factor).mean(axis=(2, 4))
        band: np.ndarray = self.smooth @ small @ self.smooth.T - self.wide @ small @ self.wide.T
        return band

    def aligned(self, one: np.ndarray, other: np.ndarray, motion: np.ndarray, iterations: int) -> np.ndarray:
        """The motion that aligns `other` to `one`, float32 (K, 6), by least squares, starting from `motion`.

        one, other: float32 (K, DETAIL, DETAIL), grey levels 0..255; motion: float32 (K, 6).

        Source: Baker and Matthews, Lucas-Kanade 20 Years On, IJCV 56 (2004); only the slopes of `one` are used.
        """
        target, moving = self.band(one), self.band(other)
        down, across = self.slope @ target, target @ self.slope.T
        slopes = np.stack([across, across * self.x, across * self.y, down, down * self.x, down * self.y], axis=1)
        slopes = slopes.reshape(len(one), 6, self.side**2)
        squares = slopes @ slopes.swapaxes(1, 2) + np.eye(6, dtype=np.float32) * (1e-3 * self.side**2)
        steps = np.linalg.inv(squares) @ slopes
        for _ in range(iterations):
            warped, inside = self.warp(moving, motion)
            seen = target * inside
            gain = (seen * warped).sum(axis=(1, 2)) / (np.square(warped).sum(axis=(1, 2)) + 1e-3)
            off = (gain[:, None, None] * warped - seen).reshape(len(one), self.side**2, 1)
            motion = np.clip(motion - (steps @ off)[..., 0], -_MAX_MOTION, _MAX_MOTION)
        return motion

    def warp(self, images: np.ndarray, motion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images after a motion, bilinear, 0 outside; and whether each pixel is inside, bool (K, side, side).

        images: float32 (K, side, side); motion: float32 (K, 6). The result has the shape of `images`.
        """
        m = motion.T[:, :, None, None]
        middle, half, last = (self.side - 1) / 2, self.side / 2, self.side - 1
        x = (self.x + m[0] + m[1] * self.x + m[2] * self.y) * half + middle
        y = (self.y + m[3] + m[4] * self.x + m[5] * self.y) * half + middle
        inside = (np.abs(x - middle) <= half) & (np.abs(y - middle) <= half)
        left, top = (np.clip(place, 0, last - 1).astype(np.int32) for place in (x, y))
        right, bottom = (np.clip(place - first, 0, 1) for place, first in ((x, left), (y, top)))
        first = (np.arange(len(images), dtype=np.int32) * self.side**2)[:, None, None] + top * self.side + left
        flat = images.reshape(-1)

        def interpolated(start: np.ndarray) -> np.ndarray:
            level: np.ndarray = flat[start] + (flat[start + 1] - flat[start]) * right
            return level

        upper = interpolated(first)
        return (upper + (interpolated(first + self.side) - upper) * bottom) * inside, inside


def _gaussian(side: int, deviation: float) -> np.ndarray:
    """The matrix (side, side) that smooths along one side."""
    if not deviation:
        return np.eye(side, dtype=np.float32)
    places = np.arange(side)
    weights = np.exp(-np.square((places[:, None] - places) / deviation) / 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


_DETAILS, _LAYOUT = _Scale(DETAIL, 0.525, 1.3125), _Scale(DETAIL, 1.5, 3.75)
_SCALES = (_Scale(DETAIL // 4, 0, 2.25), _Scale(DETAIL // 2, 0, 2.25), _Scale(DETAIL, 0.75, 2.25))
