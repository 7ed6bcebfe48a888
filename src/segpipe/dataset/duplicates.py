"""Photographs that are equal or nearly so, and the groups they form."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from segpipe.dataset.looks import TURNED, numbers

_BLOCK = 64  # rows of the distance matrix held at once: they fit the processor's cache


def close_pairs(hashes: Sequence[str], distance: int) -> Iterator[np.ndarray]:
    """Pairs (i, j), i < j, of photographs at most `distance` bits apart, int64 (K, 2) a block; hashes: `looks.hashes`.

    A photograph of one shade has no hash and is close to none.
    """
    hashed = np.array([position for position, text in enumerate(hashes) if text], np.int64)
    of = numbers([hashes[position] for position in hashed])
    for start in range(0, len(of), _BLOCK):
        near = distances(of[start : start + _BLOCK, None], of[None, start:]) <= distance
        rows, columns = np.nonzero(near)
        later = columns > rows
        yield hashed[np.stack([rows[later], columns[later]], axis=1) + start]


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
    for turn in range(TURNED):
        for view in (0, *range(TURNED, one.shape[-1])):
            for a, b in ((turn, view), (view, turn)) if view else ((turn, view),):
                np.bitwise_xor(one[..., a], other[..., b], out=differing)
                np.minimum(nearest, np.bitwise_count(differing), out=nearest)
    return nearest


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
