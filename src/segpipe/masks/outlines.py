"""The pixels of an instance, and one ring that draws exactly the same pixels, for formats that know nothing else."""

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
    """The pixels that an instance covers. Raises AnnotationError as regions.region_of, and bad_ring."""
    if not instance.rings:
        return region_of(instance, size_hw, root)
    shape = geometry.examine(instance.rings, size_hw, instance.holes)
    if not shape.rings:
        raise AnnotationError("no ring has three different points; draw it again or delete it", "bad_ring")
    return region_of(replace(instance, rings=shape.rings, holes=shape.holes), size_hw, root)


def to_mask(drawn: Region) -> np.ndarray:
    """A region as bool (H, W)."""
    return raster.paint([drawn], drawn.size_hw) > 0


def join_rings(rings: Sequence[Ring]) -> Ring:
    """One ring of several: from the first point there and back to each of the others.

    The pixel rule turns inside and outside at each line it meets, so ways there and back draw nothing, rings within
    others are holes, and rings beside each other are parts.
    """
    first, *others = rings
    if not others:
        return first
    return (*first, *first[:2], *(x for ring in others for x in (*ring, *ring[:2], *first[:2])))


def trace(mask: np.ndarray) -> list[Ring]:
    """Closed lines along the pixel edges of a mask, bool (H, W), holes and parts alike, in whole pixels.

    Every corner has one edge across and one down: in each row of corners, and in each column, they pair up in order.
    """
    padded = np.pad(mask, 1)
    upper, lower = padded[:-1], padded[1:]
    turns = (upper[:, :-1] ^ upper[:, 1:]) ^ (lower[:, :-1] ^ lower[:, 1:])
    crossings = (upper[:, :-1] == lower[:, 1:]) & (upper[:, 1:] == lower[:, :-1]) & (upper[:, :-1] != upper[:, 1:])
    y, x = (np.concatenate(pair) for pair in zip(turns.nonzero(), *[crossings.nonzero()] * 2, strict=True))
    across, down = _partners(np.lexsort((x, y))), _partners(np.lexsort((y, x)))
    return [_points(loop, x, y) for loop in _loops(across, down)]


def _partners(order: np.ndarray) -> list[int]:
    """For each corner the other end of its edge, where the corners in `order` pair up two by two."""
    partners = np.empty_like(order)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    found: list[int] = partners.tolist()
    return found


def _loops(across: list[int], down: list[int]) -> list[list[int]]:
    seen = bytearray(len(across))
    loops = []
    for start in range(len(across)):
        corner, loop = start, list[int]()
        while not seen[corner]:
            other = across[corner]
            seen[corner] = seen[other] = True
            loop += [corner, other]
            corner = down[other]
        if loop:
            loops.append(loop)
    return loops


def _points(loop: list[int], x: np.ndarray, y: np.ndarray) -> Ring:
    flat: list[float] = np.stack([x[loop], y[loop]], axis=1).astype(np.float64).ravel().tolist()
    return tuple(flat)
