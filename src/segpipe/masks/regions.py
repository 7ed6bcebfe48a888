"""The region of an instance in its image's frame, for every kind of shape."""

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
    """The region of `instance` in a frame of size_hw. root: the source folder, which contains its mask file.

    Raises AnnotationError: bad_rle if the run lengths have another size or do not fill it; bad_record if the mask file
    cannot be read or has another size.
    """
    if instance.mask_value is not None:
        empty = Region(size_hw, np.empty(0, np.int64))
        return _stored(root / instance.mask_file, size_hw).get(instance.mask_value, empty)
    if instance.rle is None:
        return raster.draw(instance.rings, size_hw, instance.holes, instance.even_odd)
    if instance.rle.size_hw != size_hw:
        height, width = instance.rle.size_hw
        problem = f"the RLE has {width} x {height} pixels, its image {size_hw[1]} x {size_hw[0]}"
        raise AnnotationError(f"{problem}; export it again", "bad_rle")
    return rle.region_of(instance.rle)


def regions_of(instances: Sequence[Instance], size_hw: tuple[int, int], root: Path) -> list[Region]:
    """`region_of` each instance, faster: instances with rings only are drawn in one call. Raises the first error."""
    regions = []
    for region in try_regions(instances, size_hw, root):
        if isinstance(region, AnnotationError):
            raise region
        regions.append(region)
    return regions


def try_regions(instances: Sequence[Instance], size_hw: tuple[int, int], root: Path) -> list[Region | AnnotationError]:
    """As `regions_of`, but an instance that cannot be drawn has its error in place of its region."""
    plain = [i.rle is None and i.mask_value is None and not i.holes and not i.even_odd for i in instances]
    drawn = iter(raster.draw_each([i.rings for i, is_plain in zip(instances, plain, strict=True) if is_plain], size_hw))
    pairs = zip(instances, plain, strict=True)
    return [next(drawn) if is_plain else _tried(instance, size_hw, root) for instance, is_plain in pairs]


def _tried(instance: Instance, size_hw: tuple[int, int], root: Path) -> Region | AnnotationError:
    try:
        return region_of(instance, size_hw, root)
    except AnnotationError as error:
        return error


@lru_cache(maxsize=1)  # the instances of one mask file follow each other
def _stored(path: Path, size_hw: tuple[int, int]) -> dict[int, Region]:
    """The region of each value in a mask file."""
    with at(path.name):
        values = read_values(path)
    if values.shape != size_hw:
        problem = f"{path.name}: the mask has {values.shape[1]} x {values.shape[0]} pixels"
        raise AnnotationError(f"{problem}, its image {size_hw[1]} x {size_hw[0]}; export it again")
    return raster.of_values(values)
