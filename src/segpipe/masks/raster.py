"""The pixel rule: which pixels a polygon covers. All polygons of the project are filled here.

The rule is that of pycocotools (maskApi.c, rleFrPoly), bit for bit, so that label maps equal the usual ground truth: a
10 x 10 square is 100 pixels. In each column of pixels, inside and outside swap where a line of the ring crosses the
column's middle. The rings of one instance are united; with even_odd, rings inside others are holes. Then the pixels of
its holes, drawn by the same rule, are subtracted. Rings are drawn as they were annotated, without correction.

The rule also applies to rings that cross themselves, that are past the border, or that are too far away for pycocotools
(its memory grows with the length of the ring, and its 32-bit numbers end 429 million pixels away).

pycocotools is not used to draw, because it is slower: it walks each line point by point and packs each ring into
characters. Here each crossing of a column's middle is computed directly, for all rings of an image in one call.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from segpipe.masks import painting, rle
from segpipe.masks.rle import NUMBER, POSITION, Region

Rings = Sequence[Sequence[float]]

_FINE = 5  # points are rounded to 1/5 of a pixel (maskApi.c: scale)
_INSTANCES_AT_ONCE = 2048  # limits memory, as does
_CROSSINGS_AT_ONCE = 1 << 20  # crossings of a column's middle that are computed together


def draw(rings: Rings, size_hw: tuple[int, int], holes: Rings = (), even_odd: bool = False) -> Region:
    """The region of one instance; parts past the border are cut off.

    rings, holes: flat x, y ... in pixels, 6 numbers or more each; holes: subtracted from the rings; even_odd: rings are
    not united: a pixel counts if an odd number of rings contain it.
    Raises ValueError for a ring with fewer numbers: pycocotools would read four numbers as a box.
    """
    region = _odd(draw_each([[ring] for ring in rings], size_hw)) if even_odd else draw_each([rings], size_hw)[0]
    if not holes:
        return region
    subtracted = draw_each([holes], size_hw)[0]
    steps = np.concatenate([_steps(region.edges), -_steps(subtracted.edges)])
    return Region(size_hw, _covered(np.concatenate([region.edges, subtracted.edges]), steps))


def _odd(regions: Sequence[Region]) -> Region:
    """The pixels that an odd number of regions contain: those after an odd number of edges."""
    return Region(regions[0].size_hw, rle.odd_edges(np.concatenate([region.edges for region in regions])))


def draw_each(
    shapes: Sequence[Rings], size_hw: tuple[int, int], crossings_at_once: int = _CROSSINGS_AT_ONCE
) -> list[Region]:
    """The regions of many instances without holes, as `draw`. crossings_at_once: limits memory, changes no result."""
    starts = range(0, len(shapes), _INSTANCES_AT_ONCE)
    parts = (_draw_some(shapes[i : i + _INSTANCES_AT_ONCE], size_hw, crossings_at_once) for i in starts)
    return list(chain.from_iterable(parts))


def of_mask(mask: np.ndarray) -> Region:
    """The region of a mask, bool (H, W)."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    return Region((mask.shape[0], mask.shape[1]), np.flatnonzero(flat[1:] != flat[:-1]))


def of_values(values: np.ndarray) -> dict[int, Region]:
    """The region of each value in an integer array (H, W)."""
    flat = values.T.ravel()
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    runs = np.stack([starts, np.append(starts[1:], len(flat))], axis=1)
    order = np.argsort(flat[starts], kind="stable")
    distinct, firsts = np.unique(flat[starts][order], return_index=True)
    parts = zip(distinct.tolist(), np.split(runs[order], firsts[1:]), strict=True)
    return {value: Region((values.shape[0], values.shape[1]), part.ravel()) for value, part in parts}


def _draw_some(shapes: Sequence[Rings], size_hw: tuple[int, int], at_once: int) -> list[Region]:
    rings = list(chain.from_iterable(shapes))
    if not all(shapes) or min(map(len, rings)) < 6:
        raise ValueError("a ring has at least three points")
    lines = _lines(rings, size_hw)
    if len(shapes) > 1 and lines.crossed.sum() > at_once:
        middle = len(shapes) // 2
        return [part for half in (shapes[:middle], shapes[middle:]) for part in _draw_some(half, size_hw, at_once)]
    # each ring's runs: start, stop, start, stop ...; the crossings of one line are in order: a stable sort is faster
    keys = np.sort(_crossings(lines, size_hw, at_once), kind="stable")
    if len(rings) > len(shapes):
        owners = np.arange(len(shapes)).repeat([len(rings) for rings in shapes])
        keys = _covered((owners[keys >> NUMBER] << NUMBER) | (keys & POSITION), _steps(keys))
    ends = keys.searchsorted(np.arange(1, len(shapes) + 1) << NUMBER).tolist()
    edges = keys & POSITION
    return [Region(size_hw, edges[start:stop]) for start, stop in zip([0, *ends], ends, strict=False)]


def _steps(edges: np.ndarray) -> np.ndarray:
    """1 at each start, -1 at each stop."""
    steps = np.ones(len(edges), np.int64)
    steps[1::2] = -1
    return steps


