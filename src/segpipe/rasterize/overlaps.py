"""Which class lies beneath which, in pixels of the photographs: what the masks do not show of the annotations."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from segpipe.core import csv_files
from segpipe.data.classes import IGNORE_INDEX
from segpipe.masks.painting import Painting
from segpipe.masks.rle import Region

IGNORED = "ignored"  # regions that are painted as ignore over objects
Overlaps = tuple[tuple[int, int, int], ...]  # value beneath, value on top, pixels


def of_painting(
    painting: Painting, regions: Sequence[Region], hidden: Sequence[bool] | np.ndarray, values: np.ndarray
) -> Overlaps:
    """Pixels of each class, or of none, that lie beneath another object, by the values of both; in order.

    regions[i] is owner i + 1 of the painting; hidden: bool, whether each shows less than its own pixels; values: each
    owner's value in the label map, that of nobody first. A pixel counts once for each object that it is hidden of.
    """
    found: Counter[tuple[int, int]] = Counter()
    for position, region in enumerate(regions):
        beneath = int(values[position + 1])
        if not hidden[position] or beneath == IGNORE_INDEX:
            continue
        on_top = _owned(painting, region, len(regions))
        on_top[position + 1] = 0
        for owner in np.flatnonzero(on_top).tolist():
            found[beneath, int(values[owner])] += int(on_top[owner])
    return tuple((*pair, pixels) for pair, pixels in sorted(found.items()))


def total(overlaps: Iterable[Overlaps]) -> dict[tuple[int, int], int]:
    """The sum over photographs, by the values of both."""
    sums: Counter[tuple[int, int]] = Counter()
    for own in overlaps:
        for beneath, on_top, pixels in own:
            sums[beneath, on_top] += pixels
    return dict(sorted(sums.items()))


def csv_text(sums: Mapping[tuple[int, int], int], names: Sequence[str]) -> str:
    """A row for each pair of classes that overlap: beneath, on_top, pixels."""
    rows = [
        [names[beneath], IGNORED if on_top == IGNORE_INDEX else names[on_top], pixels]
        for (beneath, on_top), pixels in sums.items()
    ]
    return csv_files.text(["beneath", "on_top", "pixels"], rows)


def read(path: Path) -> dict[tuple[str, str], int]:
    """Pixels by class beneath and class on top, as csv_text wrote them."""
    return {(row["beneath"], row["on_top"]): int(row["pixels"]) for row in csv_files.read(path)}


def _owned(painting: Painting, region: Region, count: int) -> np.ndarray:
    """How many pixels of a region each owner has, int64 (count + 1,)."""
    starts, stops = region.edges[0::2], region.edges[1::2]
    first = painting.stops.searchsorted(starts, side="right")  # each run is made of whole pieces of the painting
    pieces = np.where(stops > starts, painting.stops.searchsorted(stops) - first + 1, 0)
    at = np.arange(pieces.sum()) + (first + pieces - pieces.cumsum()).repeat(pieces)
    lengths = np.diff(painting.stops, prepend=0)[at]
    return np.bincount(painting.owners[at], lengths, count + 1).astype(np.int64)
