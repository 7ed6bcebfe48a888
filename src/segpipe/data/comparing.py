"""Whether two pictures show the same: one is brought onto the other, and then they are compared in detail.

A hash of 64 bits says which pictures are of one layout, as all radiographs of a chest are. Copies agree in detail as
well, once a slight turn, cut or shift is undone. How far they must depends on how much detail there is: where there is
little, what is left of the common layout agrees, too. `bench/duplicates.py` measures what is confirmed.
"""

import numpy as np

DETAIL = 48  # pixels a side of the small picture
_DETAILED = (0.55, 0.9)  # how strong the detail of a picture is against what is coarser: little, much
_MOST = (0.8, 0.6)  # what most blocks of the two must correlate by then
_MAY_DIFFER = 0.2  # part of the blocks that need not, as under a watermark
_HALF = (0.88, 0.01)  # or what half of them must, as where the lightest parts have become white; more by bit of hashes
_CHUNK = 48  # pairs at once: they fit the processor's cache
_BLOCK = 6  # pixels a side of what is correlated by itself, so that one strong edge does not decide
_INSIDE = slice(_BLOCK, DETAIL - _BLOCK)  # at the border copies are cut and framed
_FLAT = 1.0  # grey levels; a block that varies less shows nothing
_FARTHEST = 0.3  # half sides of the picture that any part of the motion may come to
_ITERATIONS = (6, 3, 2)  # on a quarter of the pixels a side, half of them, and all


