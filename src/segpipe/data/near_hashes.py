"""Pairs of images with near hashes, found without comparing all pairs.

A hash is cut into four words. In two near hashes, at least one word differs by very few bits. So all hashes are sorted
by each of their words, and a hash is compared with those that have nearly the same word. If these are too many (in a
small set, at a large distance, or for an image whose hashes many others have), an image is compared with all others.

Source: Norouzi, Punjani and Fleet, Fast Exact Search in Hamming Space with Multi-Index Hashing, PAMI 36 (2014).
"""

from collections.abc import Iterator
from functools import cache

import numpy as np

ORIENTATIONS = 8  # hashes of the whole image: unchanged, then turned and mirrored in seven ways
PARTS = 3  # hashes of the parts that a copy may show: the central 0.9 and 0.8 of each side, and all without its frame
WITHOUT_FRAME = ORIENTATIONS + PARTS - 1  # position of the last of them; it equals the first hash if there is no frame
_TURNS, _PARTS = list(range(ORIENTATIONS)), list(range(ORIENTATIONS, ORIENTATIONS + PARTS))
# pairs of views whose hashes are compared: each orientation of one image with the whole of the other or a part of it
VIEW_PAIRS = [
    pair
    for turn in _TURNS
    for view in (0, *_PARTS)
    for pair in (((turn, view), (view, turn)) if view else ((turn, view),))
]
_WORDS, _WORD_BITS = 4, 16
_VALUES = np.arange(2**_WORD_BITS)  # of a word
_BLOCK = 8192  # images that are compared with the same sorted hashes
# times, as multiples of the time to compare with one of the hashes that have a word
_LOOKUP = 2  # to find these hashes
_COMPARISON = 3  # of two images in all views, where an image is compared with all others
_AT_ONCE = 4_000_000  # of these times: it limits the number of pairs in memory


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The number of different bits between images, in the nearest pair of views.

    one, other: `hash_numbers`, uint64 (..., ORIENTATIONS + PARTS). Returns uint8 in the shape that both broadcast to.
    """
    nearest = np.full(np.broadcast_shapes(one.shape, other.shape)[:-1], 64, np.uint8)
    differing = np.empty(nearest.shape, np.uint64)
    for a, b in VIEW_PAIRS:
        np.bitwise_xor(one[..., a], other[..., b], out=differing)
        np.minimum(nearest, np.bitwise_count(differing), out=nearest)
    return nearest


def near_pairs(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """Pairs of positions (i, j), i < j, of images with near hashes, int64 (K, 2) per block, in ascending order.

    hashes: uint64 (N, ORIENTATIONS + PARTS). All pairs that differ by at most `distance` bits in one of VIEW_PAIRS; a
    pair may be left out if one of these views has no frame to leave out, and is the whole image.
    """
    for start in range(0, len(hashes), _BLOCK):
        later = hashes[start:]
        images = np.arange(min(_BLOCK, len(later)))
        searches = _searches(later, distance)
        of_all = _COMPARISON * (len(later) - images)
        of_words = np.sum([search.work(images) for search in searches], axis=0) if searches else of_all
        steps = np.cumsum(np.minimum(of_words, of_all)) // _AT_ONCE
        for part in np.split(images, np.flatnonzero(np.diff(steps)) + 1):
            by_words = of_words[part] < of_all[part]
            found = [_compared(later, part[~by_words], distance), *(each.pairs(part[by_words]) for each in searches)]
            yield np.stack(np.divmod(np.unique(np.concatenate(found)), len(later)), axis=1) + start


def _compared(hashes: np.ndarray, images: np.ndarray, distance: int) -> np.ndarray:
    """The near pairs of some images with later ones, as numbers i * N + j."""
    first = images[0] if len(images) else len(hashes)
    rows, columns = np.nonzero(distances(hashes[images, None], hashes[None, first:]) <= distance)
    one, other = images[rows], columns + first
    return (one * len(hashes) + other)[other > one]


def _searches(hashes: np.ndarray, distance: int) -> list["_Search"]:
    """The searches that together find all near pairs; none if it is faster to compare all images."""
    # if every word differed by more bits than its radius, the hashes would differ by at least distance + 1 bits
    radii = {word: radius for word in range(_WORDS) if (radius := (distance + 1 + word) // _WORDS - 1) >= 0}
    words = sum(len(_masks(radius)) for radius in radii.values()) * (ORIENTATIONS + PARTS)
    if _LOOKUP * words > _COMPARISON * len(hashes):
        return []
    views = ((_TURNS, [0, *_PARTS]), (_PARTS, _TURNS))
    return [_Search(hashes, pair, distance, *word) for pair in views for word in radii.items()]


class _Search:
    """The search for near hashes in which one word is nearly the same, in some views of the two images."""

    def __init__(
        self, hashes: np.ndarray, views: tuple[list[int], list[int]], distance: int, word: int, radius: int
    ) -> None:
        """views: of the earlier image, and of the later one; word, radius: how many bits of which word may differ."""
        self.hashes, self.views, self.distance, self.masks = hashes, views[0], distance, _masks(radius)
        self.shift = np.uint64(_WORD_BITS * (_WORDS - 1 - word))
        others, images = _of_views(hashes, np.arange(len(hashes)), views[1])
        words = self._words(others)
        order = np.argsort(words.astype(np.uint16), kind="stable")
        self.others, self.images = others[order], images[order]
        count = np.bincount(words, minlength=len(_VALUES))
        self.starts = np.cumsum([0, *count])
        nearby = np.array([count, *np.zeros((radius, len(_VALUES)), np.int64)])  # by the number of different bits
        for bit in range(_WORD_BITS):
            nearby[1:] += nearby[:-1, _VALUES ^ 1 << bit]
        self.nearby = nearby.sum(axis=0)

    def work(self, images: np.ndarray) -> np.ndarray:
        """The time to search for each image, float (N,); images: all up to a position."""
        hashes, of = _of_views(self.hashes, images, self.views)
        return np.bincount(of, self.nearby[self._words(hashes)] + _LOOKUP * len(self.masks), minlength=len(images))

    def pairs(self, images: np.ndarray) -> np.ndarray:
        """The near pairs of some images with later ones, as numbers i * N + j."""
        hashes, of = _of_views(self.hashes, images, self.views)
        words = (self._words(hashes)[:, None] ^ self.masks).ravel()
        counts = self.starts[words + 1] - self.starts[words]
        hit = np.flatnonzero(counts)
        starts, counts, query = self.starts[words[hit]], counts[hit], hit // len(self.masks)
        ends = np.cumsum(counts)
        places = np.repeat(starts - ends + counts, counts)
        places += np.arange(len(places))
        differing = np.repeat(hashes[query], counts)
        differing ^= self.others[places]
        near = np.flatnonzero(np.bitwise_count(differing) <= self.distance)
        one, other = of[query[np.searchsorted(ends, near, side="right")]], self.images[places[near]]
        return (one * len(self.hashes) + other)[other > one]

    def _words(self, hashes: np.ndarray) -> np.ndarray:
        return (hashes >> self.shift).astype(np.uint16).astype(np.int64)


@cache
def _masks(radius: int) -> np.ndarray:
    return _VALUES[np.bitwise_count(_VALUES) <= radius]


def _of_views(hashes: np.ndarray, images: np.ndarray, views: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of some images in some views, and the image of each; none for a frame that is not there."""
    of_views = hashes[images[:, None], views]
    has_frame = hashes[images, WITHOUT_FRAME] != hashes[images, 0]
    is_there = (np.array(views) != WITHOUT_FRAME) | has_frame[:, None]
    return of_views[is_there], np.broadcast_to(images[:, None], is_there.shape)[is_there]
