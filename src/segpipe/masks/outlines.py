"""The pixels of an instance, and one ring with exactly these pixels, for formats that only have single rings."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Instance
from segpipe.masks import geometry, raster
from segpipe.masks.geometry import Ring
from segpipe.masks.regions import region_of
from segpipe.masks.rle import Region


def region(instance: Instance, size_hw: tuple[int, int], root: Path) -> Region:
    """The region of an instance without its invalid rings. Raises AnnotationError as `region_of`, and bad_ring."""
    if not instance.rings:
        return region_of(instance, size_hw, root)
    shape = geometry.examine(instance.rings, size_hw, instance.holes)
    if not shape.rings:
        raise AnnotationError("no ring has three different points; draw it again or delete it", "bad_ring")
    return region_of(replace(instance, rings=shape.rings, holes=shape.holes), size_hw, root)


def to_mask(region: Region) -> np.ndarray:
    """A region as a mask, bool (H, W)."""
    return raster.paint([region], region.size_hw) > 0


def join_rings(rings: Sequence[Ring]) -> Ring:
    """One ring made of several: from the first point, a line goes to each other ring and back.

    The pixel rule swaps inside and outside at each line, so a line there and back draws nothing, a ring inside another
    is a hole, and a ring beside another is a part.
    """
    first, *others = rings
    if not others:
        return first
    return (*first, *first[:2], *(x for ring in others for x in (*ring, *ring[:2], *first[:2])))


def trace(mask: np.ndarray) -> list[Ring]:
    """The closed lines along the pixel edges of a mask, bool (H, W), around parts and holes, in whole pixels.

    Each corner has one horizontal and one vertical edge, so the corners in each row and column form pairs.
    """
    padded = np.pad(mask, 1)
    upper, lower = padded[:-1], padded[1:]
    turns = (upper[:, :-1] ^ upper[:, 1:]) ^ (lower[:, :-1] ^ lower[:, 1:])
    crossings = (upper[:, :-1] == lower[:, 1:]) & (upper[:, 1:] == lower[:, :-1]) & (upper[:, :-1] != upper[:, 1:])
    y, x = (np.concatenate(pair) for pair in zip(turns.nonzero(), *[crossings.nonzero()] * 2, strict=True))
    across, down = _partners(np.lexsort((x, y))), _partners(np.lexsort((y, x)))
    return [_points(loop, x, y) for loop in _loops(across, down)]


def _partners(order: np.ndarray) -> list[int]:
    """For each corner the other end of its edge; the corners in `order` form pairs."""
    partners = np.empty_like(order)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    other_ends: list[int] = partners.tolist()
    return other_ends


def _loops(across: list[int], down: list[int]) -> list[list[int]]:
    is_seen = bytearray(len(across))
    loops = []
    for start in range(len(across)):
        corner, loop = start, list[int]()
        while not is_seen[corner]:
            other = across[corner]
            is_seen[corner] = is_seen[other] = True
            loop += [corner, other]
            corner = down[other]
        if loop:
            loops.append(loop)
    return loops


def _points(loop: list[int], x: np.ndarray, y: np.ndarray) -> Ring:
    flat: list[float] = np.stack([x[loop], y[loop]], axis=1).astype(np.float64).ravel().tolist()
    return tuple(flat)
