"""The windows of one picture put together, one after the other; memory stays at a window and what its seams wait for.

Where neighbours overlap they are blended, over no more than the overlap that was asked for, in its middle, so far from
the windows' edges as can be: the weight of one falls as that of the next rises. Logits are blended rather than classes,
so that no line shows where one window ends, and at a seam only, so that all other pixels are decided at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segpipe.data.preprocessing import Plan

Carried = dict[int, Tensor]  # by class_index: weighted logits that wait for the next window


@dataclass(frozen=True, slots=True)
class Part:
    """One window along one side of the picture, native pixels.

    span: what it shows; start, stop: what of that is used; head, tail: how many of the used pixels are shared with the
    window before and after; weights: float32 (stop - start,), how much it counts there.
    """

    span: slice
    start: int
    stop: int
    head: int
    tail: int
    weights: np.ndarray

    @property
    def used(self) -> slice:
        """What is used, counted from the window's own start."""
        return slice(self.start - self.span.start, self.stop - self.span.start)

    @property
    def decided(self) -> int:
        """How many of the used pixels no later window has a say in."""
        return self.stop - self.start - self.tail


def parts(spans: Sequence[slice], overlap: int) -> list[Part]:
    """How the windows along one side share it; the weights of all of them add up to 1 at each pixel."""
    seams = [after.start + (before.stop - after.start - overlap) // 2 for before, after in pairwise(spans)]
    starts, stops = [spans[0].start, *seams], [*(seam + overlap for seam in seams), spans[-1].stop]
    rise = (np.arange(overlap, dtype=np.float32) + np.float32(0.5)) / np.float32(max(1, overlap))
    found = []
    for number, (span, start, stop) in enumerate(zip(spans, starts, stops, strict=True)):
        head, tail = overlap * (number > 0), overlap * (number + 1 < len(spans))
        weights = np.ones(stop - start, np.float32)
        weights[:head] = rise[:head]
        weights[len(weights) - tail :] = 1 - rise[:tail]
        found.append(Part(span, start, stop, head, tail, weights))
    return found


@torch.inference_mode()
def label_map(logits: Iterator[Tensor], plan: Plan, classes: Sequence[int]) -> np.ndarray:
    """The class with the greatest logit at each native pixel, uint8 (H, W).

    logits: float (C, h, w) of each of the plan's windows, row by row, taken one at a time; classes: the class_index
    that may be predicted. The way to the native size is bilinear on logits, half-pixel centres, padding left out.
    """
    rows, columns = parts(plan.rows, plan.overlap), parts(plan.columns, plan.overlap)
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
    window: Tensor, row: Part, column: Part, width: int, classes: Sequence[int], above: Carried, left: Carried
) -> Tensor:
    """The classes of the pixels that are decided with this window, taken class by class: a few planes at a time."""
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
    assert chosen is not None, "a model knows at least one class"
    return chosen


def _native_plane(plane: Tensor, row: Part, column: Part) -> Tensor:
    """One class's logits at the native pixels that are used."""
    native_hw = (row.span.stop - row.span.start, column.span.stop - column.span.start)
    if plane.shape != native_hw:
        plane = F.interpolate(plane[None, None].float(), native_hw, mode="bilinear", align_corners=False)[0, 0]
    return plane[row.used, column.used]


def _weighted(plane: Tensor, row: Part, column: Part) -> Tensor:
    if row.head or row.tail:
        plane = plane * torch.from_numpy(row.weights[:, None]).to(plane.device)
    if column.head or column.tail:
        plane = plane * torch.from_numpy(column.weights).to(plane.device)
    return plane


def _blended(plane: Tensor, row: Part, column: Part, index: int, above: Carried, left: Carried) -> Tensor:
    """Add what the windows before say of a plane's head, and keep its tail for those that follow; the rest of it."""
    if column.head:
        plane[:, : column.head] += left[index]
    if column.tail:
        left[index] = plane[:, column.decided :].clone()
    # the columns of the tail get what comes from above with the next window, once
    shared = slice(column.start, column.start + column.decided)
    if row.head:
        plane[: row.head, : column.decided] += above[index][:, shared]
    if row.tail:
        above[index][:, shared] = plane[row.decided :, : column.decided]
    return plane[: row.decided, : column.decided]
