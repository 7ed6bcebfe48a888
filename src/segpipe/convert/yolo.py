"""YOLO segmentation: labels/<path>.txt, one outline a line as fractions of width and height, and data.yaml.

A line holds one ring. What is more than one ring inside the picture (parts, holes, masks, outlines past the border) is
written as one ring that draws exactly the same pixels, each proved by drawing it, or not at all.
Source: docs.ultralytics.com/datasets/segment (Ultralytics YOLO format).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import yaml

from segpipe.convert.target import LOST_FLAGS, Page, Target, Written, accepted, by_split, pages, places, suffix
from segpipe.core.errors import AnnotationError
from segpipe.core.files import write_text
from segpipe.data import photos
from segpipe.data.records import Dataset, Instance
from segpipe.masks import outlines, raster
from segpipe.masks.geometry import Ring


def write(dataset: Dataset, target: Target) -> Written:
    """Write one label file for each photograph, and data.yaml."""
    written = Written()
    found = [page for page in pages(dataset, target.root, written) if _is_as_viewed(page, target.root, written)]
    place_of = places([page.image for page in found], by_split)
    for page in found:
        place = place_of[page.image.key]
        target.put_photograph(page.image.file, f"images/{place}{suffix(page.image, target.root)}")
        lines = _lines(page, dataset.categories, target.root, written)
        write_text(target.out / "labels" / f"{place}.txt", "".join(f"{line}\n" for line in lines))
    splits = [split for split in ("train", "val", "test") if any(page.image.split == split for page in found)]
    if not splits:
        written.changed["pictures without a split are named for train and val alike"] = len(found)
    write_text(target.out / "data.yaml", _data_yaml(splits, dataset.categories))
    return written


def _is_as_viewed(page: Page, root: Path, written: Written) -> bool:
    """Whether the photograph has the annotation's size as viewers show it, which YOLO's fractions are parts of."""
    try:
        fits = page.size_hw == photos.viewed_hw(*photos.read_size(root / page.image.file))
        reason = "size_mismatch (YOLO's fractions are parts of the picture as viewers show it)"
    except AnnotationError as error:
        fits, reason = False, error.reason
    if not fits:
        written.files.remove(page.image.file)
        written.dropped[f"photograph: {reason}"] += 1
        written.dropped["annotation: image_lost"] += len(page.instances)
    return fits


def _data_yaml(splits: Sequence[str], names: Sequence[str]) -> str:
    """Without splits in the source every picture is named for both, since YOLO insists on train and val."""
    folders = {split: f"images/{split}" for split in splits} or {"train": "images", "val": "images"}
    document = {"path": ".", **folders, "names": dict(enumerate(names))}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _lines(page: Page, categories: tuple[str, ...], root: Path, written: Written) -> list[str]:
    lines = []
    shapes = accepted(page, _refused, lambda instance: _fractions(instance, page.size_hw, root, written), written)
    for instance, fractions in shapes:
        written.counts["objects"] += 1
        written.changed[LOST_FLAGS] += bool(instance.flags)
        lines.append(" ".join([str(categories.index(instance.category)), *map(repr, fractions)]))
    return lines


def _refused(instance: Instance) -> str:
    if instance.role != "object":
        return f"annotation: {instance.role} (YOLO has no pixels that do not count; they become background)"
    return f"annotation: {instance.kind} (YOLO has outlines only)" if instance.kind in ("line", "point") else ""


def _fractions(instance: Instance, size_hw: tuple[int, int], root: Path, written: Written) -> list[float]:
    """Raises AnnotationError: not_one_ring if no ring draws the instance's pixels, else as outlines.region."""
    drawn = outlines.region(instance, size_hw, root)
    if instance.kind == "box":
        written.changed["boxes became outlines of four corners"] += 1
    inside = bool(instance.rings) and all(_is_inside(ring, size_hw) for ring in [*instance.rings, *instance.holes])
    if inside:
        fractions = _scaled(outlines.join_rings([*instance.rings, *instance.holes]), size_hw)
        if _pixels(fractions, size_hw) == drawn:
            joined = len(instance.rings) + len(instance.holes) > 1
            written.changed["outlines joined to one, of the same pixels"] += joined
            return fractions
    loops = outlines.trace(outlines.to_mask(drawn))
    if not loops:
        raise AnnotationError("it covers no pixel; draw it again or delete it", "zero_area")
    fractions = _scaled(outlines.join_rings(loops), size_hw)
    if _pixels(fractions, size_hw) != drawn:
        raise AnnotationError("no single outline draws its pixels", "not_one_ring")
    written.changed["outlines drawn anew along the edges of the same pixels"] += 1
    return fractions


def _is_inside(ring: Ring, size_hw: tuple[int, int]) -> bool:
    return min(ring) >= 0 and max(ring[0::2]) <= size_hw[1] and max(ring[1::2]) <= size_hw[0]


def _scaled(ring: Ring, size_hw: tuple[int, int]) -> list[float]:
    return [_fraction(value, size_hw[1 - i % 2]) for i, value in enumerate(ring)]


def _fraction(value: float, side: int) -> float:
    """A fraction of `side` that, multiplied by it, gives the value itself; else, of those next to it, one as good.

    As good: on the same fifth of a pixel, to which pycocotools rounds every point (maskApi.c, rleFrPoly).
    """
    near = value / side
    around = (near, math.nextafter(near, 1.0), math.nextafter(near, 0.0))
    exact = (fraction for fraction in around if fraction * side == value)
    as_good = (fraction for fraction in around if int(5 * (fraction * side) + 0.5) == int(5 * value + 0.5))
    return next(exact, next(as_good, near))


def _pixels(fractions: Sequence[float], size_hw: tuple[int, int]) -> raster.Region:
    """The pixels that a reader of the line will draw."""
    return raster.draw([[value * size_hw[1 - i % 2] for i, value in enumerate(fractions)]], size_hw)
