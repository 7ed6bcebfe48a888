"""YOLO's text labels: a polygon or a box a line, in fractions of the picture; Ultralytics' and Darknet's folders.

Source: docs.ultralytics.com/datasets/segment and /detect; AlexeyAB/darknet, README (obj.data, obj.names).
A box is "class cx cy w h" (a sixth number is a confidence), a polygon "class x1 y1 x2 y2 x3 y3 ...".
"""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from segpipe.core.errors import AnnotationError, UserError
from segpipe.data.photos import viewed_wh
from segpipe.data.records import Dataset, Image, Instance
from segpipe.ingest.formats.yolo_files import ClassNames, YoloFiles, class_names, find, listed_pictures, split_folders
from segpipe.ingest.image_records import PhotoReference, locate_photos
from segpipe.ingest.parsing import (
    are_numbers,
    category_or_problem,
    is_number,
    is_whole,
    number_or_nan,
    with_fields,
    with_problem,
)
from segpipe.ingest.source import Source
from segpipe.masks import geometry
from segpipe.masks.geometry import Ring

FORMAT = "yolo"
_FURTHEST = 1.0  # how far, in pictures, a shape may reach past the border before its numbers are taken for pixels


def recognise(source: Source) -> YoloFiles:
    """The label files of a source with the picture of each. Raises UserError for a broken file of class names."""
    return find(source)


def read(source: Source, files: YoloFiles) -> Dataset:
    """Read the label files: one Instance for each line that is not blank, an empty file is a picture of background.

    Pictures that a data.yaml or a list names are annotated even without a label file, as YOLO has it. Never raises
    for a single file or line.
    """
    tables = class_names(source)
    texts = {file: _text(source, file) for file in files}
    wanted = {file: _wanted(file, picture, texts[file]) for file, picture in files.items()}
    listed = listed_pictures(source, files)
    wanted |= {place: PhotoReference(image=image, sibling=image.file) for place, image in listed.items()}
    images, keys = locate_photos(source, list(wanted.values()))
    key_of = dict(zip(wanted, keys, strict=True))
    splits = split_folders(source, tables)
    lines = [
        instance
        for file, text in texts.items()
        if not isinstance(text, UserError)
        for instance in _instances(file, text, key_of[file], nearest(tables, file), _size(source, files[file]))
    ]
    split_of = {image.file: image.split for image in reversed(listed.values()) if image.split}
    named = [name for table in tables.values() for name in table.names.values()]
    return Dataset(
        format=FORMAT,
        categories=tuple(dict.fromkeys([*named, *_numbered(lines)])),
        images=tuple(_with_split(image, splits, split_of) for image in images),
        instances=tuple(lines),
    )


def nearest(tables: Mapping[str, ClassNames], file: str) -> ClassNames | None:
    """The class names in the folder of a file, or in the nearest above it that has such."""
    folders = [str(folder) for folder in PurePosixPath(file).parents]
    return next((tables[folder] for folder in folders if folder in tables), None)


def _text(source: Source, file: str) -> str | UserError:
    try:
        return source.text(file)
    except UserError as error:
        return error


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line


def _wanted(file: str, picture: str, text: str | UserError) -> PhotoReference:
    image = Image(key="", file="", place=file)
    if isinstance(text, UserError):
        image = replace(image, problem="bad_record", detail=str(text))
    elif not picture:
        detail = f"no picture has the name of {file}; put it there or delete the labels"
        image = replace(image, problem="missing_file", detail=detail)
    return PhotoReference(image=image, sibling=picture)


def _numbered(lines: Sequence[Instance]) -> list[str]:
    """Classes that only their numbers name, in the order of the numbers."""
    found = {line.category for line in lines if line.category.startswith("class_")}
    return sorted(found, key=lambda name: (len(name), name))


