"""Object masks: an image file per object, whose pixels that are not 0 are the object.

    x1/images/x1.png + x1/masks/*.png                  one photo per folder (Data Science Bowl 2018)
    images/a.jpg + masks/a/*.png                       a folder per photo
    images/a.jpg + masks/a_0.png, masks/a_cat_1.png    the photo's name, then the class or a number
    images/a.jpg + masks/cat/a.png                     a folder per class

Folders of the splits may be above or below. mask_layouts.py has other names for images and masks.
Encoding: 0 and one other value; an 8-bit mask with soft edges counts from 128 on.
Spec: none; https://www.kaggle.com/c/data-science-bowl-2018/data is the best known set.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from segpipe.core.errors import AnnotationError
from segpipe.core.parallel import Mapper
from segpipe.core.plurals import counted
from segpipe.data.classes import BACKGROUND
from segpipe.data.records import Dataset, Image, Instance, Rle
from segpipe.data.split_words import split_named
from segpipe.ingest import mask_layouts
from segpipe.ingest.image_keys import with_keys
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
_HALF = 128  # the smallest value of an object in 8-bit masks with soft edges


@dataclass(frozen=True, slots=True)
class ObjectMasks:
    """The masks of a source."""

    photo_of: Mapping[str, tuple[str, str]]  # the photo and the class name, by mask file
    photos: tuple[str, ...]  # all photos of the layout
    unmatched: tuple[str, ...]  # masks without a photo


def recognise(source: Source) -> ObjectMasks | None:
    """The object masks of a source; None if no photo has two, or if more masks match their photo as index masks."""
    photo_of: dict[str, tuple[str, str]] = {}
    all_photos: set[str] = set()
    all_masks: set[str] = set()
    for image_folder, mask_folder in mask_layouts.plain_folders(source):
        photos, masks = files_below(source.image_files, image_folder), files_below(source.image_files, mask_folder)
        all_photos.update(photos)
        all_masks.update(masks)
        photo_of.update(_by_stem(photos, image_folder, masks, mask_folder) or _of_single_photo(photos, masks))
    masks_of = Counter(photo for photo, _ in photo_of.values())
    index_layout = mask_layouts.recognise(source)
    as_index = len(index_layout.mask_of) if index_layout else 0
    if as_index >= len(photo_of) or max(masks_of.values(), default=0) < 2:
        return None
    return ObjectMasks(
        dict(sorted(photo_of.items())), tuple(sorted(all_photos)), tuple(sorted(all_masks - photo_of.keys()))
    )


def _of_single_photo(photos: Sequence[str], masks: Sequence[str]) -> dict[str, tuple[str, str]]:
    """All masks of a folder with a single photo; none if there are several photos, or a mask has the photo's name."""
    if len(photos) != 1 or any(PurePosixPath(mask).stem == PurePosixPath(photos[0]).stem for mask in masks):
        return {}
    return dict.fromkeys(masks, (photos[0], OBJECT))


def _by_stem(
    photos: Sequence[str], image_folder: str, masks: Sequence[str], mask_folder: str
) -> dict[str, tuple[str, str]]:
    """The photo and class of each mask that begins with the name of a photo, or is in a folder of its class."""
    by_stem = {_stem(photo, image_folder): photo for photo in photos}
    photo_of: dict[str, tuple[str, str]] = {}
    for mask in masks:
        stem = _stem(mask, mask_folder)
        beginnings = (stem[:cut] for cut in range(len(stem) - 1, 0, -1) if stem[cut] in _SEPARATORS)
        longest = next((beginning for beginning in beginnings if beginning in by_stem), None)
        folder, _, name = stem.rpartition("/")
        if longest is not None:
            photo_of[mask] = by_stem[longest], _class_in(stem[len(longest) :])
        elif folder and split_named(folder) is None and name in by_stem:
            photo_of[mask] = by_stem[name], PurePosixPath(folder).name
    return photo_of


def _stem(file: str, folder: str) -> str:
    return str(PurePosixPath(file[len(folder) + 1 :]).with_suffix(""))


def _class_in(rest: str) -> str:
    """The class in the rest of a mask's name, without numbers and words like "mask"; OBJECT without a class.

    >>> [_class_in(rest) for rest in ("_cat_1", "/wild cat", "_mask_dog2", "_0", "/07a9bf1d")]
    ['cat', 'wild_cat', 'dog', 'object', 'object']
    """
    last = rest.strip(_SEPARATORS).rpartition("/")[2]
    words = [word for word in re.split(r"[^A-Za-z]+", last) if word and word.lower() not in _NO_CLASS]
    return OBJECT if _HASH.fullmatch(last) or not words else "_".join(words)


