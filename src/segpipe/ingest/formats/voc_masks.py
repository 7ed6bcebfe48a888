"""The masks of PASCAL VOC: the class of each object of an object mask, and the classes beyond the objects.

A class mask has the class of each pixel, an object mask of the same photo has the object of each pixel. voc.py
describes the folders.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from segpipe.core.errors import AnnotationError
from segpipe.core.parallel import Mapper
from segpipe.data.classes import BACKGROUND, voc_colours
from segpipe.data.records import Image, Instance, Rle
from segpipe.ingest.formats import index_masks
from segpipe.ingest.mask_classes import IGNORE, ColourClasses, MaskClasses, ValueClasses, colour_classes, value_classes
from segpipe.ingest.mask_layouts import Layout
from segpipe.ingest.mask_surveys import Survey, survey_of
from segpipe.ingest.source import Source
from segpipe.masks import rle
from segpipe.masks.mask_files import Colour, Stored, colour_number, read_stored

Bounds = tuple[float, float, float, float]  # left, top, right, bottom in pixels

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_VOID_NUMBER = 255
_VOID_COLOUR = colour_number(voc_colours(256)[_VOID_NUMBER])


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskPair:
    """The masks of one photo."""

    class_mask: Path
    object_mask: Path | None
    object_file: str  # the object mask as the source names it
    boxes: tuple[Bounds, ...]


@dataclass(frozen=True, slots=True)
class Remainder:
    """The pixels of a class that no object covers."""

    pixels: int
    rle: Rle | None  # None without pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class VocMask:
    """The content of one photo's masks."""

    classes: Survey  # the class mask
    object_file: str = ""
    object_problem: str = ""  # why the object mask cannot be used
    objects: Mapping[int, Mapping[int, int]] = field(default_factory=dict)  # pixels by object value and class value
    beyond: Mapping[int, Remainder] = field(default_factory=dict)  # by class value, if objects cover some of its pixels
    in_boxes: tuple[tuple[int, ...], ...] = ()  # the class values in each box


# Reading


def read_masks(
    source: Source,
    layout: Layout | None,
    key_of: Mapping[str, str],
    bounds_of: Mapping[str, Sequence[Bounds | None]],
    classes: MaskClasses,
    mapper: Mapper,
) -> dict[str, VocMask]:
    """The content of the masks of each photo, by class mask. Never raises for a broken file.

    key_of: the image key of each class mask. bounds_of: the boxes of each image.
    """
    masks = sorted([*layout.mask_of.values(), *layout.unmatched]) if layout else []
    object_masks = {_object_key(PurePosixPath(file)): file for file in layout.other_files} if layout else {}
    pairs = [_pair(source, mask, object_masks, bounds_of.get(key_of[mask], [])) for mask in masks]
    voc_mask_of = dict(zip(masks, mapper(read_pair, pairs), strict=True))
    return {mask: replace(it, classes=index_masks.usable(it.classes, classes)) for mask, it in voc_mask_of.items()}


def _pair(source: Source, mask: str, object_masks: Mapping[str, str], boxes: Sequence[Bounds | None]) -> MaskPair:
    path = PurePosixPath(mask)
    object_file = object_masks.get(_object_key(path.parent.parent / "SegmentationObject" / path.name), "")
    return MaskPair(
        class_mask=source.root / mask,
        object_mask=source.root / object_file if object_file else None,
        object_file=object_file,
        boxes=tuple(box or (0.0, 0.0, 0.0, 0.0) for box in boxes),
    )


def _object_key(path: PurePosixPath) -> str:
    return path.with_suffix("").as_posix().casefold()


def read_pair(pair: MaskPair) -> VocMask:
    """The content of both masks of a photo. Never raises for a broken file."""
    try:
        stored = read_stored(pair.class_mask)
    except AnnotationError as error:
        return VocMask(classes=Survey(problem=str(error)))
    of_classes = survey_of(stored)
    in_boxes = tuple(_values_inside(stored.values, box) for box in pair.boxes)
    if pair.object_mask is None:
        return VocMask(classes=of_classes, in_boxes=in_boxes)
    try:
        objects = read_stored(pair.object_mask)
        _refuse_other_size(objects, stored)
    except AnnotationError as error:
        return VocMask(classes=of_classes, object_file=pair.object_file, object_problem=str(error), in_boxes=in_boxes)
    covered = _is_object(objects)
    return VocMask(
        classes=of_classes,
        object_file=pair.object_file,
        objects=_counts(objects.values[covered], stored.values[covered]),
        beyond={value: rest for value, _ in of_classes.pixels if (rest := _remainder(stored.values == value, covered))},
        in_boxes=in_boxes,
    )


def _refuse_other_size(objects: Stored, classes: Stored) -> None:
    if objects.values.shape != classes.values.shape:
        (height, width), (class_height, class_width) = objects.values.shape, classes.values.shape
        raise AnnotationError(f"has {width} x {height} pixels, the class mask {class_width} x {class_height}")


