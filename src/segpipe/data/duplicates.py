"""Images that are equal or nearly equal, and the groups that they form.

The fingerprint of an image is eleven perceptual hashes and a small version of it. A hash is the pHash of
imagehash.phash: one bit per frequency, whether it is above the median of the 8 x 8 lowest frequencies. imagehash hashes
one orientation of the image. Here all eight orientations are hashed from one transform (turning or mirroring an image
swaps and negates its frequencies), and also the parts of an image that a cropped or framed copy shows.

Near hashes find candidates (`near_hashes`); `comparing` then decides in detail. bench/duplicates.py measures how many
copies are found, and how many other images are mistaken for copies.
"""

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from segpipe.data import comparing
from segpipe.data.comparing import DETAIL
from segpipe.data.near_hashes import ORIENTATIONS, PARTS, VIEW_PAIRS, WITHOUT_FRAME, near_pairs

_SMALL = 64  # pixels a side of the small image in a fingerprint
_PHASH, _LOW = 32, 8  # pixels a side of the transformed image; frequencies per side that are hashed
_CROPS = (0.9, 0.8)
_UNIFORM = 2.0  # standard deviation of the grey levels below which an image has no fingerprint
_FRAME = 6  # rows and columns at the border belong to a frame if their grey levels span no more
_MIN_INSIDE = 1 / 4  # share of a side that must remain without the frame
_HASH_BYTES = 8 * (ORIENTATIONS + PARTS)
FINGERPRINT_BYTES = _HASH_BYTES + _SMALL * _SMALL
Span = tuple[float, float]
_MIRROR_SIGNS = np.where(np.arange(_LOW) % 2, -1.0, 1.0)  # of the frequencies along one side, when it is mirrored
_PAIRS_AT_ONCE = 1024  # pairs that are compared in detail at a time: 20 MB
_TRIES = 3  # views of a pair that are compared in detail, nearest hashes first