def read(source: Source, files: ObjectMasks, values: Mapping[int, str] | None = None, mapper: Mapper = map) -> Dataset:
    """The data set of the masks of `recognise`: one Instance per mask. A mask that cannot be used has a problem.

    values: the first class among them is the class of the masks without a class in their names.
    """
    masks = sorted([*files.photo_of, *files.unmatched])
    contents = dict(zip(masks, mapper(read_mask, [source.root / mask for mask in masks]), strict=True))
    images = with_keys(_images(source, files, contents))
    key_of = {image.file or image.place: image.key for image in images}
    default = next(
        (n for n in map(meaning_in_params, (values or {}).values()) if n not in (BACKGROUND, IGNORE)), OBJECT
    )
    photo_and_class = {mask: files.photo_of.get(mask, (mask, OBJECT)) for mask in masks}
    instances = [
        _instance(mask, key_of[photo], default if name == OBJECT else name, contents[mask])
        for mask, (photo, name) in photo_and_class.items()
    ]
    return Dataset(
        format=FORMAT,
        categories=tuple(sorted({instance.category for instance in instances})),
        images=tuple(sorted(images, key=lambda image: (image.file, image.place))),
        instances=tuple(instances),
    )


def _images(source: Source, files: ObjectMasks, contents: Mapping[str, "ObjectMask"]) -> list[Image]:
    size_of = {photo: contents[mask].size_hw for mask, (photo, _) in files.photo_of.items()}
    why = "its name does not begin with the name of a photo; add the photo or remove the mask"
    missing = [Image(key="", file="", place=mask, problem="missing_file", detail=why) for mask in files.unmatched]
    listed = frozenset([*files.photos, *files.photo_of, *files.unmatched])
    photos = [_image(photo, photo in size_of, size_of.get(photo)) for photo in files.photos]
    return [*photos, *missing, *unlisted_images(source, listed)]


def _image(photo: str, annotated: bool, size_hw: tuple[int, int] | None) -> Image:
    image = Image(key="", file=photo, split=split_named(folder_of(photo)), annotated=annotated)
    return replace(image, height=size_hw[0], width=size_hw[1]) if size_hw else image


def _instance(mask: str, key: str, name: str, content: "ObjectMask") -> Instance:
    instance = Instance(id=mask, image_key=key, category=name, place=mask, detail=content.detail)
    if content.problem:
        return replace(instance, problem="bad_record", detail=content.problem)
    if content.rle is not None:
        return replace(instance, rle=content.rle, area=float(content.pixels))
    return replace(instance, mask_file=mask, mask_value=content.value, area=float(content.pixels))


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectMask:
    """The object of one mask: its value, or its run lengths if soft edges have several values."""

    size_hw: tuple[int, int] | None = None
    value: int = 1  # of the object's pixels
    pixels: int = 0  # the number of the object's pixels
    rle: Rle | None = None  # the object, if its pixels have several values
    problem: str = ""
    detail: str = ""


def read_mask(path: Path) -> ObjectMask:
    """The object of one mask, or its problem."""
    try:
        stored = read_stored(path)
    except AnnotationError as error:
        return ObjectMask(problem=str(error))
    of_mask = survey_of(stored)
    size_hw = of_mask.size_hw
    drawn = [(value, pixels) for value, pixels in of_mask.pixels if value]
    if len(drawn) < 2:
        value, pixels = drawn[0] if drawn else (1, 0)
        return ObjectMask(size_hw=size_hw, value=value, pixels=pixels)
    grey = _grey(stored, of_mask.is_grey)
    if grey is None:
        return ObjectMask(
            size_hw=size_hw,
            problem=f"it has {len(drawn)} values other than 0, so it is not the mask of one object; export it again",
        )
    shown = grey >= _HALF
    detail = f"{len(drawn)} values other than 0, as of soft edges; the object is the pixels from {_HALF} on"
    return ObjectMask(size_hw=size_hw, rle=rle.encode_mask(shown), pixels=int(shown.sum()), detail=detail)


def _grey(stored: Stored, is_grey: bool) -> np.ndarray | None:
    """The 8-bit grey values of a mask, None if it has others."""
    if is_grey:
        return stored.values & 255
    return stored.values if stored.values.dtype == np.uint8 and not stored.palette and not stored.coloured else None


def masks_in_words(files: ObjectMasks) -> str:
    """The number of masks and photos, for messages."""
    masks, photos = len(files.photo_of), len({photo for photo, _ in files.photo_of.values()})
    return f"{counted(masks, 'mask')} of one object each, of {counted(photos, 'photo')}"