def _is_object(stored: Stored) -> np.ndarray:
    void = _VOID_COLOUR if stored.coloured else _VOID_NUMBER
    return (stored.values != 0) & (stored.values != void)


def _counts(objects: np.ndarray, classes: np.ndarray) -> dict[int, dict[int, int]]:
    """The number of pixels by object value and class value. objects, classes: the values of equal pixels, (n,)."""
    pairs, counts = np.unique(np.stack([objects, classes]).astype(np.int64), axis=1, return_counts=True)
    pixels_of: dict[int, dict[int, int]] = {}
    for value, class_value, pixels in zip(*pairs.tolist(), counts.tolist(), strict=True):
        pixels_of.setdefault(value, {})[class_value] = pixels
    return pixels_of


def _remainder(of_class: np.ndarray, covered: np.ndarray) -> Remainder | None:
    """The pixels of a class that no object covers; None if no object covers any of its pixels."""
    beyond = of_class & ~covered
    pixels = int(np.count_nonzero(beyond))
    if pixels == np.count_nonzero(of_class):
        return None
    return Remainder(pixels, rle.encode_mask(beyond) if pixels else None)


def _values_inside(values: np.ndarray, box: Bounds) -> tuple[int, ...]:
    height, width = values.shape
    left, top, right, bottom = (
        int(min(max(edge, 0), limit)) for edge, limit in zip(box, (width, height) * 2, strict=True)
    )
    return tuple(np.unique(values[top : bottom + 1, left : right + 1]).tolist())


# Classes and instances


def classes_of(
    source: Source,
    layout: Layout | None,
    names: Collection[str],
    values: Mapping[int, str] | None,
    colours: Mapping[Colour, str] | None,
) -> MaskClasses:
    """The classes of numbers and colours: as declared, else VOC's.

    names: the classes of the XML files; values, colours: from params.yaml.
    """
    folders = layout.folders if layout else (".",)
    numbers = value_classes(source, folders, values)
    declared = colour_classes(source, folders, colours)
    if not numbers.named_by and names and set(names) <= set(VOC_CLASSES):
        numbers = ValueClasses(dict(enumerate((BACKGROUND, *VOC_CLASSES))), "the development kit of VOC")
    if declared is None:
        by_colour = {colour_number(c): numbers.meaning(i) for i, c in enumerate(voc_colours(256))}
        named = {colour: name for colour, name in by_colour.items() if name}
        return MaskClasses(numbers, ColourClasses(named, numbers.named_by or "the palette of VOC"))
    return MaskClasses(numbers, ColourClasses({_VOID_COLOUR: IGNORE, **declared.names}, declared.named_by))


def instances_of(mask: str, key: str, voc_mask: VocMask, classes: MaskClasses) -> Iterator[Instance]:
    """The objects of the object mask, then the classes of the class mask beyond the objects."""
    of_classes = list(index_masks.instances_of(mask, key, voc_mask.classes, classes))
    if not voc_mask.objects or voc_mask.classes.problem:
        detail = f"{voc_mask.object_file} {voc_mask.object_problem}; it is not used" if voc_mask.object_problem else ""
        yield from (replace(instance, detail=instance.detail or detail) for instance in of_classes)
        return
    for value, pixels_of in voc_mask.objects.items():
        yield _object(voc_mask, value, pixels_of, key, classes)
    for instance in of_classes:
        rest = voc_mask.beyond.get(instance.mask_value if instance.mask_value is not None else -1)
        if rest is None:
            yield instance
        elif rest.pixels:
            yield replace(instance, mask_file="", mask_value=None, rle=rest.rle, area=float(rest.pixels))


def _object(voc_mask: VocMask, value: int, pixels_of: Mapping[int, int], key: str, classes: MaskClasses) -> Instance:
    """One object, of the class that most of its pixels have. pixels_of: its pixels by class value."""
    place = f"{voc_mask.object_file}#{value}"
    area = sum(pixels_of.values())
    instance = Instance(
        id=place,
        image_key=key,
        category="",
        mask_file=voc_mask.object_file,
        mask_value=value,
        area=float(area),
        place=place,
    )
    votes: dict[str, int] = {}
    for class_value, pixels in pixels_of.items():
        name = classes.meaning(voc_mask.classes, class_value)
        if name not in (None, BACKGROUND, IGNORE):
            votes[str(name)] = votes.get(str(name), 0) + pixels
    if not votes:
        detail = "the class mask shows no class where this object is; export both masks again"
        return replace(instance, problem="unknown_category", detail=detail)
    name = max(votes, key=lambda vote: votes[vote])
    others = area - votes[name]
    detail = f"{others} of its {area} pixels have another class in the class mask" if others else ""
    return replace(instance, category=name, detail=detail)


def sized(image: Image, masks: Mapping[str, VocMask]) -> Image:
    """The image with the size of its class mask, unless it has a declared size."""
    size_hw = masks[image.place].classes.size_hw if image.place in masks else None
    if size_hw is None or image.width is not None:
        return image
    return replace(image, height=size_hw[0], width=size_hw[1])
