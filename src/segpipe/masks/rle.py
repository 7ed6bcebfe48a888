"""COCO run lengths: from what a file says to runs that can be painted.

A region is pycocotools' compressed form, {"size": [height, width], "counts": bytes}: column-major, zeros first.
Source: cocodataset/cocoapi, common/maskApi.h and maskApi.c (rleFrString).
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from pycocotools import mask as coco_mask

from segpipe.errors import AnnotationError
from segpipe.records import Rle


class Region(TypedDict):
    """A compressed mask as pycocotools makes and takes it."""

    size: list[int]
    counts: bytes


def region_of(rle: Rle) -> Region:
    """Compress run lengths of either form. Raises AnnotationError (bad_rle) unless they fill size_hw exactly."""
    height, width = rle.size_hw
    counts = run_lengths(rle.counts.encode()) if isinstance(rle.counts, str) else np.array(rle.counts, np.int64)
    if not len(counts) or counts.min() < 0 or counts.sum() != height * width:
        problem = f"the run lengths sum to {counts.sum()}, not to {height} x {width} = {height * width} pixels"
        raise AnnotationError(f"{problem}; export the mask again", "bad_rle")
    region: Region = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return region


def run_lengths(counts: bytes) -> np.ndarray:
    """Decode a compressed string to its run lengths, int64 (n,). Raises AnnotationError (bad_rle) on a foreign string.

    Each number is 5 bits a character, low bits first, bit 5 says more, bit 4 of the last its sign; from the
    fourth number on it is the difference to the number two before.
    """
    codes = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if len(codes) and (codes.min() < 0 or codes.max() > 63 or codes[-1] & 0x20):
        raise AnnotationError("the RLE string holds characters that COCO's do not; export it again", "bad_rle")
    numbers, _ = _numbers(codes)
    return _undifferenced(numbers)


def spans(regions: Sequence[Region]) -> list[list[int]]:
    """For each region the edges of its ones in the column-major flat mask: start, stop, start, stop ... in order.

    After the last stop may stand the start of nothing: the end of the mask.
    """
    strings = [region["counts"] for region in regions]
    if not strings:
        return []
    numbers, last = _numbers(np.frombuffer(b"".join(strings), np.uint8).astype(np.int64) - 48)
    ends = np.searchsorted(last, np.cumsum([len(string) for string in strings]))
    return [np.cumsum(_undifferenced(part)).tolist() for part in np.split(numbers, ends[:-1])]


def _numbers(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The signed numbers that characters less 48 stand for, int64, and where the last character of each is."""
    last = np.flatnonzero(codes & 0x20 == 0)
    first = np.concatenate(([0], last[:-1] + 1))[: len(last)]
    if len(last) and (last - first).max() > 9:
        raise AnnotationError("the RLE string holds a number of over 50 bits; export it again", "bad_rle")
    low, more = codes & 0x1F, last - first
    numbers = low[first]
    for place in range(1, int(more.max(initial=0)) + 1):
        longer = np.flatnonzero(more >= place)
        numbers[longer] |= low[first[longer] + place] << (5 * place)
    negative = codes[last] & 0x10 != 0
    numbers[negative] -= np.int64(1) << (5 * (more[negative] + 1))
    return numbers, last


def _undifferenced(numbers: np.ndarray) -> np.ndarray:
    """Run lengths of one string's numbers, in place."""
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def area_px(region: Region) -> int:
    """The number of ones."""
    return int(coco_mask.area(region))


def bounds(region: Region) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom edge of the ones, in pixels; None where there is no one."""
    left, top, width, height = coco_mask.toBbox(region).tolist()
    return (left, top, left + width, top + height) if width and height else None
