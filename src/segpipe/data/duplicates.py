"""Photographs that are equal or nearly so, and the groups they form."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from segpipe.data import comparing
from segpipe.data.looks import DETAIL, PARTS, TURNED, details, numbers, viewed

_BLOCK = 64  # rows of the distance matrix held at once: they fit the processor's cache
_AT_ONCE = 1024  # pairs that are compared in detail at once: 20 MB
_TRIES = 3  # ways in which two photographs are compared in detail, those of the nearest hashes first
_INSIDE = TURNED + PARTS - 1
# the hashes that are compared: each way to turn one picture, with the whole of the other or a part of it
_WAYS = [
    pair
    for turn in range(TURNED)
    for view in (0, *range(TURNED, TURNED + PARTS))
    for pair in (((turn, view), (view, turn)) if view else ((turn, view),))
]


def close_pairs(hashes: Sequence[str], distance: int) -> Iterator[np.ndarray]:
    """Pairs (i, j), i < j, of photographs that show the same, int64 (K, 2) a block; hashes: `looks.hashes`.

    They are at most `distance` bits apart, and agree in detail. A photograph of one shade has no hash and is close to
    none.
    """
    hashed = np.array([position for position, text in enumerate(hashes) if text], np.int64)
    texts = [hashes[position] for position in hashed]
    of, small = numbers(texts), details(texts)
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
    """Bits between photographs given by their `looks.numbers`, uint8 in the shape that both broadcast to.

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

    of, small: `looks.numbers` and `looks.details` of all photographs.
    """
    parts = [pairs[start : start + _AT_ONCE] for start in range(0, len(pairs), _AT_ONCE)]
    return np.concatenate([np.zeros(0, bool), *(_confirmed(part, of, small, distance) for part in parts)])


def _confirmed(pairs: np.ndarray, of: np.ndarray, small: np.ndarray, distance: int) -> np.ndarray:
    ways = np.array(_WAYS)  # (W, 2)
    hashes = of[pairs[:, None], ways]  # (K, W, 2)
    apart = np.bitwise_count(hashes[..., 0] ^ hashes[..., 1]).astype(np.int64)
    unframed = (of[:, _INSIDE] == of[:, 0])[pairs][:, None]  # the inside of a picture without a frame is the picture
    apart[(unframed & (ways == _INSIDE)).any(axis=2)] = distance + 1
    order = np.argsort(apart, axis=1, kind="stable")
    agree = np.zeros(len(pairs), bool)
    for way in order.T[:_TRIES]:
        bits = apart[np.arange(len(pairs)), way]
        left = np.flatnonzero(~agree & (bits <= distance))
        one, other = _viewed(small, pairs[left].T, ways[way[left]].T)
        agree[left] = comparing.same(one, other, bits[left])
    return agree


def _viewed(small: np.ndarray, positions: np.ndarray, views: np.ndarray) -> np.ndarray:
    """`looks.viewed` of each position and view, (*positions.shape, DETAIL, DETAIL); each of them is made once."""
    needed, place = np.unique(positions * (TURNED + PARTS) + views, return_inverse=True)
    made = [viewed(small[position], view) for position, view in zip(*divmod(needed, TURNED + PARTS), strict=True)]
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
