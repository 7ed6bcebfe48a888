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
    region = _united(rings, size_hw)
    if not holes:
        return region
    cut: Region = coco_mask.merge([region, _complement(_united(holes, size_hw))], intersect=True)
    return cut


def _united(rings: Rings, size_hw: tuple[int, int]) -> Region:
    if not rings or min(map(len, rings)) < 6:
        raise ValueError("a ring has at least three points")
    regions = coco_mask.frPyObjects(list(rings), *size_hw)
    region: Region = coco_mask.merge(regions) if len(regions) > 1 else regions[0]
    return region


def _complement(region: Region) -> Region:
    counts = run_lengths(region["counts"]).tolist()
    turned = counts[1:] if counts[0] == 0 else [0, *counts]
    complement: Region = coco_mask.frPyObjects({"size": region["size"], "counts": turned}, *region["size"])
    return complement


def of_mask(mask: np.ndarray) -> Region:
    """The region of a mask, bool (H, W)."""
    region: Region = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return region


def paint(regions: Sequence[Region], size_hw: tuple[int, int]) -> np.ndarray:
    """Paint regions over each other, the last on top: int32 (H, W), 0 where none is, i + 1 where regions[i] shows.

    Runs are written straight into one column-major frame; no region is decoded to a frame of its own.
    """
    flat = np.zeros(size_hw[0] * size_hw[1], np.int32)
    for number, region in enumerate(regions, start=1):
        for start, stop in zip(*spans(region), strict=True):
            flat[start:stop] = number
    return flat.reshape(size_hw, order="F")
