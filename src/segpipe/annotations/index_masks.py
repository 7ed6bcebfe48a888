"""Folders of index masks: one picture a photograph, whose pixel values are class numbers."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from segpipe.annotations.keys import with_keys
from segpipe.annotations.mask_layouts import Layout
from segpipe.annotations.source import Source, unlisted
from segpipe.annotations.stored_values import read_values
from segpipe.annotations.value_classes import IGNORE, ValueClasses, value_classes
from segpipe.classes import BACKGROUND
from segpipe.errors import AnnotationError, UserError
from segpipe.records import Dataset, Image, Instance

logger = logging.getLogger(__name__)

FORMAT = "index_masks"


@dataclass(frozen=True, slots=True)
class Survey:
    """What one mask stores: size in pixels, pixels by value in ascending order; or the problem in words."""

    size_hw: tuple[int, int] | None = None
    pixels: tuple[tuple[int, int], ...] = ()
    problem: str = ""


class Mapper(Protocol):
    """Maps survey over the masks in order, as `map` does; may use processes."""

    def __call__(self, function: Callable[[Path], Survey], items: Sequence[Path], /) -> Iterable[Survey]: ...


def read(source: Source, layout: Layout, values: Mapping[int, str] | None = None, mapper: Mapper = map) -> Dataset:
    """Read the masks of `layout`: one Instance for each value that a mask stores, but none for background.

    values: class name, "background" or "ignore" by stored value; without it a names file of the source counts, and
    without that the values are named class_1, class_2 ...; 0 is background and 255 ignore unless they are named.
    A value that nothing names and a mask that cannot be read give an Instance with a problem.
    Raises UserError if no mask can be read, or none holds a class.
    """
    masks = sorted([*layout.mask_of.values(), *layout.lone])
    surveys = dict(zip(masks, mapper(survey, [source.root / mask for mask in masks]), strict=True))
    classes = value_classes(source, layout.folders, values)
    categories = _categories(surveys, classes)
    images = with_keys(_images(source, layout, surveys))
    photo_of = {mask: photo for photo, mask in layout.mask_of.items()}
    key_of = {image.file or image.place: image.key for image in images}
    return Dataset(
        format=FORMAT,
        categories=categories,
        images=tuple(sorted(images, key=lambda image: (image.file, image.place))),
        instances=tuple(
            instance
            for mask in masks
            for instance in _instances(mask, key_of[photo_of.get(mask, mask)], surveys[mask], classes)
        ),
    )


def survey(path: Path) -> Survey:
    """Read one mask and count its values."""
    try:
        stored = read_values(path)
    except AnnotationError as error:
        return Survey(problem=str(error))
    values, counts = _counted(stored)
    return Survey(stored.shape, tuple(zip(values.tolist(), counts.tolist(), strict=True)))


def _counted(stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """np.unique with counts; for 8 and 16 bits by counting, many times faster than by sorting."""
    if stored.dtype.itemsize > 2:
        return np.unique(stored, return_counts=True)
    counts = np.bincount(stored.ravel())
    values = np.flatnonzero(counts)
    return values, counts[values]


def _categories(surveys: Mapping[str, Survey], classes: ValueClasses) -> tuple[str, ...]:
    readable = [found for found in surveys.values() if not found.problem]
    if not readable:
        mask, found = next(iter(surveys.items()))
        raise UserError(f"none of the {len(surveys)} masks can be read; the first, {mask}: {found.problem}")
    present = sorted({value for found in readable for value, _ in found.pixels})
    categories = classes.categories(present)
    if not categories:
        raise UserError(
            f"the masks store only {', '.join(map(str, present))}, which {classes.named_by or 'by default'} means "
            "background or ignore; say what they mean under ingest.mask_values, for example {255: object}"
        )
    return categories


def _images(source: Source, layout: Layout, surveys: Mapping[str, Survey]) -> list[Image]:
    photos = [_photo(file, layout, surveys) for file in layout.images]
    missing = [
        Image(key="", file="", place=place, problem="missing_file", detail=why)
        for place, why in [*layout.lone.items(), *layout.absent.items()]
    ]
    listed = frozenset([*layout.images, *surveys, *layout.others])
    return [*photos, *missing, *unlisted(source, listed)]


def _photo(file: str, layout: Layout, surveys: Mapping[str, Survey]) -> Image:
    mask = layout.mask_of.get(file, "")
    image = Image(key="", file=file, split=layout.split_of.get(file), annotated=bool(mask), place=mask)
    size_hw = surveys[mask].size_hw if mask else None
    return image if size_hw is None else replace(image, width=size_hw[1], height=size_hw[0])


def _instances(mask: str, image_key: str, found: Survey, classes: ValueClasses) -> Iterator[Instance]:
    bare = Instance(id=mask, image_key=image_key, category="", mask_file=mask, place=mask)
    if found.problem:
        yield replace(bare, problem="bad_record", detail=found.problem)
    for value, pixels in found.pixels:
        meaning = classes.meaning(value)
        if meaning == BACKGROUND:
            continue
        instance = replace(bare, id=f"{mask}#{value}", mask_value=value, area=float(pixels))
        if meaning is None:
            detail = f"{classes.named_by} does not name the value {value}; add it there"
            yield replace(instance, problem="unknown_category", detail=detail)
        elif meaning == IGNORE:
            yield replace(instance, role="ignore")
        else:
            yield replace(instance, category=meaning)
