"""THE pixel rule: which pixels a region covers. Nothing else in the project fills polygons.

It is pycocotools' own (maskApi.c, rleFrPoly), bit for bit, so that label maps equal the field's ground truth: a 10 x 10
square is 100 pixels. Polygons are drawn as the annotator left them: in each column of pixels, inside and outside turn
where a line of the ring passes the column's middle. The rings of one instance are united, or, as even_odd has it, those
within others are holes; then the pixels of its holes, drawn by the same rule, are taken away.

This holds for each ring of three different points or more: one that crosses itself, one past the border, and one whose
points lie so far off that pycocotools cannot draw it (its memory grows with the way around the ring, and its 32-bit
numbers end 429 million pixels away). No correction comes before it, so none turns a region into its box.

All rings of a picture are drawn at once: pycocotools walks each line point by point and packs each ring into
characters, here each passage of a column's middle is worked out by itself.
"""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from segpipe.masks import painting, rle
from segpipe.masks.rle import NUMBER, POSITION, Region

Rings = Sequence[Sequence[float]]

_FINE = 5  # points are rounded to fifths of a pixel (maskApi.c: scale)
_AT_ONCE = 2048  # instances drawn in one go, and
_PASSAGES = 1 << 20  # passages of a column's middle worked out in one go: both bound the memory


def draw(rings: Rings, size_hw: tuple[int, int], holes: Rings = (), even_odd: bool = False) -> Region:
    """Draw one instance. rings: flat x, y ... of 6 numbers or more each, in pixels; parts past the border are cut.

    holes: such rings, whose pixels are taken away from those of `rings`; even_odd: the pixels that an odd number of
    rings hold, instead of all that one holds.
    Raises ValueError for a ring of fewer numbers: pycocotools would take four of them for a box.
    """
    region = _odd(draw_each([[ring] for ring in rings], size_hw)) if even_odd else draw_each([rings], size_hw)[0]
    if not holes:
        return region
    taken = draw_each([holes], size_hw)[0]
    steps = np.concatenate([_steps(region.edges), -_steps(taken.edges)])
    return Region(size_hw, _covered(np.concatenate([region.edges, taken.edges]), steps))


def _odd(regions: Sequence[Region]) -> Region:
    """The pixels that an odd number of regions hold: those behind an odd number of edges."""
    return Region(regions[0].size_hw, rle.unrepeated(np.concatenate([region.edges for region in regions])))


def draw_each(shapes: Sequence[Rings], size_hw: tuple[int, int]) -> list[Region]:
    """Draw many instances without holes in one call; otherwise as `draw`."""
    parts = (_draw_some(shapes[i : i + _AT_ONCE], size_hw) for i in range(0, len(shapes), _AT_ONCE))
    return list(chain.from_iterable(parts))


def of_mask(mask: np.ndarray) -> Region:
    """The region of a mask, bool (H, W)."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    return Region((mask.shape[0], mask.shape[1]), np.flatnonzero(flat[1:] != flat[:-1]))


def of_values(values: np.ndarray) -> dict[int, Region]:
    """The region of each value in an array of integers (H, W), from one pass over it."""
    flat = values.T.ravel()
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    runs = np.stack([starts, np.append(starts[1:], len(flat))], axis=1)
    order = np.argsort(flat[starts], kind="stable")
    found, firsts = np.unique(flat[starts][order], return_index=True)
    parts = zip(found.tolist(), np.split(runs[order], firsts[1:]), strict=True)
    return {value: Region((values.shape[0], values.shape[1]), part.ravel()) for value, part in parts}


def _draw_some(shapes: Sequence[Rings], size_hw: tuple[int, int]) -> list[Region]:
    rings = list(chain.from_iterable(shapes))
    if not all(shapes) or min(map(len, rings)) < 6:
        raise ValueError("a ring has at least three points")
    lines = _lines(rings, size_hw)
    if len(shapes) > 1 and lines.passed.sum() > _PASSAGES:
        middle = len(shapes) // 2
        return [*_draw_some(shapes[:middle], size_hw), *_draw_some(shapes[middle:], size_hw)]
    keys = np.sort(_passages(lines, size_hw))  # each ring's runs: start, stop, start, stop ...
    if len(rings) > len(shapes):
        owners = np.arange(len(shapes)).repeat([len(own) for own in shapes])
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
    """The keys where covered pixels begin and end, in order: covered is where the steps so far sum to over 0."""
    order = keys.argsort(kind="stable")
    keys, depth = keys[order], steps[order].cumsum()
    settled = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=settled[:-1])
    keys, inside = keys[settled], depth[settled] > 0
    changes = inside.copy()
    np.not_equal(inside[1:], inside[:-1], out=changes[1:])
    return keys[changes]


class _Lines(NamedTuple):
    """The lines of rings, int64 (n,) each: key of the ring's number, both points, the first column passed, how many."""

    number: np.ndarray
    x: np.ndarray
    y: np.ndarray
    to_x: np.ndarray
    to_y: np.ndarray
    first: np.ndarray
    passed: np.ndarray


