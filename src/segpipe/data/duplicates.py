"""Photographs that are equal or nearly so, and the groups they form."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from segpipe.data import comparing
from segpipe.data.comparing import DETAIL

ORIENTATIONS = 8  # fingerprint of the whole picture, one an orientation, the picture as it is first
PARTS = 3  # fingerprint of what may be all that a copy shows: 0.9 and 0.8 of it, and all of it without its frame
_THUMB, _SIDE, _LOW = 64, 32, 8
_CROPS = (0.9, 0.8)
_FLAT = 2.0  # a picture whose grey levels spread less has nothing to be known by
_FRAME = 6  # rows and columns whose grey levels spread no more belong to a frame
_LEAST = 1 / 4  # what must be left without the frame
_HASHED = 16 * (ORIENTATIONS + PARTS)  # hexadecimal digits
Span = tuple[float, float]
_SIGNS = np.where(np.arange(_LOW) % 2, -1.0, 1.0)  # what mirroring does to the frequencies along one side
_BLOCK = 64  # rows of the distance matrix held at once: they fit the processor's cache
_AT_ONCE = 1024  # pairs that are compared in detail at once: 20 MB
_TRIES = 3  # ways in which two photographs are compared in detail, those of the nearest hashes first
_WITHOUT_FRAME = ORIENTATIONS + PARTS - 1
# the hashes that are compared: each way to turn one picture, with the whole of the other or a part of it
_WAYS = [
    pair
    for turn in range(ORIENTATIONS)
    for view in (0, *range(ORIENTATIONS, ORIENTATIONS + PARTS))
    for pair in (((turn, view), (view, turn)) if view else ((turn, view),))
]


def close_pairs(hashes: Sequence[str], distance: int) -> Iterator[np.ndarray]:
    """Pairs (i, j), i < j, of photographs that show the same, int64 (K, 2) a block; hashes: `hashes`.

    They are at most `distance` bits apart, and agree in detail. A photograph of one shade has no hash and is close to
    none.
    """
    hashed = np.array([position for position, text in enumerate(hashes) if text], np.int64)
    texts = [hashes[position] for position in hashed]
    of, small = hash_numbers(texts), small_images(texts)
    for start in range(0, len(of), _BLOCK):
        near = distances(of[start : start + _BLOCK, None], of[None, start:]) <= distance
        rows, columns = np.nonzero(near)
        later = columns > rows
        pairs = np.stack([rows[later], columns[later]], axis=1) + start
        yield hashed[pairs[confirmed(pairs, of, small, distance)]]


def joining_pairs(hashes: Sequence[str], distance: int) -> Iterator[np.ndarray]:
    """Pairs (i, j), i < j, that join all whom `close_pairs` join: of equal hashes only the first is compared.

    What a photograph is close to, the first of its hash is too.
    """
    yield equal_pairs(hashes)
    yield from close_pairs(only_firsts(hashes, firsts(hashes)), distance)


def only_firsts(hashes: Sequence[str], first: Sequence[int]) -> list[str]:
    """Without the hashes of those that are not their own `first`."""
    return [text if first[position] == position else "" for position, text in enumerate(hashes)]


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bits between photographs given by their `numbers`, uint8 in the shape that both broadcast to.

    As far as one of them, turned and mirrored in any way, is from the other or from a part of the other.
    """
    nearest = np.full(np.broadcast_shapes(one.shape, other.shape)[:-1], 64, np.uint8)
    differing = np.empty(nearest.shape, np.uint64)
    for a, b in _WAYS:
        np.bitwise_xor(one[..., a], other[..., b], out=differing)
        np.minimum(nearest, np.bitwise_count(differing), out=nearest)
    return nearest


def confirmed(pairs: np.ndarray, of: np.ndarray, small: np.ndarray, distance: int) -> np.ndarray:
    """Which pairs of positions agree in detail in one of the ways in which their hashes are close, bool (K,).

    of, small: `numbers` and `details` of all photographs.
    """
    parts = [pairs[start : start + _AT_ONCE] for start in range(0, len(pairs), _AT_ONCE)]
    return np.concatenate([np.zeros(0, bool), *(_confirmed(part, of, small, distance) for part in parts)])