def same_content(one: np.ndarray, other: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Whether pictures show the same, bool (K,).

    one, other: grey levels, (K, DETAIL, DETAIL), turned alike; bits: (K,), by how many their hashes differ.
    """
    parts = [slice(start, start + _CHUNK) for start in range(0, len(one), _CHUNK)]
    return np.concatenate([np.zeros(0, bool), *(_same(one[part], other[part], bits[part]) for part in parts)])


def _same(one: np.ndarray, other: np.ndarray, bits: np.ndarray) -> np.ndarray:
    fine, other_fine = (_DETAILS.band(pictures) for pictures in (one, other))
    detail = (_strength(one, fine) + _strength(other, other_fine)) / 2
    asked = np.stack([np.interp(detail, _DETAILED, _MOST), _HALF[0] + _HALF[1] * bits], axis=1)
    motion = np.zeros((len(one), 6), np.float32)
    agree = _agree(fine, other_fine, motion, asked)
    left = np.flatnonzero(~agree)
    for scale, iterations in zip(_SCALES, _ITERATIONS, strict=True):
        motion[left] = scale.moved(one[left], other[left], motion[left], iterations)
    agree[left] = _agree(fine[left], other_fine[left], motion[left], asked[left])
    return agree


def _strength(pictures: np.ndarray, fine: np.ndarray) -> np.ndarray:
    strength: np.ndarray = fine.std(axis=(1, 2)) / np.maximum(_LAYOUT.band(pictures).std(axis=(1, 2)), 1e-3)
    return strength


def _agree(fine: np.ndarray, other_fine: np.ndarray, motion: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Whether the blocks that show something correlate after the motion as is asked of most, or of half of them.

    asked: (K, 2). Where no block shows anything, nothing tells the two apart.
    """
    warped, inside = _DETAILS.warp(other_fine, motion)
    shown = _blocks(inside.astype(np.float32))
    a, b = (_blocks(pictures * inside) for pictures in (fine, warped))
    a, b = (blocks - blocks.mean(axis=2, keepdims=True) for blocks in (a, b))
    power, other_power = (np.square(blocks).mean(axis=2) for blocks in (a, b))
    correlation = (a * b).mean(axis=2) / np.sqrt(np.maximum(power * other_power, 1e-4))
    tells = (shown.mean(axis=2) > 0.9) & (np.maximum(power, other_power) > _FLAT**2)
    ordered, last = np.sort(np.where(tells, correlation, np.inf), axis=1), np.maximum(tells.sum(axis=1) - 1, 0)
    shares = np.stack([_MAY_DIFFER * last, last / 2], axis=1).astype(int)
    return np.asarray((np.take_along_axis(ordered, shares, axis=1) >= asked).any(axis=1))


def _blocks(pictures: np.ndarray) -> np.ndarray:
    """(K, blocks, pixels of each), without those at the border."""
    count = DETAIL // _BLOCK - 2
    split = pictures[:, _INSIDE, _INSIDE].reshape(len(pictures), count, _BLOCK, count, _BLOCK).swapaxes(2, 3)
    return split.reshape(len(pictures), count * count, _BLOCK * _BLOCK)


class _Scale:
    """Pictures of so many pixels a side, and the motion between them.

    Motion is six numbers a pair: x moves by m0 + m1 x + m2 y, y by m3 + m4 x + m5 y, both -1..1 across the picture.
    """

    def __init__(self, side: int, smooth: float, wide: float) -> None:
        """smooth, wide: deviations, in pixels, of the Gaussians whose difference is looked at; smooth 0: none."""
        self.side = side
        self.smooth, self.wide = (_gaussian(side, deviation) for deviation in (smooth, wide))
        places = (np.arange(side, dtype=np.float32) - (side - 1) / 2) / (side / 2)
        self.x, self.y = np.tile(places, (side, 1)), np.tile(places[:, None], (1, side))
        ends = np.clip(np.arange(side)[:, None] + [1, -1], 0, side - 1)
        self.slope = (np.eye(side, dtype=np.float32)[ends] * np.array([[1], [-1]], np.float32)).sum(
            axis=1
        ) * np.float32(side / 4)

    def band(self, pictures: np.ndarray) -> np.ndarray:
        """What is left of pictures without what is finer or coarser."""
        factor = DETAIL // self.side
        small = pictures.reshape(len(pictures), self.side, factor, self.side, factor).mean(axis=(2, 4))
        band: np.ndarray = self.smooth @ small @ self.smooth.T - self.wide @ small @ self.wide.T
        return band

    def moved(self, one: np.ndarray, other: np.ndarray, motion: np.ndarray, iterations: int) -> np.ndarray:
        """The motion that brings `other` nearer to `one`, by least squares, from `motion` on.

        Source: Baker and Matthews, Lucas-Kanade 20 Years On, IJCV 56 (2004); the slopes are those of `one` throughout.
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
            motion = np.clip(motion - (steps @ off)[..., 0], -_FARTHEST, _FARTHEST)
        return motion

    def warp(self, pictures: np.ndarray, motion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pictures after a motion, between their pixels linear, 0 outside; and where it is inside, bool."""
        m = motion.T[:, :, None, None]
        middle, half, last = (self.side - 1) / 2, self.side / 2, self.side - 1
        x = (self.x + m[0] + m[1] * self.x + m[2] * self.y) * half + middle
        y = (self.y + m[3] + m[4] * self.x + m[5] * self.y) * half + middle
        inside = (np.abs(x - middle) <= half) & (np.abs(y - middle) <= half)
        left, top = (np.clip(place, 0, last - 1).astype(np.int32) for place in (x, y))
        right, bottom = (np.clip(place - first, 0, 1) for place, first in ((x, left), (y, top)))
        first = (np.arange(len(pictures), dtype=np.int32) * self.side**2)[:, None, None] + top * self.side + left
        flat = pictures.reshape(-1)

        def between(start: np.ndarray) -> np.ndarray:
            level: np.ndarray = flat[start] + (flat[start + 1] - flat[start]) * right
            return level

        upper = between(first)
        return (upper + (between(first + self.side) - upper) * bottom) * inside, inside


def _gaussian(side: int, deviation: float) -> np.ndarray:
    """(side, side), what smooths along one side."""
    if not deviation:
        return np.eye(side, dtype=np.float32)
    places = np.arange(side)
    weights = np.exp(-np.square((places[:, None] - places) / deviation) / 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


_DETAILS, _LAYOUT = _Scale(DETAIL, 0.525, 1.3125), _Scale(DETAIL, 1.5, 3.75)
_SCALES = (_Scale(DETAIL // 4, 0, 2.25), _Scale(DETAIL // 2, 0, 2.25), _Scale(DETAIL, 0.75, 2.25))
