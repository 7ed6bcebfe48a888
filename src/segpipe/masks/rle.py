"""Regions as runs of pixels down the columns, and COCO's run-length encodings of them.

pycocotools handles one region per call; here numpy handles all regions of an image in one call.
Source: cocodataset/cocoapi, common/maskApi.h and maskApi.c (rleFrString, rleToBbox).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypedDict

import numpy as np
from pycocotools import mask as coco_mask

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Rle

NUMBER = 40  # a key has a position in the frame in its low 40 bits, and the number of a region or ring above them
POSITION = (1 << NUMBER) - 1
Bounds = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The pixels of one object in a frame.

    A run may continue in the next column. Two equal edges cancel out.

    >>> Region((2, 3), np.array([1, 4])) == region_of(Rle(size_hw=(2, 3), counts=(1, 3, 2)))
    True
    """

    size_hw: tuple[int, int]  # height and width of the frame
    edges: np.ndarray  # int64 (2n,), ascending: start, stop, start, stop ... of runs in the frame flattened by column

    def __eq__(self, other: object) -> bool:
        """Whether the pixels are equal."""
        if not isinstance(other, Region):
            return NotImplemented
        return self.size_hw == other.size_hw and np.array_equal(odd_edges(self.edges), odd_edges(other.edges))


class Compressed(TypedDict):
    """A region in the form of pycocotools: its compressed string of run lengths, zeros first."""

    size: list[int]
    counts: bytes


