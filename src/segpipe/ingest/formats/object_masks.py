"""Folders of masks with one file an object: what is not 0 in it is the object.

<x>/images/a.png + <x>/masks/*.png (Data Science Bowl 2018); images/a.jpg + masks/a/*.png, masks/a_0.png, a_cat_1.png
..., or masks/<class>/a.png, with folders for the splits above or below.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from segpipe.core.errors import AnnotationError
from segpipe.core.parallel import Mapper
from segpipe.data.classes import BACKGROUND
from segpipe.data.records import Dataset, Image, Instance, Rle
from segpipe.data.split_words import split_named
from segpipe.ingest import mask_layouts
from segpipe.ingest.image_records import with_keys
from segpipe.ingest.mask_classes import IGNORE, meaning_in_params
from segpipe.ingest.mask_surveys import survey_of
from segpipe.ingest.source import Source, files_below, folder_of, unlisted_images
from segpipe.masks import rle
from segpipe.masks.mask_files import Stored, read_stored

FORMAT = "object_masks"
OBJECT = "object"

_SEPARATORS = "/_-. "
_NO_CLASS = frozenset(
    {"mask", "masks", "object", "obj", "instance", "inst", "label", "seg", "segmentation", "gt", "id"}
)
_HASH = re.compile(r"[0-9a-fA-F]{8,}")
_HALF = 128  # of 8-bit masks with soft edges


@dataclass(frozen=True, slots=True)
class ObjectMasks:
    """photo_of: (photograph, class name) by mask file; images: all photographs of the layout; lone: other masks."""

    photo_of: Mapping[str, tuple[str, str]]
    images: tuple[str, ...]
    lone: tuple[str, ...]


def recognise(source: Source) -> ObjectMasks | None:
    """The masks of several objects a photograph; None unless a photograph has two, or if they are index masks."""
    photo_of: dict[str, tuple[str, str]] = {}
    images: set[str] = set()
    all_masks: set[str] = set()
    for image_folder, mask_folder in mask_layouts.plain_folders(source):
        photos, masks = files_below(source.image_files, image_folder), files_below(source.image_files, mask_folder)
        images.update(photos)
        all_masks.update(masks)
        photo_of.update(_by_stem(photos, image_folder, masks, mask_folder) or _of_one(photos, masks))
    of_photo = defaultdict(list)
    for mask, (photo, _) in photo_of.items():
        of_photo[photo].append(mask)
    index_layout = mask_layouts.recognise(source)
    as_index = len(index_layout.mask_of) if index_layout else 0
    if as_index >= len(photo_of) or max(map(len, of_photo.values()), default=0) < 2:
        return None
    return ObjectMasks(
        dict(sorted(photo_of.items())), tuple(sorted(images)), tuple(sorted(all_masks - photo_of.keys()))
    )


def _of_one(photos: Sequence[str], masks: Sequence[str]) -> dict[str, tuple[str, str]]:
    """All masks of the one photograph of a folder; none if it has several, or a mask has its name."""
    if len(photos) != 1 or any(PurePosixPath(mask).stem == PurePosixPath(photos[0]).stem for mask in masks):
        return {}
    return dict.fromkeys(masks, (photos[0], OBJECT))


def _by_stem(
    photos: Sequence[str], image_folder: str, masks: Sequence[str], mask_folder: str
) -> dict[str, tuple[str, str]]:
    by_stem = {_stem(photo, image_folder): photo for photo in photos}
    found: dict[str, tuple[str, str]] = {}
    for mask in masks:
        stem = _stem(mask, mask_folder)
        cuts = [i for i in range(len(stem) - 1, 0, -1) if stem[i] in _SEPARATORS]
        named = next((by_stem[stem[:cut]] for cut in cuts if stem[:cut] in by_stem), None)
        if named is not None:
            found[mask] = named, _class_in(stem[len(_stem(named, image_folder)) :])
        elif "/" in stem and split_named(folder_of(stem)) is None and (name := stem.rpartition("/"))[2] in by_stem:
            found[mask] = by_stem[name[2]], PurePosixPath(name[0]).name
    return found


def _stem(file: str, folder: str) -> str:
    return str(PurePosixPath(file[len(folder) + 1 :]).with_suffix(""))


def _class_in(rest: str) -> str:
    """The class that the rest of a mask's name tells, without numbers and words like "mask"; else OBJECT."""
    last = rest.strip(_SEPARATORS).rpartition("/")[2]
    words = [word for word in re.split(r"[^A-Za-z]+", last) if word and word.lower() not in _NO_CLASS]
    return OBJECT if _HASH.fullmatch(last) or not words else "_".join(words)


