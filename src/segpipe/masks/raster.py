"""THE pixel rule: which pixels a region covers. Nothing else in the project fills polygons.

Polygons are drawn by pycocotools (maskApi.c, rleFrPoly), as the annotator left them, so that label maps equal the
field's ground truth bit for bit: a 10 x 10 square is 100 pixels. The rings of one instance are united, then the
pixels of its holes, drawn by the same rule, are taken away.
"""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from segpipe.masks.rle import Region, run_lengths, spans

Rings = Sequence[Sequence[float]]


def draw(rings: Rings, size_hw: tuple[int, int], holes: Rings = ()) -> Region:
    """Draw one instance. rings: flat x, y ... of 6 numbers or more each, in pixels; parts past the border are cut.

    holes: such rings, whose pixels are taken away from those of `rings`.
    Raises ValueError for a ring of fewer numbers: pycocotools would take four of them for a box.
    """
    region = draw_each([rings], size_hw)[0]
    if not holes:
        return region
    cut: Region = coco_mask.merge([region, _complement(draw_each([holes], size_hw)[0])], intersect=True)
    return cut


def draw_each(shapes: Sequence[Rings], size_hw: tuple[int, int]) -> list[Region]:
    """Draw many instances without holes in one call; otherwise as `draw`."""
    every = [ring for rings in shapes for ring in rings]
    if not all(shapes) or min(map(len, every), default=6) < 6:
        raise ValueError("a ring has at least three points")
    drawn = iter(coco_mask.frPyObjects(every, *size_hw) if every else [])
    parts = [[next(drawn) for _ in rings] for rings in shapes]
    return [coco_mask.merge(own) if len(own) > 1 else own[0] for own in parts]


def _complement(region: Region) -> Region:
    counts = run_lengths(region["counts"]).tolist()
    turned = counts[1:] if counts[0] == 0 else [0, *counts]
    complement: Region = coco_mask.frPyObjects({"size": region["size"], "counts": turned}, *region["size"])
    return complement


def of_mask(mask: np.ndarray) -> Region:
    """The region of a mask, bool (H, W)."""
    region: Region = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return region


def paint(regions: Sequence[Region], size_hw: tuple[int, int], values: Sequence[int] | None = None) -> np.ndarray:
    """Paint regions over each other, the last on top: (H, W), 0 where none is, else the value of the topmost.

    values: one a region, above 0; 1, 2, 3 ... if not given. Returns uint8 in column-major memory if all values fit,
    else int32. Runs are written straight into one frame; no region is decoded to a frame of its own.
    """
    values = range(1, len(regions) + 1) if values is None else values
    all_spans = spans(regions)
    if max(values, default=0) <= np.iinfo(np.uint8).max:
        return _painted_bytes(all_spans, size_hw, values)
    flat = np.zeros(size_hw[0] * size_hw[1], np.int32)
    for value, edges in zip(values, all_spans, strict=True):
        for start, stop in zip(edges[0::2], edges[1::2], strict=False):
            flat[start:stop] = value
    return flat.reshape(size_hw, order="F")


def _painted_bytes(all_spans: Sequence[list[int]], size_hw: tuple[int, int], values: Sequence[int]) -> np.ndarray:
    """The same in uint8: slices of bytes cost half of what slices of an array do."""
    frame = bytearray(size_hw[0] * size_hw[1])
    for value, edges in zip(values, all_spans, strict=True):
        runs = list(zip(edges[0::2], edges[1::2], strict=False))
        fill = bytes([value]) * max((stop - start for start, stop in runs), default=0)
        for start, stop in runs:
            frame[start:stop] = fill[: stop - start]
    return np.frombuffer(frame, np.uint8).reshape(size_hw, order="F")