def region_of(rle: Rle) -> Region:
    """The region of run lengths in either form. Raises AnnotationError (bad_rle) unless they fill size_hw exactly."""
    height, width = rle.size_hw
    counts = decode_counts(rle.counts.encode()) if isinstance(rle.counts, str) else np.array(rle.counts, np.int64)
    if not len(counts) or counts.min() < 0 or counts.sum() != height * width:
        problem = f"the run lengths sum to {counts.sum()}, not to {height} x {width} = {height * width} pixels"
        raise AnnotationError(f"{problem}; export the mask again", "bad_rle")
    ends = np.cumsum(counts)
    return Region((height, width), ends[: len(ends) // 2 * 2])  # zeros at the end start no run


def decode_counts(counts: bytes) -> np.ndarray:
    """The run lengths in COCO's compressed string, int64 (n,). Raises AnnotationError (bad_rle) on an invalid string.

    A number has 5 bits per character, low bits first; bit 5 means that more follow, bit 4 of the last is the sign. From
    the fourth number on, a number is the difference to the one two places before it.

    >>> decode_counts(b"133N").tolist()
    [1, 3, 3, 1]
    """
    codes = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if len(codes) and (codes.min() < 0 or codes.max() > 63 or codes[-1] & 0x20):
        raise AnnotationError("the RLE string contains invalid characters; export it again", "bad_rle")
    numbers = _numbers(codes)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def odd_edges(edges: np.ndarray) -> np.ndarray:
    """The edges, int64 (n,), that occur an odd number of times, ascending; at all others no run begins or ends."""
    if (edges[1:] > edges[:-1]).all():
        return edges
    edges = np.sort(edges, kind="stable")  # faster where most are in order
    firsts = np.flatnonzero(np.append(True, edges[1:] != edges[:-1]))
    return edges[firsts[np.diff(firsts, append=len(edges)) % 2 == 1]]


def run_lengths(region: Region) -> list[int]:
    """COCO's run lengths of a region, zeros first; only the first may be 0, if the frame's first pixel is set."""
    height, width = region.size_hw
    counts: list[int] = np.diff(odd_edges(region.edges), prepend=0, append=height * width).tolist()
    return counts if counts[-1] or len(counts) == 1 else counts[:-1]


def compressed(region: Region) -> Compressed:
    """A region in the form of pycocotools."""
    height, width = region.size_hw
    packed: Compressed = coco_mask.frPyObjects({"size": [height, width], "counts": run_lengths(region)}, height, width)
    return packed


def area_px(region: Region) -> int:
    """The number of pixels of a region."""
    return areas_px([region])[0]


def areas_px(regions: Sequence[Region]) -> list[int]:
    """The number of pixels of each region."""
    if not regions:
        return []
    edges = np.concatenate([region.edges for region in regions])
    passed = np.zeros(len(edges) // 2 + 1, np.int64)
    (edges[1::2] - edges[0::2]).cumsum(out=passed[1:])
    sums = passed[[0, *accumulate(len(region.edges) // 2 for region in regions)]]
    areas: list[int] = (sums[1:] - sums[:-1]).tolist()
    return areas


def shared_px(one: Region, other: Region) -> int:
    """The number of pixels that two regions of one frame have in common."""
    edges = np.concatenate([one.edges, other.edges])
    steps = np.ones(len(edges), np.int64)
    steps[1::2] = -1
    order = edges.argsort(kind="stable")
    covered_twice = steps[order].cumsum()[:-1] == 2
    return int(np.diff(edges[order])[covered_twice].sum())


def bounds(region: Region) -> Bounds | None:
    """Left, top, right and bottom edge of a region, in pixels; None if it is empty."""
    return bounds_each([region])[0]


def bounds_each(regions: Sequence[Region]) -> list[Bounds | None]:
    """The `bounds` of each region; all have one frame."""
    boxes: list[Bounds | None] = [None] * len(regions)
    if not regions:
        return boxes
    edges = np.concatenate([region.edges for region in regions])
    numbers = np.arange(len(regions)).repeat([len(region.edges) // 2 for region in regions])
    shown = np.flatnonzero(edges[1::2] > edges[0::2])
    if not len(shown):
        return boxes
    starts, ends, numbers = edges[0::2][shown], edges[1::2][shown] - 1, numbers[shown]
    firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
    lasts = np.append(firsts[1:], len(numbers)) - 1
    height = regions[0].size_hw[0]
    (left, first_rows), (right, last_rows) = np.divmod(starts, height), np.divmod(ends, height)
    one_column = np.logical_and.reduceat(left == right, firsts)  # a run over two columns reaches from top to bottom
    top = np.where(one_column, np.minimum.reduceat(first_rows, firsts), 0)
    bottom = np.where(one_column, np.maximum.reduceat(last_rows, firsts) + 1, height)
    sides = np.stack([left[firsts], top, right[lasts] + 1, bottom], axis=1).astype(np.float64).tolist()
    for number, box in zip(numbers[firsts].tolist(), sides, strict=True):
        boxes[number] = tuple(box)
    return boxes


def encode_crop(crop: np.ndarray, left: int, top: int, size_hw: tuple[int, int]) -> Rle:
    """The run lengths, in a frame of size_hw, of a mask that covers a part of it.

    crop: bool (h, w); its first pixel is at (left, top) of the frame, and pixels outside the frame are cut off.
    The counts equal those of pycocotools.

    >>> encode_crop(np.ones((1, 2), bool), left=1, top=0, size_hw=(2, 3)).counts
    (2, 1, 1, 1, 1)
    """
    height, width = size_hw
    inside = crop[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    edges = np.zeros((inside.shape[1], inside.shape[0] + 2), np.int8)  # (columns of the frame, rows + 2)
    edges[:, 1:-1] = inside.T
    steps = np.diff(edges, axis=1)
    starts, stops = (_positions(steps == step, max(0, left), max(0, top), height) for step in (1, -1))
    # a run that continues in the next column has a stop and a start at one position: remove both
    starts, stops = starts[~np.isin(starts, stops)], stops[~np.isin(stops, starts)]
    borders = np.stack([starts, stops], axis=1).ravel()
    counts: list[int] = np.diff(np.concatenate([[0], borders, [height * width]])).tolist()
    return Rle(size_hw=size_hw, counts=tuple(counts if counts[-1] or len(counts) == 1 else counts[:-1]))


def encode_mask(mask: np.ndarray) -> Rle:
    """The run lengths of a whole mask, bool (H, W)."""
    height, width = mask.shape
    return encode_crop(mask, 0, 0, (height, width))


def full_frame(size_hw: tuple[int, int]) -> Rle:
    """The run lengths of all pixels of a frame."""
    return Rle(size_hw=size_hw, counts=(0, size_hw[0] * size_hw[1]))


def _numbers(codes: np.ndarray) -> np.ndarray:
    """The signed numbers in characters, int64; codes: the characters minus 48."""
    last = np.flatnonzero(codes & 0x20 == 0)
    first = np.concatenate(([0], last[:-1] + 1))[: len(last)]
    if len(last) and (last - first).max() > 9:
        raise AnnotationError("the RLE string contains a number of over 50 bits; export it again", "bad_rle")
    low, more = codes & 0x1F, last - first
    numbers = low[first]
    for place in range(1, int(more.max(initial=0)) + 1):
        longer = np.flatnonzero(more >= place)
        numbers[longer] |= low[first[longer] + place] << (5 * place)
    negative = codes[last] & 0x10 != 0
    numbers[negative] -= np.int64(1) << (5 * (more[negative] + 1))
    return numbers


def _positions(is_edge: np.ndarray, left: int, top: int, height: int) -> np.ndarray:
    columns, rows = np.nonzero(is_edge)
    return (columns + left) * height + rows + top
