"""YOLO: a text file per photo, with one polygon or box per line.

    data.yaml                     Ultralytics: names, train, val, test; keypoints if it has kpt_shape
    images/train/a.jpg            images is labels, with another name
    labels/train/a.txt
    obj.data, obj.names           Darknet: names by line
    train.txt                     Darknet: a list of photos
    obj_train_data/a.jpg, a.txt   Darknet: labels beside the photo

Encoding: all numbers are fractions of the width and height of the photo as a viewer shows it. A box is
"class cx cy w h", with a confidence behind it in predictions; a polygon is "class x1 y1 x2 y2 x3 y3 ...". An empty file
is an image of background.
Spec: https://docs.ultralytics.com/datasets/segment and /detect; AlexeyAB/darknet, README (obj.data, obj.names).
Versions: Darknet, and Ultralytics YOLOv5 to YOLO11, segment and detect; CVAT's YOLO 1.1.

This module reads the lines of label files; yolo_files.py finds the files.
"""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from segpipe.core.errors import AnnotationError, UserError
from segpipe.data.photos import viewed_wh
from segpipe.data.records import Dataset, Image, Instance
from segpipe.ingest.formats.yolo_files import ClassNames, YoloFiles, class_names, find, listed_photos, split_folders
from segpipe.ingest.image_records import PhotoReference, locate_photos
from segpipe.ingest.parsing import UNKNOWN, Fields, are_numbers, is_number, is_whole, number_or_nan
from segpipe.ingest.source import Source
from segpipe.masks import geometry
from segpipe.masks.geometry import Ring

FORMAT = "yolo"
_MAX_OUTSIDE = 1.0  # of the width or height: a shape further past the border is in pixels, not in fractions


def recognise(source: Source) -> YoloFiles:
    """The label files of a source, each with its photo. Raises UserError for a broken file of class names."""
    return find(source)


def read(source: Source, files: YoloFiles) -> Dataset:
    """The data set of the label files: one Instance per line that is not blank.

    Photos that a data.yaml or a list names are annotated even without a label file. A file or line that cannot be used
    has a problem.
    """
    tables = class_names(source)
    texts = {file: _text(source, file) for file in files}
    photos = {file: _photo(file, photo, texts[file]) for file, photo in files.items()}
    listed = listed_photos(source, files)
    photos |= {place: PhotoReference(image=image, sibling=image.file) for place, image in listed.items()}
    images, keys = locate_photos(source, list(photos.values()))
    key_of = dict(zip(photos, keys, strict=True))
    instances = tuple(
        instance
        for file, text in texts.items()
        if not isinstance(text, UserError)
        for instance in _instances(file, text, key_of[file], nearest(tables, file), _size(source, files[file]))
    )
    splits = split_folders(source, tables)
    split_of = {image.file: image.split for image in reversed(listed.values()) if image.split}
    named = [name for table in tables.values() for name in table.names.values()]
    return Dataset(
        format=FORMAT,
        categories=tuple(dict.fromkeys([*named, *_numbered(instances)])),
        images=tuple(_with_split(image, splits, split_of) for image in images),
        instances=instances,
    )


def nearest(tables: Mapping[str, ClassNames], file: str) -> ClassNames | None:
    """The class names in the folder of a file, or in the nearest folder above it that has some."""
    folders = [str(folder) for folder in PurePosixPath(file).parents]
    return next((tables[folder] for folder in folders if folder in tables), None)


def _text(source: Source, file: str) -> str | UserError:
    try:
        return source.text(file)
    except UserError as error:
        return error


def _photo(file: str, photo: str, text: str | UserError) -> PhotoReference:
    image = Image(key="", file="", place=file)
    if isinstance(text, UserError):
        image = replace(image, problem="bad_record", detail=str(text))
    elif not photo:
        detail = f"no photo has the name of {file}; add the photo or delete the label file"
        image = replace(image, problem="missing_file", detail=detail)
    return PhotoReference(image=image, sibling=photo)


Size = tuple[int, int] | AnnotationError


def _size(source: Source, photo: str) -> Size:
    """The (width, height) of a photo, or the error that makes it unknown."""
    try:
        if not photo:
            raise AnnotationError("its photo is missing", "image_lost")
        return viewed_wh(source.root / photo)
    except AnnotationError as error:
        return error


