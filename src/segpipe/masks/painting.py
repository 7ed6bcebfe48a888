"""Regions painted over each other, as runs: which one is on top at each pixel.

Runs need far less memory than frames: a crowded image has hundreds of regions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from segpipe.masks.rle import Region

_RUNS_AT_ONCE = 1 << 19  # runs painted together: limits memory
SMALLER_ON_TOP = "smaller_on_top"
RECORD_ORDER = "record_order"


@dataclass(frozen=True, slots=True, eq=False)
class Painting:
    """The owner of each pixel of a frame, flattened by column: owners[i] from stops[i - 1] to stops[i]."""

    size_hw: tuple[int, int]  # height and width of the frame
    stops: np.ndarray  # int64 (n,), ascending; the last is the number of pixels
    owners: np.ndarray  # int64 (n,), 1 ... for a region, 0 where there is no region

    def frame(self, values: np.ndarray) -> np.ndarray:
        """The frame (H, W) with values[owner] at each pixel, in column-major memory, with the dtype of `values`.

        values: (n + 1,), one for each owner from 0.
        """
        return values[self.owners].repeat(self._lengths()).reshape(self.size_hw, order="F")

    def pixels(self, count: int) -> np.ndarray:
        """The number of pixels of each owner 0 .. count, int64 (count + 1,)."""
        return np.bincount(self.owners, self._lengths(), count + 1).astype(np.int64)  # via floats, exact up to 2^53

    def pixels_at(self, rows: np.ndarray, columns: np.ndarray, count: int) -> np.ndarray:
        """As `pixels`, but counted only at rows x columns: int64 (count + 1,).

        rows, columns: int (n,), ascending; a repeated row or column counts twice.
        """
        columns, times = np.unique(columns, return_counts=True)
        grid = self._sampled(rows, columns)
        if times.max() == 1:
            return grid.pixels(count)
        owners = grid.frame(np.arange(count + 1)).ravel(order="F")
        return np.bincount(owners, times.repeat(len(rows)), count + 1).astype(np.int64)

    def _sampled(self, rows: np.ndarray, columns: np.ndarray) -> "Painting":
        height, width = self.size_hw
        low, high = height * int(columns[0]), height * int(columns[-1] + 1)
        first, last = self.stops.searchsorted([low, high])  # the pieces in these columns
        column, row = np.divmod(self.stops[first : last + 1].clip(low, high), height)
        above = np.searchsorted(rows, np.arange(height))  # number of `rows` above each row of the frame
        before = np.searchsorted(columns, np.arange(width + 2))
        stops = before[column] * len(rows) + (before[column + 1] - before[column]) * above[row]
        return Painting((len(rows), len(columns)), stops, self.owners[first : last + 1])

    def _lengths(self) -> np.ndarray:
        lengths = self.stops.copy()
        lengths[1:] -= self.stops[:-1]
        return lengths


def paint(regions: Sequence[Region], size_hw: tuple[int, int], at_once: int = _RUNS_AT_ONCE) -> Painting:
    """Paint regions over each other, the last on top; regions[i] is owner i + 1. at_once: runs painted together."""
    total = size_hw[0] * size_hw[1]
    if not regions:
        return Painting(size_hw, np.array([total]), np.array([0]))
    edges = np.concatenate([region.edges for region in regions])
    owners = np.arange(1, len(regions) + 1).repeat([len(region.edges) // 2 for region in regions])
    shown = np.flatnonzero(edges[1::2] > edges[0::2])  # n empty runs at one place would need n^2 memory
    starts, stops, owners = edges[0::2][shown], edges[1::2][shown], owners[shown]
    if len(owners) <= at_once:
        return Painting(size_hw, *_topmost(starts, stops, owners, total))
    cuts = [0, *np.sort(starts)[at_once::at_once].tolist(), total]
    parts = []
    for low, high in pairwise(cuts):
        inside = np.flatnonzero((starts < high) & (stops > low))
        strip = _topmost(starts[inside].clip(low) - low, stops[inside].clip(max=high) - low, owners[inside], high - low)
        parts.append((strip[0] + low, strip[1]))
    return Painting(size_hw, *map(np.concatenate, zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True)
class Paint:
    """One region to be painted."""

    category: str
    area_px: int
    below: bool  # a crowd or ignore region, which never covers an object


def painting_order(paints: Sequence[Paint], priority: str | Sequence[str]) -> list[int]:
    """The positions of `paints` from the bottom to the top; regions that are `below` come first for any priority.

    priority: "smaller_on_top": by pixel count, the later record on top of an equal one; "record_order": the later
    record on top; a list of classes: the first class on top, classes that are not listed at the bottom, within a class
    smaller_on_top.

    >>> painting_order([Paint("car", 10, below=False), Paint("road", 900, below=False)], "smaller_on_top")
    [1, 0]
    """
    rank = _rank(priority)
    return sorted(range(len(paints)), key=lambda i: (not paints[i].below, *rank(paints[i])))


def _topmost(starts: np.ndarray, stops: np.ndarray, owners: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """The stops and owners, as in a Painting, of runs painted over each other, the last on top.

    The edges of all runs cut the frame into pieces. A run covers the pieces from its start to its stop; the last run
    that covers a piece sets its owner.
    """
    edges = np.concatenate([starts, stops, [total]])
    order = edges.argsort(kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(1, len(order) + 1)  # the piece that begins at each edge; piece 0 is before all edges
    first = place[: len(starts)]
    covered = place[len(starts) : -1] - first
    pieces = np.arange(covered.sum()) + (first + covered - covered.cumsum()).repeat(covered)
    owner = np.zeros(len(edges), np.int64)
    owner[pieces] = owners.repeat(covered)
    return edges[order], owner


def _rank(priority: str | Sequence[str]) -> Callable[[Paint], tuple[int, ...]]:
    if priority == RECORD_ORDER:
        return lambda paint: ()
    if priority == SMALLER_ON_TOP:
        return lambda paint: (-paint.area_px,)
    heights = {name: len(priority) - i for i, name in enumerate(priority)}
    return lambda paint: (heights.get(paint.category, 0), -paint.area_px)