def _confirmed(pairs: np.ndarray, of: np.ndarray, small: np.ndarray, distance: int) -> np.ndarray:
    ways = np.array(_WAYS)  # (W, 2)
    hashes = of[pairs[:, None], ways]  # (K, W, 2)
    apart = np.bitwise_count(hashes[..., 0] ^ hashes[..., 1]).astype(np.int64)
    unframed = (of[:, _WITHOUT_FRAME] == of[:, 0])[pairs][
        :, None
    ]  # the inside of a picture without a frame is the picture
    apart[(unframed & (ways == _WITHOUT_FRAME)).any(axis=2)] = distance + 1
    order = np.argsort(apart, axis=1, kind="stable")
    agree = np.zeros(len(pairs), bool)
    for way in order.T[:_TRIES]:
        bits = apart[np.arange(len(pairs)), way]
        left = np.flatnonzero(~agree & (bits <= distance))
        one, other = _viewed(small, pairs[left].T, ways[way[left]].T)
        agree[left] = comparing.same_content(one, other, bits[left])
    return agree


def _viewed(small: np.ndarray, positions: np.ndarray, views: np.ndarray) -> np.ndarray:
    """`viewed` of each position and view, (*positions.shape, DETAIL, DETAIL); each of them is made once."""
    needed, place = np.unique(positions * (ORIENTATIONS + PARTS) + views, return_inverse=True)
    made = [
        view_of(small[position], view) for position, view in zip(*divmod(needed, ORIENTATIONS + PARTS), strict=True)
    ]
    return np.array(made).reshape(-1, DETAIL, DETAIL)[place.reshape(positions.shape)]


def equal_pairs(names: Sequence[str]) -> np.ndarray:
    """Positions (first, i) of equal names, int64 (K, 2)."""
    pairs = [(first, position) for position, first in enumerate(firsts(names)) if first != position]
    return np.array(pairs, np.int64).reshape(-1, 2)


def firsts(names: Sequence[str]) -> list[int]:
    """For each position that of the first equal name; an empty name equals none."""
    first: dict[str, int] = {}
    return [first.setdefault(name, position) if name else position for position, name in enumerate(names)]


def groups(count: int, pairs: Iterable[np.ndarray]) -> np.ndarray:
    """For each of `count` positions the lowest position that pairs connect it with, directly or through others."""
    from scipy.sparse import coo_array  # only split groups, and importing takes as long as checking 30 photographs
    from scipy.sparse.csgraph import connected_components

    lowest = np.arange(count)
    for part in pairs:
        ends = lowest[part]  # what is connected already counts as one
        edges = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (count, count))
        labels = connected_components(edges, directed=False)[1]
        first = np.full(count, count)
        np.minimum.at(first, labels, lowest)
        lowest = first[labels[lowest]]
    return lowest