def _with_split(image: Image, splits: Mapping[str, str], split_of: Mapping[str, str | None]) -> Image:
    folders = [str(folder) for folder in PurePosixPath(image.file).parents] if image.file else []
    by_folder = next((splits[folder] for folder in folders if folder in splits), None)
    split = split_of.get(image.file) or by_folder or image.split
    return replace(image, split=split, annotated=image.annotated or bool(by_folder))


Size = tuple[int, int] | AnnotationError


def _size(source: Source, picture: str) -> Size:
    """Width and height of a picture, or why they cannot be told."""
    try:
        if not picture:
            raise AnnotationError("its picture is missing", "image_lost")
        return viewed_wh(source.root / picture)
    except AnnotationError as error:
        return error


def _instances(file: str, text: str, key: str, table: ClassNames | None, size_wh: Size) -> Iterator[Instance]:
    for number, line in _lines(text):
        bare = Instance(id=f"{file}#{number}", place=f"{file}: line {number}", image_key=key, category="")
        yield _instance(bare, line.split(), table, size_wh)


def _instance(bare: Instance, words: Sequence[str], table: ClassNames | None, size_wh: Size) -> Instance:
    """The instance of one line, as far as it can be read, with its first problem."""
    known: dict[str, Any] = {}
    try:
        known |= category_or_problem(_category, words[0], table)
        if isinstance(size_wh, AnnotationError):
            raise size_wh
        known = with_fields(known, _shape(words[1:], size_wh, table is not None and table.has_keypoints))
    except AnnotationError as error:
        known = with_problem(known, error)
    return replace(bare, **known)


def _category(word: str, table: ClassNames | None) -> str:
    number = number_or_nan(word)
    if not is_whole(number, minimum=0):
        raise AnnotationError(f"{reprlib.repr(word)} is no class number; mend the line or delete it")
    if table is None:
        return f"class_{int(number)}"
    if int(number) not in table.names:
        raise AnnotationError(f"{table.file} does not name the class {int(number)}; add it there", "unknown_category")
    return table.names[int(number)]


def _shape(words: Sequence[str], size_wh: tuple[int, int], has_keypoints: bool) -> dict[str, Any]:
    """The fields that say where it is, from fractions to pixels."""
    numbers = [number_or_nan(word) for word in words]
    if not are_numbers(numbers):
        wrong = next(word for word, number in zip(words, numbers, strict=True) if not is_number(number))
        raise AnnotationError(f"{reprlib.repr(wrong)} is no number; mend the line or delete it", "bad_ring")
    if has_keypoints or len(numbers) in (4, 5):
        detail = "" if len(numbers) == 4 else "the numbers behind its box are not used"
        return {"kind": "box", "rings": (_box(numbers, size_wh),), "detail": detail}
    if len(numbers) < 6 or len(numbers) % 2:
        problem = f"{len(numbers)} numbers behind the class are neither a box (4) nor a polygon (an even count from 6)"
        raise AnnotationError(f"{problem}; mend the line or delete it", "bad_ring")
    return {"rings": (_in_pixels(numbers, size_wh),)}


def _box(numbers: Sequence[float], size_wh: tuple[int, int]) -> Ring:
    if len(numbers) < 4:
        raise AnnotationError(f"{len(numbers)} numbers are no box; mend the line or delete it", "bad_ring")
    x, y, width, height = numbers[:4]
    if min(width, height) < 0:
        raise AnnotationError(f"a box of {width:g} x {height:g} has no inside; mend the line or delete it")
    return geometry.box(*_in_pixels([x - width / 2, y - height / 2, x + width / 2, y + height / 2], size_wh))


def _in_pixels(fractions: Sequence[float], size_wh: tuple[int, int]) -> tuple[float, ...]:
    wrong = next((part for part in fractions if not -_FURTHEST <= part <= 1 + _FURTHEST), None)
    if wrong is not None:
        problem = f"{wrong:g} is no fraction of the picture; YOLO's numbers lie between 0 and 1"
        raise AnnotationError(f"{problem}: divide pixels by its width and height", "bad_ring")
    return tuple(part * size_wh[position % 2] for position, part in enumerate(fractions))