def _covered(keys: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The keys where covered pixels begin and end, ascending: pixels are covered where the sum of steps is above 0."""
    order = keys.argsort(kind="stable")
    keys, depth = keys[order], steps[order].cumsum()
    is_last = np.ones(len(keys), bool)  # of several steps at one key
    np.not_equal(keys[1:], keys[:-1], out=is_last[:-1])
    keys, inside = keys[is_last], depth[is_last] > 0
    changes = inside.copy()
    np.not_equal(inside[1:], inside[:-1], out=changes[1:])
    return keys[changes]


class _Lines(NamedTuple):
    """The lines of rings; every field is int64 (n,)."""

    number: np.ndarray  # the ring's number, as the high bits of a key
    x: np.ndarray  # of the first point, in fine steps
    y: np.ndarray
    to_x: np.ndarray  # of the second point
    to_y: np.ndarray
    first: np.ndarray  # first column whose middle the line crosses
    crossed: np.ndarray  # number of such columns


def _lines(rings: Rings, size_hw: tuple[int, int]) -> _Lines:
    """A line crosses the middle of column c between fine x 5c + 2 and 5c + 3."""
    lengths = np.array([len(ring) for ring in rings]) // 2
    points = np.fromiter(chain.from_iterable(rings), np.float64)
    x, y = (_FINE * points + 0.5).astype(np.int64).reshape(-1, 2).T  # rounds towards zero, as in C
    ends = lengths.cumsum()
    following = np.arange(1, len(x) + 1)
    following[ends - 1] = ends - lengths
    to_x, to_y = x[following], y[following]
    first = np.maximum((np.minimum(x, to_x) + 2) // _FINE, 0)
    last = np.minimum((np.maximum(x, to_x) - 3) // _FINE, size_hw[1] - 1)
    numbers = (np.arange(len(rings)) << NUMBER).repeat(lengths)
    return _Lines(numbers, x, y, to_x, to_y, first, np.maximum(last - first + 1, 0))


def _crossings(lines: _Lines, size_hw: tuple[int, int], at_once: int) -> np.ndarray:
    """The keys, unsorted, of the pixels where inside and outside swap: where a line crosses the middle of a column.

    A crossing below the last row is the next column's first pixel, as in maskApi.c.
    """
    total = lines.crossed.cumsum()
    if total[-1] <= at_once:
        return _crossed(lines, total, size_hw)
    cuts = [0, *(np.flatnonzero(np.diff(total // at_once)) + 1).tolist(), len(total)]
    parts = (_Lines(*(column[start:stop] for column in lines)) for start, stop in pairwise(cuts))
    return np.concatenate([_crossed(part, part.crossed.cumsum(), size_hw) for part in parts])


def _crossed(lines: _Lines, total: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    line = np.arange(len(total)).repeat(lines.crossed)
    column = np.arange(len(line)) + (lines.first + lines.crossed - total)[line]
    rows = _crossed_rows(lines.x, lines.y, lines.to_x, lines.to_y, line, _FINE * column + 2)
    height = size_hw[0]
    return lines.number[line] + column * height + np.minimum(np.maximum((rows + 2) // _FINE, 0), height)


def _crossed_rows(
    x: np.ndarray, y: np.ndarray, to_x: np.ndarray, to_y: np.ndarray, line: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """The fine row where each line goes from fine column `left` to the next: the upper of the two points there.

    maskApi.c walks a line in whole fine steps along its longer axis, in ascending direction, and rounds the other
    coordinate.
    """
    dx, dy = to_x - x, to_y - y
    steep = np.abs(dx) < np.abs(dy)
    longer = np.where(steep, dy, dx)
    slope = (np.where(steep, dx, dy) / (longer + (longer == 0)))[line]
    is_reversed = longer < 0
    x, y = np.where(is_reversed, to_x, x)[line], np.where(is_reversed, to_y, y)[line]
    rows = y + slope * (left - x + (slope < 0)) + 0.5
    down = np.flatnonzero(steep[line])
    rows[down] = y[down] + _steps_down(x[down], slope[down], left[down]) - 1
    return rows.astype(np.int64)


def _steps_down(x: np.ndarray, slope: np.ndarray, left: np.ndarray) -> np.ndarray:
    """The number of fine steps down from x until a steep line goes from fine column `left` to the next, or back."""
    steps = np.floor((left + 0.5 - x) / slope + 1e-6)  # the last step before the change, or the change itself
    return steps + ((x + slope * steps + 0.5 >= left + 1) != (slope > 0))


def paint(regions: Sequence[Region], size_hw: tuple[int, int], values: Sequence[int] | None = None) -> np.ndarray:
    """Regions painted over each other, the last on top: (H, W), the value of the topmost region, 0 where there is none.

    values: one per region, above 0; default 1, 2, 3 ... Returns column-major uint8 if all values fit, otherwise int32.
    """
    used = [0, *(range(1, len(regions) + 1) if values is None else values)]
    dtype = np.uint8 if max(used) <= np.iinfo(np.uint8).max else np.int32
    return painting.paint(regions, size_hw).frame(np.array(used, dtype))
