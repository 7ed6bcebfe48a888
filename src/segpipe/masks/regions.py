"""An instance, however it was annotated, as the region it covers in its picture's frame."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from segpipe.core.errors import AnnotationError, at
from segpipe.data.records import Instance
from segpipe.masks import raster, rle
from segpipe.masks.mask_files import read_values
from segpipe.masks.rle import Region


def region_of(instance: Instance, size_hw: tuple[int, int], root: Path) -> Region:
    """Draw `instance` in a frame of size_hw pixels; root is the source folder that holds its mask file, if any.

    Raises AnnotationError: bad_rle if the run lengths are of another size or do not fill it, bad_record if the
    mask file cannot be read or is of another size.
    """
    if instance.mask_value is not None:
        nowhere = Region(size_hw, np.empty(0, np.int64))
        return _stored(root / instance.mask_file, size_hw).get(instance.mask_value, nowhere)
    if instance.rle is None:
        return raster.draw(instance.rings, size_hw, instance.holes, instance.even_odd)
    if instance.rle.size_hw != size_hw:
        height, width = instance.rle.size_hw
        problem = f"the RLE is of {width} x {height} pixels, its picture of {size_hw[1]} x {size_hw[0]}"
        raise AnnotationError(f"{problem}; export it again", "bad_rle")
    return rle.region_of(instance.rle)


def regions_of(instances: Sequence[Instance], size_hw: tuple[int, int], root: Path) -> list[Region]:
    """`region_of` each instance; all that are nothing but rings in one call. Raises the first of their errors."""
    regions = []
    for region in try_regions(instances, size_hw, root):
        if isinstance(region, AnnotationError):
            raise region
        regions.append(region)
    return regions


def try_regions(instances: Sequence[Instance], size_hw: tuple[int, int], root: Path) -> list[Region | AnnotationError]:
    """The same, with the error of each that cannot be drawn in its place."""
    plain = [i.rle is None and i.mask_value is None and not i.holes and not i.even_odd for i in instances]
    drawn = iter(raster.draw_each([i.rings for i, is_plain in zip(instances, plain, strict=True) if is_plain], size_hw))
    pairs = zip(instances, plain, strict=True)
    return [next(drawn) if is_plain else _tried(instance, size_hw, root) for instance, is_plain in pairs]


def _tried(instance: Instance, size_hw: tuple[int, int], root: Path) -> Region | AnnotationError:
    try:
        return region_of(instance, size_hw, root)
    except AnnotationError as error:
        return error


@lru_cache(maxsize=1)  # the values of one mask are asked for in a row
def _stored(path: Path, size_hw: tuple[int, int]) -> dict[int, Region]:
    """The region of each value in a mask file."""
    with at(path.name):
        values = read_values(path)
    if values.shape != size_hw:
        problem = f"{path.name}: the mask has {values.shape[1]} x {values.shape[0]} pixels"
        raise AnnotationError(f"{problem}, its picture {size_hw[1]} x {size_hw[0]}; export it again")
    return raster.of_values(values)
