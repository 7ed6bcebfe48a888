"""Photographs that are equal or nearly so, and the groups they form."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

_BLOCK = 1024  # rows of the distance matrix held at once: 1024 x 8,000 distances are 8 MB


def close_pairs(hashes: Sequence[str], distance: int) -> Iterator[tuple[int, int]]:
    """Positions (i, j), i < j, of 64-bit hex hashes that differ in at most `distance` bits."""
    bits = np.array([int(text, 16) for text in hashes], np.uint64)
    for start in range(0, len(bits), _BLOCK):
        differing = np.bitwise_count(bits[start : start + _BLOCK, None] ^ bits[None, :])
        rows, columns = np.nonzero(differing <= distance)
        upper = columns > rows + start
        yield from zip((rows[upper] + start).tolist(), columns[upper].tolist(), strict=True)


def equal_pairs(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Positions (first, i) of equal names."""
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        if first.setdefault(name, position) != position:
            yield first[name], position


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` positions the lowest position that pairs connect it with, directly or through others."""
    root = list(range(count))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for i, j in pairs:
        low, high = sorted((find(i), find(j)))
        root[high] = low
    return [find(i) for i in range(count)]