def _lines(rings: Rings, size_hw: tuple[int, int]) -> _Lines:
    """A line passes a column's middle between fine x 5c + 2 and 5c + 3."""
    lengths = np.array([len(ring) for ring in rings]) // 2
    points = np.fromiter(chain.from_iterable(rings), np.float64)
    x, y = (_FINE * points + 0.5).astype(np.int64).reshape(-1, 2).T  # towards zero, as in C
    ends = lengths.cumsum()
    following = np.arange(1, len(x) + 1)
    following[ends - 1] = ends - lengths
    to_x, to_y = x[following], y[following]
    first = np.maximum((np.minimum(x, to_x) + 2) // _FINE, 0)
    last = np.minimum((np.maximum(x, to_x) - 3) // _FINE, size_hw[1] - 1)
    numbers = (np.arange(len(rings)) << NUMBER).repeat(lengths)
    return _Lines(numbers, x, y, to_x, to_y, first, np.maximum(last - first + 1, 0))


def _passages(lines: _Lines, size_hw: tuple[int, int]) -> np.ndarray:
    """Keys, in no order, of the pixels where inside and outside turn: wherever a line passes the middle of a column.

    A passage below the last row is the next column's first pixel, as in maskApi.c.
    """
    total = lines.passed.cumsum()
    if total[-1] <= _PASSAGES:
        return _passed(lines, total, size_hw)
    cuts = [0, *(np.flatnonzero(np.diff(total // _PASSAGES)) + 1).tolist(), len(total)]
    parts = (_Lines(*(column[start:stop] for column in lines)) for start, stop in pairwise(cuts))
    return np.concatenate([_passed(part, part.passed.cumsum(), size_hw) for part in parts])


def _passed(lines: _Lines, total: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    line = np.arange(len(total)).repeat(lines.passed)
    column = np.arange(len(line)) + (lines.first + lines.passed - total)[line]
    rows = _passed_rows(lines.x, lines.y, lines.to_x, lines.to_y, line, _FINE * column + 2)
    height = size_hw[0]
    return lines.number[line] + column * height + np.minimum(np.maximum((rows + 2) // _FINE, 0), height)


def _passed_rows(
    x: np.ndarray, y: np.ndarray, to_x: np.ndarray, to_y: np.ndarray, line: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """The fine row where each line goes from fine column `left` to the next: the upper of the two points there.

    maskApi.c walks a line in whole fine steps along its longer axis, there in rising direction, and rounds the other
    coordinate.
    """
    dx, dy = to_x - x, to_y - y
    steep = np.abs(dx) < np.abs(dy)
    longer = np.where(steep, dy, dx)
    slope = (np.where(steep, dx, dy) / (longer + (longer == 0)))[line]
    turned = longer < 0
    x, y = np.where(turned, to_x, x)[line], np.where(turned, to_y, y)[line]
    rows = y + slope * (left - x + (slope < 0)) + 0.5
    down = np.flatnonzero(steep[line])
    rows[down] = y[down] + _steps_down(x[down], slope[down], left[down]) - 1
    return rows.astype(np.int64)


def _steps_down(x: np.ndarray, slope: np.ndarray, left: np.ndarray) -> np.ndarray:
    """How many fine steps down from x until a steep line has gone from fine column `left` to the next, or back."""
    steps = np.floor((left + 0.5 - x) / slope + 1e-6)  # the last before, or, if that falls on a step, perhaps it itself
    return steps + ((x + slope * steps + 0.5 >= left + 1) != (slope > 0))


def paint(regions: Sequence[Region], size_hw: tuple[int, int], values: Sequence[int] | None = None) -> np.ndarray:
    """Paint regions over each other, the last on top: (H, W), 0 where none is, else the value of the topmost.

    values: one a region, above 0; 1, 2, 3 ... if not given. Returns uint8 in column-major memory if all values fit,
    else int32.
    """
    used = [0, *(range(1, len(regions) + 1) if values is None else values)]
    dtype = np.uint8 if max(used) <= np.iinfo(np.uint8).max else np.int32
    return painting.paint(regions, size_hw).frame(np.array(used, dtype))
