"""The content of an annotation: a hash of what decides its pixels and its class, and of nothing else."""

import hashlib
from array import array
from typing import Protocol

import numpy as np

from segpipe.data.records import Instance


class Runs(Protocol):
    """The pixels of a mask, as in masks.rle.Region."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the frame."""

    @property
    def edges(self) -> np.ndarray:
        """int64 (2n,), start, stop, start, stop ... of runs in the frame flattened by column; equal ones cancel out."""


def content_of(instance: Instance, region: Runs | None) -> str:
    """A hash of the shape and category of an instance of the source: 32 hex digits; "" if its record has no shape.

    region: the pixels of a mask, so that equal masks have equal hashes in every encoding. Without them, its run lengths
    or its value in the mask file count. For an instance with rings, it decides nothing.
    """
    mask = _mask(instance, region)
    if not instance.rings and not mask:
        return ""
    rings = instance.rings + instance.holes
    facts = (
        instance.category, instance.kind, instance.role, instance.layered, instance.even_odd,
        len(instance.rings), *map(len, rings), *mask,
    )  # fmt: skip
    content = hashlib.sha256(repr(facts).encode())
    for ring in rings:
        content.update(array("d", ring))
    if mask and region is not None:
        edges, times = np.unique(region.edges, return_counts=True)
        content.update(edges[times % 2 == 1])
    return content.hexdigest()[:32]


def _mask(instance: Instance, region: Runs | None) -> tuple[object, ...]:
    """The facts about a mask, without those that its edges have; () for an instance with rings."""
    if instance.rle is None and instance.mask_value is None:
        return ()
    if region is not None:
        return ("mask", *region.size_hw)
    return ("rle", *instance.rle.size_hw, instance.rle.counts) if instance.rle else ("value", instance.mask_value)