def fingerprint(image: Image.Image) -> bytes:
    """The hashes of an RGB image, big-endian, then its small version in grey; all zeros for an image of one shade."""
    width, height = (max(1, side // (2 * _SMALL)) for side in image.size)
    grey = image.reduce((width, height)).convert("L").resize((_SMALL, _SMALL), Image.Resampling.LANCZOS)
    shades = np.asarray(grey, np.float64)
    if shades.std() < _UNIFORM:
        return bytes(FINGERPRINT_BYTES)
    rows, columns = zip(*_spans(shades), strict=True)
    down, across = (np.stack([_cosines(*span) for span in spans]) for spans in (rows, columns))
    low = down @ shades @ across.transpose(0, 2, 1)
    blocks = np.concatenate([_orientations(low[0]), low[1:]]).reshape(-1, _LOW * _LOW)
    ordered = np.sort(blocks, axis=1)
    medians = ordered[:, _LOW * _LOW // 2 - 1 :][:, :2].mean(axis=1, keepdims=True)  # np.median is far slower
    bits = blocks > medians
    return np.packbits(bits, axis=1).tobytes() + grey.tobytes()


def hash_numbers(fingerprints: np.ndarray) -> np.ndarray:
    """The hashes in fingerprints, uint8 (N, FINGERPRINT_BYTES), as uint64 (N, ORIENTATIONS + PARTS)."""
    hashes = np.ascontiguousarray(fingerprints[:, :_HASH_BYTES]).view(">u8")
    return hashes.astype(np.uint64, order="F")  # column by column: one view of all images is compared at a time


def small_images(fingerprints: np.ndarray) -> np.ndarray:
    """The small images in fingerprints, uint8 (N, FINGERPRINT_BYTES), as uint8 (N, 64, 64), grey, without a copy."""
    return fingerprints[:, _HASH_BYTES:].reshape(-1, _SMALL, _SMALL)


def view_of(small: np.ndarray, view: int) -> np.ndarray:
    """A small image as the hash at position `view` sees it: turned, or a part of it.

    small: uint8 (64, 64). Returns float32 (DETAIL, DETAIL).
    """
    rows, columns = _spans(small)[max(0, 1 + view - ORIENTATIONS)]
    seen = _resizing(*rows) @ small.astype(np.float32) @ _resizing(*columns).T
    if view >= ORIENTATIONS:
        return seen
    turned = seen[:: -1 if view & 2 else 1, :: -1 if view & 1 else 1]
    return turned.T if view & 4 else turned


def close_pairs(fingerprints: np.ndarray, distance: int, among: np.ndarray | bool = True) -> Iterator[np.ndarray]:
    """Pairs of positions (i, j), i < j, of images with the same content, int64 (K, 2) per block, in ascending order.

    fingerprints: uint8 (N, FINGERPRINT_BYTES); among: bool (N,), the images to compare, or True for all. The hashes of
    a pair differ by at most `distance` bits, and it agrees in detail. An image without a fingerprint is in no pair.
    """
    hashes, small = hash_numbers(fingerprints), small_images(fingerprints)
    compared = np.flatnonzero(among & hashes.any(axis=1))
    for near in near_pairs(hashes[compared], distance):
        pairs = compared[near]
        yield pairs[confirmed(pairs, hashes, small, distance)]


def joining_pairs(fingerprints: np.ndarray, distance: int, first: np.ndarray) -> Iterator[np.ndarray]:
    """Fewer pairs than `close_pairs` that form the same groups: of equal fingerprints only the first is compared.

    first: `first_equal` of the fingerprints, and of the images to compare.
    """
    positions = np.arange(len(first))
    repeated = np.flatnonzero((first >= 0) & (first != positions))
    yield np.stack([first[repeated], repeated], axis=1)
    yield from close_pairs(fingerprints, distance, first == positions)


def first_equal(fingerprints: np.ndarray, among: np.ndarray | bool = True) -> np.ndarray:
    """The position of the first image with an equal fingerprint, int64 (N,); -1 for an image that is not compared.

    among: as for `close_pairs`. An image without a fingerprint is not compared.
    """
    compared = np.flatnonzero(among & fingerprints[:, :_HASH_BYTES].any(axis=1))
    names = [hashlib.blake2b(fingerprints[position]).digest() for position in compared]
    first = np.full(len(fingerprints), -1)
    first[compared] = compared[firsts(names)]
    return first


def confirmed(pairs: np.ndarray, hashes: np.ndarray, small: np.ndarray, distance: int) -> np.ndarray:
    """Whether each pair agrees in detail in one of the views in which its hashes are close, bool (K,).

    pairs: int (K, 2), positions; hashes: uint64 (N, ORIENTATIONS + PARTS), small: uint8 (N, 64, 64), the results of
    `hash_numbers` and `small_images` for all images.
    """
    parts = [pairs[start : start + _PAIRS_AT_ONCE] for start in range(0, len(pairs), _PAIRS_AT_ONCE)]
    return np.concatenate([np.zeros(0, bool), *(_confirmed(part, hashes, small, distance) for part in parts)])


def _confirmed(pairs: np.ndarray, hashes: np.ndarray, small: np.ndarray, distance: int) -> np.ndarray:
    view_pairs = np.array(VIEW_PAIRS)  # (V, 2)
    compared = hashes[pairs[:, None], view_pairs]  # (K, V, 2)
    bits_apart = np.bitwise_count(compared[..., 0] ^ compared[..., 1]).astype(np.int64)
    has_no_frame = (hashes[:, WITHOUT_FRAME] == hashes[:, 0])[pairs][:, None]  # then this part is the whole image
    bits_apart[(has_no_frame & (view_pairs == WITHOUT_FRAME)).any(axis=2)] = distance + 1
    order = np.argsort(bits_apart, axis=1, kind="stable")
    agree = np.zeros(len(pairs), bool)
    for choice in order.T[:_TRIES]:
        bits = bits_apart[np.arange(len(pairs)), choice]
        left = np.flatnonzero(~agree & (bits <= distance))
        one, other = _views(small, pairs[left].T, view_pairs[choice[left]].T)
        agree[left] = comparing.same_content(one, other, bits[left])
    return agree


def _views(small: np.ndarray, positions: np.ndarray, views: np.ndarray) -> np.ndarray:
    """`view_of` each position and view, (*positions.shape, DETAIL, DETAIL); each is computed once."""
    needed, place = np.unique(positions * (ORIENTATIONS + PARTS) + views, return_inverse=True)
    each = zip(*divmod(needed, ORIENTATIONS + PARTS), strict=True)
    made = [view_of(small[position], view) for position, view in each]
    return np.array(made).reshape(-1, DETAIL, DETAIL)[place.reshape(positions.shape)]


def equal_pairs(names: Sequence[str]) -> np.ndarray:
    """Pairs of positions (first, i) of equal names, int64 (K, 2); "" equals nothing.

    >>> equal_pairs(["a", "b", "a", "a"]).tolist()
    [[0, 2], [0, 3]]
    """
    pairs = [(first, position) for position, first in enumerate(firsts(names)) if first != position]
    return np.array(pairs, np.int64).reshape(-1, 2)


def firsts(names: Sequence[Hashable]) -> list[int]:
    """For each position, the position of the first equal name; "" equals nothing.

    >>> firsts(["a", "", "b", "", "a"])
    [0, 1, 2, 3, 0]
    """
    first: dict[Hashable, int] = {}
    return [first.setdefault(name, position) if name else position for position, name in enumerate(names)]


def groups(count: int, pairs: Iterable[np.ndarray]) -> np.ndarray:
    """The group of each of `count` positions: the lowest position that pairs connect it with, int (count,).

    >>> groups(5, [np.array([[3, 1]]), np.array([[4, 3]])]).tolist()
    [0, 1, 2, 1, 1]
    """
    from scipy.sparse import coo_array  # only split needs it, and importing takes as long as checking 30 photos
    from scipy.sparse.csgraph import connected_components

    lowest = np.arange(count)
    for part in pairs:
        ends = lowest[part]  # connected positions already count as one
        edges = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (count, count))
        labels = connected_components(edges, directed=False)[1]
        first = np.full(count, count)
        np.minimum.at(first, labels, lowest)
        lowest = first[labels[lowest]]
    return lowest


def _orientations(low: np.ndarray) -> np.ndarray:
    """The frequencies of an image, (8, 8), and of its seven turned and mirrored versions: (8, 8, 8)."""
    mirrored = [low, low * _MIRROR_SIGNS, low * _MIRROR_SIGNS[:, None], low * _MIRROR_SIGNS * _MIRROR_SIGNS[:, None]]
    return np.stack([*mirrored, *(block.T for block in mirrored)])


@lru_cache(maxsize=1024)
def _cosines(start: float, stop: float) -> np.ndarray:
    """The matrix (8, 64) from pixels to the lowest frequencies of the part from start to stop along one side.

    It resizes the part to 32 pixels as Pillow does, then applies the cosine transform, type II. Both are linear, so
    one matrix does both. scipy.fft takes longer to import than this takes to compute.
    """
    identity = Image.fromarray(np.eye(_SMALL, dtype=np.float32))
    box = (0, start, _SMALL, stop)
    resizing = np.asarray(identity.resize((_SMALL, _PHASH), Image.Resampling.LANCZOS, box), np.float64)
    cosines: np.ndarray = np.cos(np.pi / _PHASH * np.outer(np.arange(_LOW), np.arange(_PHASH) + 0.5)) @ resizing
    return cosines


@lru_cache(maxsize=1024)
def _resizing(start: float, stop: float) -> np.ndarray:
    """The matrix (DETAIL, 64) that resizes the part from start to stop along one side to DETAIL pixels."""
    identity = Image.fromarray(np.eye(_SMALL, dtype=np.float32))
    return np.asarray(identity.resize((_SMALL, DETAIL), Image.Resampling.LANCZOS, (0, start, _SMALL, stop)))


def _spans(shades: np.ndarray) -> list[tuple[Span, Span]]:
    """The rows and columns of the whole image, and of its parts."""
    return [*(_centre(share, len(shades)) for share in (1.0, *_CROPS)), _without_frame(shades)]


def _centre(share: float, side: int) -> tuple[Span, Span]:
    margin = side * (1 - share) / 2
    return (margin, side - margin), (margin, side - margin)


def _without_frame(shades: np.ndarray) -> tuple[Span, Span]:
    """The (top, bottom) and (left, right) without rows and columns of one shade at the border."""
    rows, columns = (np.flatnonzero(np.ptp(shades, axis=axis) > _FRAME) for axis in (1, 0))
    if min(len(rows), len(columns)) < _MIN_INSIDE * len(shades):
        return _centre(1.0, len(shades))
    return (float(rows[0]), float(rows[-1] + 1)), (float(columns[0]), float(columns[-1] + 1))
