"""COCO run lengths: from what a file says to runs that can be painted.

A region is pycocotools' compressed form, {"size": [height, width], "counts": bytes}: column-major, zeros first.
Source: cocodataset/cocoapi, common/maskApi.h and maskApi.c (rleFrString).
"""

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
    last = np.flatnonzero(codes & 0x20 == 0)
    first = np.concatenate(([0], last[:-1] + 1)) if len(last) else last
    shift = 5 * (np.arange(len(codes)) - np.repeat(first, last - first + 1))
    if len(shift) and shift.max() > 50:
        raise AnnotationError("the RLE string holds a number of over 50 bits; export it again", "bad_rle")
    numbers = np.add.reduceat((codes & 0x1F) << shift, first) if len(first) else first
    numbers = np.where(codes[last] & 0x10, numbers - (1 << shift[last] + 5), numbers)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def spans(region: Region) -> tuple[list[int], list[int]]:
    """Starts and stops of the ones in the column-major flat mask, in order."""
    edges = np.cumsum(run_lengths(region["counts"]))
    starts, stops = edges[0::2], edges[1::2]
    return starts[: len(stops)].tolist(), stops.tolist()


def area_px(region: Region) -> int:
    """The number of ones."""
    return int(coco_mask.area(region))


def bounds(region: Region) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom edge of the ones, in pixels; None where there is no one."""
    left, top, width, height = coco_mask.toBbox(region).tolist()
    return (left, top, left + width, top + height) if width and height else None
