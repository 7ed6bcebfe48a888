"""One label map from the windows of an image, window by window, with the logits of one window and of seams in memory.

Neighbouring windows are blended over the requested overlap, in the middle of the larger overlap that they may have, as
far from the edges of the windows as possible: the weight of one falls while that of the next rises. Logits are blended,
not classes, so no line is visible where a window ends. Pixels outside of seams are decided immediately.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segpipe.data.preprocessing import Plan

Carried = dict[int, Tensor]  # weighted logits by class_index that wait for the next window


@dataclass(frozen=True, slots=True)
class AxisPart:
    """The part of one axis of an image that one window fills, in native pixels."""

    span: slice  # all pixels that the window shows
    start: int  # of them, the used ones: from start
    stop: int  # to stop
    head: int  # number of used pixels shared with the window before
    tail: int  # and with the window after
    weights: np.ndarray  # float32 (stop - start,), the weight of the window at each used pixel

    @property
    def used(self) -> slice:
        """The used pixels, counted from the start of the window."""
        return slice(self.start - self.span.start, self.stop - self.span.start)

    @property
    def decided(self) -> int:
        """Number of used pixels that no later window changes."""
        return self.stop - self.start - self.tail


def axis_parts(spans: Sequence[slice], overlap: int) -> list[AxisPart]:
    """The parts of all windows along one axis; their weights add up to 1 at each pixel.

    >>> [(part.start, part.stop, part.decided) for part in axis_parts((slice(0, 10), slice(4, 14)), overlap=2)]
    [(0, 8, 6), (6, 14, 8)]
    """
    seams = [after.start + (before.stop - after.start - overlap) // 2 for before, after in pairwise(spans)]
    starts, stops = [spans[0].start, *seams], [*(seam + overlap for seam in seams), spans[-1].stop]
    rise = (np.arange(overlap, dtype=np.float32) + np.float32(0.5)) / np.float32(max(1, overlap))
    parts = []
    for number, (span, start, stop) in enumerate(zip(spans, starts, stops, strict=True)):
        head, tail = overlap * (number > 0), overlap * (number + 1 < len(spans))
        weights = np.ones(stop - start, np.float32)
        weights[:head] = rise[:head]
        weights[len(weights) - tail :] = 1 - rise[:tail]
        parts.append(AxisPart(span, start, stop, head, tail, weights))
    return parts


@torch.inference_mode()
def label_map(logits: Iterator[Tensor], plan: Plan, classes: Sequence[int]) -> np.ndarray:
    """The class with the greatest logit at each native pixel, uint8 (H, W).

    logits: float (C, h, w) of each window of the plan, row by row, read one at a time.
    classes: each class_index that may be predicted.
    Logits are resized to the native size without padding: bilinear, with half-pixel centres.
    """
    rows, columns = axis_parts(plan.rows, plan.overlap), axis_parts(plan.columns, plan.overlap)
    result = np.empty((rows[-1].stop, columns[-1].stop), np.uint8)
    above: Carried = {}
    for row in rows:
        left: Carried = {}
        for column in columns:
            window = next(logits)[:, plan.content[0], plan.content[1]]
            decided = (slice(row.start, row.start + row.decided), slice(column.start, column.start + column.decided))
            result[decided] = _decided(window, row, column, result.shape[1], classes, above, left).cpu().numpy()
    return result


def _decided(
    window: Tensor, row: AxisPart, column: AxisPart, width: int, classes: Sequence[int], above: Carried, left: Carried
) -> Tensor:
    """The classes of the pixels that this window decides, computed class by class to save memory; uint8 (h, w)."""
    best = chosen = None
    for index in classes:
        plane = _weighted(_native_plane(window[index], row, column), row, column)
        if row.tail and index not in above:
            above[index] = plane.new_zeros((row.tail, width))
        plane = _blended(plane, row, column, index, above, left)
        if best is None or chosen is None:
            best, chosen = plane, torch.full(plane.shape, index, dtype=torch.uint8, device=plane.device)
        else:
            chosen[plane > best] = index
            best = torch.maximum(best, plane)
    assert chosen is not None, "a model has at least one class"
    return chosen


def _native_plane(plane: Tensor, row: AxisPart, column: AxisPart) -> Tensor:
    """The logits of one class at the used native pixels; plane: (h, w) in the network's pixels."""
    native_hw = (row.span.stop - row.span.start, column.span.stop - column.span.start)
    if plane.shape != native_hw:
        plane = F.interpolate(plane[None, None].float(), native_hw, mode="bilinear", align_corners=False)[0, 0]
    return plane[row.used, column.used]


def _weighted(plane: Tensor, row: AxisPart, column: AxisPart) -> Tensor:
    if row.head or row.tail:
        plane = plane * torch.from_numpy(row.weights[:, None]).to(plane.device)
    if column.head or column.tail:
        plane = plane * torch.from_numpy(column.weights).to(plane.device)
    return plane


def _blended(plane: Tensor, row: AxisPart, column: AxisPart, index: int, above: Carried, left: Carried) -> Tensor:
    """Add the logits of earlier windows to the heads, store the tails for later windows, return the decided pixels."""
    if column.head:
        plane[:, : column.head] += left[index]
    if column.tail:
        left[index] = plane[:, column.decided :].clone()
    # the columns of the tail get the logits from above with the next window, once
    shared = slice(column.start, column.start + column.decided)
    if row.head:
        plane[: row.head, : column.decided] += above[index][:, shared]
    if row.tail:
        above[index][:, shared] = plane[row.decided :, : column.decided]
    return plane[: row.decided, : column.decided]