def fingerprint(picture: Image.Image) -> str:
    """The fingerprint of an RGB picture, ORIENTATIONS + PARTS times 64 bits in hex, and its small picture in base64.

    "" for a picture of one shade.
    """
    width, height = (max(1, side // (2 * _THUMB)) for side in picture.size)
    grey = picture.reduce((width, height)).convert("L").resize((_THUMB, _THUMB), Image.Resampling.LANCZOS)
    shades = np.asarray(grey, np.float64)
    if shades.std() < _FLAT:
        return ""
    rows, columns = zip(*_spans(shades), strict=True)
    down, across = (np.stack([_waves(*span) for span in spans]) for spans in (rows, columns))
    low = down @ shades @ across.transpose(0, 2, 1)
    blocks = np.concatenate([_orientations(low[0]), low[1:]]).reshape(-1, _LOW * _LOW)
    ordered = np.sort(blocks, axis=1)
    medians = ordered[:, _LOW * _LOW // 2 - 1 :][:, :2].mean(axis=1, keepdims=True)  # np.median takes far longer
    bits = blocks > medians
    return np.packbits(bits, axis=1).tobytes().hex() + base64.b64encode(grey.tobytes()).decode()


def hash_numbers(texts: Sequence[str]) -> np.ndarray:
    """The hashes in fingerprints that are not empty, uint64 (N, ORIENTATIONS + PARTS)."""
    rows = np.frombuffer(bytes.fromhex("".join(text[:_HASHED] for text in texts)), ">u8").reshape(
        -1, ORIENTATIONS + PARTS
    )
    return rows.astype(np.uint64, order="F")  # one hash of all pictures side by side: they are compared that way


def small_images(texts: Sequence[str]) -> np.ndarray:
    """The small pictures of the same, uint8 (N, 64, 64)."""
    pixels = b"".join(base64.b64decode(text[_HASHED:]) for text in texts)
    return np.frombuffer(pixels, np.uint8).reshape(-1, _THUMB, _THUMB)


def view_of(small: np.ndarray, view: int) -> np.ndarray:
    """A small picture as the hash at position `view` is of it: turned, or a part of it, float32 (DETAIL, DETAIL)."""
    rows, columns = _spans(small)[max(0, 1 + view - ORIENTATIONS)]
    seen = _stretched(*rows) @ small.astype(np.float32) @ _stretched(*columns).T
    if view >= ORIENTATIONS:
        return seen
    turned = seen[:: -1 if view & 2 else 1, :: -1 if view & 1 else 1]
    return turned.T if view & 4 else turned


def _orientations(low: np.ndarray) -> np.ndarray:
    """(8, 8, 8): the frequencies of a picture and of its seven turned and mirrored versions."""
    mirrored = [low, low * _SIGNS, low * _SIGNS[:, None], low * _SIGNS * _SIGNS[:, None]]
    return np.stack([*mirrored, *(block.T for block in mirrored)])


@lru_cache(maxsize=1024)
def _waves(start: float, stop: float) -> np.ndarray:
    """What gives the lowest frequencies of the pixels from start to stop along one side, (8, 64).

    They are brought to 32 pixels as Pillow does it, then transformed (cosine transform, type II; scipy.fft takes longer
    to import than to compute). Both are sums, so that one matrix does it.
    """
    each = Image.fromarray(np.eye(_THUMB, dtype=np.float32))
    scaled = np.asarray(each.resize((_THUMB, _SIDE), Image.Resampling.LANCZOS, (0, start, _THUMB, stop)), np.float64)
    waves: np.ndarray = np.cos(np.pi / _SIDE * np.outer(np.arange(_LOW), np.arange(_SIDE) + 0.5)) @ scaled
    return waves


@lru_cache(maxsize=1024)
def _stretched(start: float, stop: float) -> np.ndarray:
    """What makes DETAIL pixels of those from start to stop along one side, (DETAIL, 64)."""
    each = Image.fromarray(np.eye(_THUMB, dtype=np.float32))
    return np.asarray(each.resize((_THUMB, DETAIL), Image.Resampling.LANCZOS, (0, start, _THUMB, stop)))


def _spans(shades: np.ndarray) -> list[tuple[Span, Span]]:
    """The rows and columns of the whole picture, and of its parts."""
    return [*(_centre(share, len(shades)) for share in (1.0, *_CROPS)), _inside(shades)]


def _centre(share: float, side: int) -> tuple[Span, Span]:
    margin = side * (1 - share) / 2
    return (margin, side - margin), (margin, side - margin)


def _inside(shades: np.ndarray) -> tuple[Span, Span]:
    """The (top, bottom) and (left, right) that are left without rows and columns of one shade at the border."""
    rows, columns = (np.flatnonzero(np.ptp(shades, axis=axis) > _FRAME) for axis in (1, 0))
    if min(len(rows), len(columns)) < _LEAST * len(shades):
        return _centre(1.0, len(shades))
    return (float(rows[0]), float(rows[-1] + 1)), (float(columns[0]), float(columns[-1] + 1))