def read(source: Source, found: ObjectMasks, values: Mapping[int, str] | None = None, mapper: Mapper = map) -> Dataset:
    """Read the masks of `recognise`: one Instance each. values: may name the class of masks whose files name none.

    A mask with soft edges counts from 128 on. Never raises for a single file.
    """
    masks = sorted([*found.photo_of, *found.lone])
    surveys = dict(zip(masks, mapper(look, [source.root / mask for mask in masks]), strict=True))
    images = with_keys(_images(source, found, surveys))
    key_of = {image.file or image.place: image.key for image in images}
    default = next(
        (n for n in map(meaning_in_params, (values or {}).values()) if n not in (BACKGROUND, IGNORE)), OBJECT
    )
    owners = {mask: found.photo_of.get(mask, (mask, OBJECT)) for mask in masks}
    instances = [
        _instance(mask, key_of[photo], default if name == OBJECT else name, surveys[mask])
        for mask, (photo, name) in owners.items()
    ]
    return Dataset(
        format=FORMAT,
        categories=tuple(sorted({instance.category for instance in instances})),
        images=tuple(sorted(images, key=lambda image: (image.file, image.place))),
        instances=tuple(instances),
    )


def _images(source: Source, found: ObjectMasks, surveys: Mapping[str, "Look"]) -> list[Image]:
    size_of = {photo: surveys[mask].size_hw for mask, (photo, _) in found.photo_of.items()}
    why = "no photograph has the beginning of its name; put it there or remove the mask"
    missing = [Image(key="", file="", place=mask, problem="missing_file", detail=why) for mask in found.lone]
    listed = frozenset([*found.images, *found.photo_of, *found.lone])
    photos = [_image(photo, photo in size_of, size_of.get(photo)) for photo in found.images]
    return [*photos, *missing, *unlisted_images(source, listed)]


def _image(photo: str, annotated: bool, size_hw: tuple[int, int] | None) -> Image:
    image = Image(key="", file=photo, split=split_named(folder_of(photo)), annotated=annotated)
    return replace(image, height=size_hw[0], width=size_hw[1]) if size_hw else image


def _instance(mask: str, key: str, name: str, seen: "Look") -> Instance:
    bare = Instance(id=mask, image_key=key, category=name, place=mask, detail=seen.detail)
    if seen.problem:
        return replace(bare, problem="bad_record", detail=seen.problem)
    if seen.rle is not None:
        return replace(bare, rle=seen.rle, area=float(seen.pixels))
    return replace(bare, mask_file=mask, mask_value=seen.value, area=float(seen.pixels))


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one mask shows: the one value of the object, or where soft edges make several, its run lengths."""

    size_hw: tuple[int, int] | None = None
    value: int = 1
    pixels: int = 0
    rle: Rle | None = None
    problem: str = ""
    detail: str = ""


def look(path: Path) -> Look:
    """Read one mask."""
    try:
        stored = read_stored(path)
    except AnnotationError as error:
        return Look(problem=str(error))
    seen = survey_of(stored)
    size_hw = seen.size_hw
    drawn = [(value, pixels) for value, pixels in seen.pixels if value]
    if len(drawn) < 2:
        value, pixels = drawn[0] if drawn else (1, 0)
        return Look(size_hw=size_hw, value=value, pixels=pixels)
    grey = _grey(stored, seen.is_grey)
    if grey is None:
        return Look(
            size_hw=size_hw, problem=f"it stores {len(drawn)} values beside 0, which are no object's; export it again"
        )
    shown = grey >= _HALF
    detail = f"{len(drawn)} values beside 0, as of soft edges; it counts from {_HALF} on"
    return Look(size_hw=size_hw, rle=rle.encode_mask(shown), pixels=int(shown.sum()), detail=detail)


def _grey(stored: Stored, is_grey: bool) -> np.ndarray | None:
    """The mask as grey of 8 bits, None if it is none."""
    if is_grey:
        return stored.values & 255
    return stored.values if stored.values.dtype == np.uint8 and not stored.palette and not stored.coloured else None


def masks_in_words(found: ObjectMasks) -> str:
    """How many masks of how many photographs."""
    photos = len({photo for photo, _ in found.photo_of.values()})
    return f"{len(found.photo_of)} masks of one object each, of {photos} photographs"
