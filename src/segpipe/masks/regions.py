"""An instance, however it was annotated, as the region it covers in its picture's frame."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from segpipe.errors import AnnotationError
from segpipe.masks import raster, rle
from segpipe.masks.rle import Region
from segpipe.records import Instance


def region_of(instance: Instance, size_hw: tuple[int, int], root: Path) -> Region:
    """Draw `instance` in a frame of size_hw pixels; root is the source folder that holds its mask file, if any.

    Raises AnnotationError: bad_rle if the run lengths are of another size or do not fill it, bad_record if the
    mask file cannot be read or is of another size.
    """
    if instance.mask_value is not None:
        return raster.of_mask(_stored(root / instance.mask_file, size_hw) == instance.mask_value)
    if instance.rle is None:
        return raster.draw(instance.rings, size_hw)
    if instance.rle.size_hw != size_hw:
        height, width = instance.rle.size_hw
        problem = f"the RLE is of {width} x {height} pixels, its picture of {size_hw[1]} x {size_hw[0]}"
        raise AnnotationError(f"{problem}; export it again", "bad_rle")
    return rle.region_of(instance.rle)


def _stored(path: Path, size_hw: tuple[int, int]) -> np.ndarray:
    values = read_values(path)
    if values.shape != size_hw:
        problem = f"{path}: the mask has {values.shape[1]} x {values.shape[0]} pixels"
        raise AnnotationError(f"{problem}, its picture {size_hw[1]} x {size_hw[0]}; export it again")
    return values


@lru_cache(maxsize=2)  # every value of one mask is asked for in a row
def read_values(path: Path) -> np.ndarray:
    """The values a mask file stores, integer (H, W): palette indices, grey values or bits; never colours.

    Raises AnnotationError (bad_record) for a file that cannot be decoded or that holds colours.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16"):
                problem = f"{path}: a {image.mode} picture holds colours, not class numbers"
                raise AnnotationError(f"{problem}; export it as a palette or grey PNG")
            values = np.asarray(image)
    except AnnotationError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever the bytes make them raise
        raise AnnotationError(f"{path}: cannot be decoded ({error}); export the mask again") from error
    return values.astype(np.uint8) if values.dtype == bool else values
