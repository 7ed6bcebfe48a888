"""Masks as COCO's run lengths: column-major, the first run counts zeros."""

import numpy as np

from segpipe.data.records import Rle


def of_crop(crop: np.ndarray, left: int, top: int, size_hw: tuple[int, int]) -> Rle:
    """The run lengths of a mask in a frame of size_hw pixels, without a frame of its own.

    crop: bool (h, w), whose first pixel is (left, top) of the frame; what lies outside the frame is cut.
    The counts are pycocotools' own: no run is empty but the first, where the frame's first pixel is set.
    """
    height, width = size_hw
    inside = crop[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    edges = np.zeros((inside.shape[1], inside.shape[0] + 2), np.int8)  # a column of the frame in each row
    edges[:, 1:-1] = inside.T
    steps = np.diff(edges, axis=1)
    starts, stops = (_positions(steps == step, max(0, left), max(0, top), height) for step in (1, -1))
    starts, stops = starts[~np.isin(starts, stops)], stops[~np.isin(stops, starts)]  # runs over two columns are one
    borders = np.stack([starts, stops], axis=1).ravel()
    counts: list[int] = np.diff(np.concatenate([[0], borders, [height * width]])).tolist()
    return Rle(size_hw=size_hw, counts=tuple(counts if counts[-1] or len(counts) == 1 else counts[:-1]))


def of_mask(mask: np.ndarray) -> Rle:
    """The run lengths of a whole mask, bool (H, W)."""
    height, width = mask.shape
    return of_crop(mask, 0, 0, (height, width))


def everything(size_hw: tuple[int, int]) -> Rle:
    """The run lengths of all pixels of a frame."""
    return Rle(size_hw=size_hw, counts=(0, size_hw[0] * size_hw[1]))


def _positions(found: np.ndarray, left: int, top: int, height: int) -> np.ndarray:
    columns, rows = np.nonzero(found)
    return (columns + left) * height + rows + top
