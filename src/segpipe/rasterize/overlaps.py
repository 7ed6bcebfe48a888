"""Overlaps of annotations: how many pixels of each class the label maps do not show, because of which other class."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from segpipe.core import csv_files
from segpipe.data.classes import IGNORE_INDEX
from segpipe.masks.painting import Painting
from segpipe.masks.rle import Region

IGNORED = "ignored"  # the name in the table for ignored regions over objects
Overlaps = tuple[tuple[int, int, int], ...]  # value below, value on top, pixels


def of_painting(
    painting: Painting, regions: Sequence[Region], hidden: Sequence[bool] | np.ndarray, values: np.ndarray
) -> Overlaps:
    """The pixels of objects that other regions cover, by the values of both, in ascending order.

    painting: regions[i] is its owner i + 1.
    hidden: bool (n,), whether a part of each region is hidden.
    values: uint8 (n + 1,), each owner's value in the label map, first that of pixels without an owner.
    A pixel counts once for each object that is hidden there; hidden pixels of ignored regions do not count.
    """
    pixels_of: Counter[tuple[int, int]] = Counter()
    for position, region in enumerate(regions):
        below = int(values[position + 1])
        if not hidden[position] or below == IGNORE_INDEX:
            continue
        on_top = _px_by_owner(painting, region, len(regions))
        on_top[position + 1] = 0
        for owner in np.flatnonzero(on_top).tolist():
            pixels_of[below, int(values[owner])] += int(on_top[owner])
    return tuple((*pair, pixels) for pair, pixels in sorted(pixels_of.items()))


def total(overlaps: Iterable[Overlaps]) -> dict[tuple[int, int], int]:
    """The sum over images, by the values below and on top.

    >>> total([((1, 2, 5), (2, 1, 3)), ((1, 2, 7),)])
    {(1, 2): 12, (2, 1): 3}
    """
    sums: Counter[tuple[int, int]] = Counter()
    for of_image in overlaps:
        for below, on_top, pixels in of_image:
            sums[below, on_top] += pixels
    return dict(sorted(sums.items()))


def csv_text(sums: Mapping[tuple[int, int], int], names: Sequence[str]) -> str:
    """A CSV table with a row for each pair of classes that overlap: beneath, on_top, pixels.

    sums: as `total` returns them; names: of the classes, by class index.
    """
    rows = [
        [names[below], IGNORED if on_top == IGNORE_INDEX else names[on_top], pixels]
        for (below, on_top), pixels in sums.items()
    ]
    return csv_files.text(["beneath", "on_top", "pixels"], rows)


def read(path: Path) -> dict[tuple[str, str], int]:
    """Pixels by class below and class on top, from a table of csv_text."""
    return {(row["beneath"], row["on_top"]): int(row["pixels"]) for row in csv_files.read(path)}


def _px_by_owner(painting: Painting, region: Region, count: int) -> np.ndarray:
    """The pixels of a region that each owner has, int64 (count + 1,)."""
    starts, stops = region.edges[0::2], region.edges[1::2]
    first = painting.stops.searchsorted(starts, side="right")  # each run consists of whole pieces of the painting
    pieces = np.where(stops > starts, painting.stops.searchsorted(stops) - first + 1, 0)
    at = np.arange(pieces.sum()) + (first + pieces - pieces.cumsum()).repeat(pieces)
    lengths = np.diff(painting.stops, prepend=0)[at]
    return np.bincount(painting.owners[at], lengths, count + 1).astype(np.int64)
