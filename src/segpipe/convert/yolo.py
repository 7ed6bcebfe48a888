"""YOLO segmentation: labels/<path>.txt with one outline per line in fractions of width and height, and data.yaml.

A line has one ring. An instance of several rings, with holes, with a mask or with an outline past the border is written
as one ring that draws exactly the same pixels, which is checked by drawing it; if there is none, it is left out.
Source: docs.ultralytics.com/datasets/segment (Ultralytics YOLO format).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import yaml

from segpipe.convert.target import (
    LOST_FLAGS,
    AnnotatedImage,
    Target,
    Written,
    annotated_images,
    by_split,
    convert_each,
    suffix,
    target_stems,
)
from segpipe.core.errors import AnnotationError
from segpipe.core.files import write_text
from segpipe.data import photos
from segpipe.data.records import Dataset, Instance
from segpipe.masks import outlines, raster
from segpipe.masks.geometry import Ring


def write(dataset: Dataset, target: Target) -> Written:
    """Write one label file for each image, and data.yaml."""
    written = Written()
    annotated = annotated_images(dataset, target.root, written)
    images = [item for item in annotated if _is_as_viewed(item, target.root, written)]
    stems = target_stems([item.image for item in images], by_split)
    for item in images:
        stem = stems[item.image.key]
        target.copy_photo(item.image.file, f"images/{stem}{suffix(item.image, target.root)}")
        lines = _lines(item, dataset.categories, target.root, written)
        write_text(target.out / "labels" / f"{stem}.txt", "".join(f"{line}\n" for line in lines))
    splits = [split for split in ("train", "val", "test") if any(item.image.split == split for item in images)]
    if not splits:
        written.changed["image: without a split, so listed for both train and val"] = len(images)
    write_text(target.out / "data.yaml", _data_yaml(splits, dataset.categories))
    return written


def _is_as_viewed(annotated: AnnotatedImage, root: Path, written: Written) -> bool:
    """Whether the photo as viewed has the declared size: YOLO's fractions refer to the photo as viewed."""
    try:
        fits = annotated.size_hw == photos.viewed_hw(*photos.read_size(root / annotated.image.file))
        reason = "size_mismatch (YOLO's fractions refer to the photo as viewed)"
    except AnnotationError as error:
        fits, reason = False, error.reason
    if not fits:
        written.files.remove(annotated.image.file)
        written.dropped[f"image: {reason}"] += 1
        written.dropped["annotation: image_lost"] += len(annotated.instances)
    return fits


def _data_yaml(splits: Sequence[str], names: Sequence[str]) -> str:
    """The text of data.yaml. YOLO needs train and val: without splits both have all images."""
    folders = {split: f"images/{split}" for split in splits} or {"train": "images", "val": "images"}
    document = {"path": ".", **folders, "names": dict(enumerate(names))}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _lines(annotated: AnnotatedImage, categories: tuple[str, ...], root: Path, written: Written) -> list[str]:
    lines = []
    shapes = convert_each(
        annotated, _refusal, lambda instance: _fractions(instance, annotated.size_hw, root, written), written
    )
    for instance, fractions in shapes:
        written.counts["object"] += 1
        written.changed[LOST_FLAGS] += bool(instance.flags)
        lines.append(" ".join([str(categories.index(instance.category)), *map(repr, fractions)]))
    return lines


def _refusal(instance: Instance) -> str:
    if instance.role != "object":
        return f"annotation: {instance.role} (YOLO has no ignored pixels; they become background)"
    return f"annotation: {instance.kind} (YOLO has only outlines)" if instance.kind in ("line", "point") else ""


def _fractions(instance: Instance, size_hw: tuple[int, int], root: Path, written: Written) -> list[float]:
    """One ring that draws the instance's pixels, in fractions of width and height.

    Raises AnnotationError if there is no such ring (not_one_ring), or the instance has no pixels.
    """
    region = outlines.region(instance, size_hw, root)
    if instance.kind == "box":
        written.changed["box: as outline with four corners"] += 1
    is_inside = bool(instance.rings) and all(_is_inside(ring, size_hw) for ring in [*instance.rings, *instance.holes])
    if is_inside:
        fractions = _scaled(outlines.join_rings([*instance.rings, *instance.holes]), size_hw)
        if _pixels(fractions, size_hw) == region:
            is_joined = len(instance.rings) + len(instance.holes) > 1
            written.changed["object: several rings, as one ring with the same pixels"] += is_joined
            return fractions
    loops = outlines.trace(outlines.to_mask(region))
    if not loops:
        raise AnnotationError("it covers no pixel; draw it again or delete it", "zero_area")
    fractions = _scaled(outlines.join_rings(loops), size_hw)
    if _pixels(fractions, size_hw) != region:
        raise AnnotationError("no single ring draws its pixels", "not_one_ring")
    written.changed["object: outline traced along the edges of its pixels"] += 1
    return fractions


def _is_inside(ring: Ring, size_hw: tuple[int, int]) -> bool:
    return min(ring) >= 0 and max(ring[0::2]) <= size_hw[1] and max(ring[1::2]) <= size_hw[0]


def _scaled(ring: Ring, size_hw: tuple[int, int]) -> list[float]:
    return [_fraction(value, size_hw[1 - i % 2]) for i, value in enumerate(ring)]


def _fraction(value: float, side: int) -> float:
    """A fraction of `side` whose product with it is the value; if no float has, one that draws the same pixels.

    pycocotools rounds every point to a fifth of a pixel (maskApi.c, rleFrPoly); values on one fifth draw alike.

    >>> _fraction(5.0, 8)
    0.625
    """
    near = value / side
    around = (near, math.nextafter(near, 1.0), math.nextafter(near, 0.0))
    exact = (fraction for fraction in around if fraction * side == value)
    equivalent = (fraction for fraction in around if int(5 * (fraction * side) + 0.5) == int(5 * value + 0.5))
    return next(exact, next(equivalent, near))


def _pixels(fractions: Sequence[float], size_hw: tuple[int, int]) -> raster.Region:
    """The pixels that a reader of the fractions draws."""
    return raster.draw([[value * size_hw[1 - i % 2] for i, value in enumerate(fractions)]], size_hw)