def _numbered(instances: Sequence[Instance]) -> list[str]:
    """The classes that have only numbers, in the order of the numbers."""
    names = {instance.category for instance in instances if instance.category.startswith("class_")}
    return sorted(names, key=lambda name: (len(name), name))


def _with_split(image: Image, splits: Mapping[str, str], split_of: Mapping[str, str | None]) -> Image:
    """The image with the split of its list, else of its folder in data.yaml, else unchanged."""
    folders = [str(folder) for folder in PurePosixPath(image.file).parents] if image.file else []
    by_folder = next((splits[folder] for folder in folders if folder in splits), None)
    split = split_of.get(image.file) or by_folder or image.split
    return replace(image, split=split, annotated=image.annotated or bool(by_folder))


def _instances(file: str, text: str, key: str, table: ClassNames | None, size_wh: Size) -> Iterator[Instance]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            fields = Fields(line.split())
            yield Instance(
                id=f"{file}#{number}",
                place=f"{file}: line {number}",
                image_key=key,
                category=fields.read(_class_name, table, default=""),
                **fields.read_together(_drawn, size_wh, table is not None and table.has_keypoints),
                problem=fields.problem,
                detail=fields.detail,
            )


def _class_name(words: Sequence[str], table: ClassNames | None) -> str:
    number = number_or_nan(words[0])
    if not is_whole(number, minimum=0):
        raise AnnotationError(f"{reprlib.repr(words[0])} is not a class number; correct the line or delete it")
    if table is None:
        return f"class_{int(number)}"
    if int(number) not in table.names:
        raise AnnotationError(f"{table.file} has no name for the class {int(number)}; add it there", UNKNOWN)
    return table.names[int(number)]


def _drawn(words: Sequence[str], size_wh: Size, has_keypoints: bool) -> dict[str, Any]:
    """kind and rings, from fractions to pixels."""
    if isinstance(size_wh, AnnotationError):
        raise size_wh
    numbers = [number_or_nan(word) for word in words[1:]]
    if not are_numbers(numbers):
        wrong = next(word for word, number in zip(words[1:], numbers, strict=True) if not is_number(number))
        raise AnnotationError(f"{reprlib.repr(wrong)} is not a number; correct the line or delete it", "bad_ring")
    if has_keypoints or len(numbers) in (4, 5):
        detail = "" if len(numbers) == 4 else "the numbers behind its box are not used"
        return {"kind": "box", "rings": (_box(numbers, size_wh),), "detail": detail}
    if len(numbers) < 6 or len(numbers) % 2:
        problem = f"{len(numbers)} numbers behind the class are neither a box (4) nor a polygon (an even count from 6)"
        raise AnnotationError(f"{problem}; correct the line or delete it", "bad_ring")
    return {"rings": (_in_pixels(numbers, size_wh),)}


def _box(numbers: Sequence[float], size_wh: tuple[int, int]) -> Ring:
    if len(numbers) < 4:
        raise AnnotationError(f"{len(numbers)} numbers are not a box; correct the line or delete it", "bad_ring")
    x, y, width, height = numbers[:4]
    if min(width, height) < 0:
        raise AnnotationError(f"a box of {width:g} x {height:g} is impossible; correct the line or delete it")
    return geometry.box(*_in_pixels([x - width / 2, y - height / 2, x + width / 2, y + height / 2], size_wh))


def _in_pixels(numbers: Sequence[float], size_wh: tuple[int, int]) -> Ring:
    """Fractions x, y, x, y ... in pixels.

    >>> _in_pixels([0.5, 0.5, 1, 0.25], size_wh=(8, 6))
    (4.0, 3.0, 8, 1.5)
    """
    wrong = next((number for number in numbers if not -_MAX_OUTSIDE <= number <= 1 + _MAX_OUTSIDE), None)
    if wrong is not None:
        problem = f"{wrong:g} is not a fraction of the image; YOLO's numbers are between 0 and 1"
        raise AnnotationError(f"{problem}: divide pixels by its width and height", "bad_ring")
    return tuple(number * size_wh[position % 2] for position, number in enumerate(numbers))
