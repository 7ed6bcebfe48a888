"""The image records of annotation files: which file each means, and which records are one image."""

import posixpath
import re
import reprlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from segpipe.annotations import values
from segpipe.annotations.finding import Finder, inside
from segpipe.annotations.keys import with_keys
from segpipe.annotations.source import SPLIT_WORDS, Source, folder_of, split_named, unlisted
from segpipe.annotations.values import Id
from segpipe.errors import AnnotationError
from segpipe.records import Image


def read_images(
    source: Source, entries: Mapping[str, Sequence[Any]], listed_as: str = "images"
) -> tuple[list[Image], dict[str, dict[Id, str]]]:
    """All images of the source, and for each annotation file the image key of each id.

    entries: the list "images" of each annotation file, its objects with id, file_name, width and height; listed_as:
    what the file calls that list. Records of one file join; a record whose id already stands for another file is
    kept as one that cannot be used; pictures that no record names come last.
    """
    photos = [photo for file, records in entries.items() for photo in _photos(file, listed_as, records)]
    drafts: list[Image] = []
    number_of: dict[tuple[str, str], int] = {}
    ids: dict[str, dict[Id, int]] = {file: {} for file in entries}
    for photo in _found(source, photos):
        photo = _without_taken_id(photo, drafts, ids[photo.json])
        number = number_of.setdefault(_identity(photo), len(drafts))
        if number == len(drafts):
            drafts.append(photo.image)
        elif not drafts[number].problem:
            drafts[number] = replace(drafts[number], note="listed_twice")
        if photo.id is not None:
            ids[photo.json].setdefault(photo.id, number)
    drafts = _naming_files_once(drafts, source)
    images = with_keys([*drafts, *unlisted(source, frozenset(image.file for image in drafts))])
    return images, {file: {number: images[i].key for number, i in table.items()} for file, table in ids.items()}


@dataclass(frozen=True, slots=True)
class _Photo:
    """One image record. json: its annotation file; name: as written; image: what is known of it so far."""

    json: str
    id: Id | None
    name: str
    image: Image


def _photos(file: str, listed_as: str, records: Sequence[Any]) -> Iterator[_Photo]:
    for position, entry in enumerate(records):
        yield _photo(file, f"{file}: {listed_as}[{position}]", entry)


def _photo(file: str, place: str, entry: Any) -> _Photo:
    image = Image(key="", file="", split=split_named(file), place=place)
    name, number = "", values.optional_id(entry)
    try:
        record = values.json_object(entry)
        name = values.text(record, "file_name")
        values.record_id(record, "id")
    except AnnotationError as error:
        return _Photo(file, number, name, replace(image, problem=error.reason, detail=str(error)))
    return _Photo(file, number, name, replace(image, place=f"{place} (id {number})", **_declared_size(record)))


def _declared_size(record: dict[str, Any]) -> dict[str, Any]:
    """width and height where both are positive whole numbers; else only a detail of what is wrong."""
    size = {key: record[key] for key in ("width", "height") if record.get(key) is not None}
    wrong = [f"{key} {reprlib.repr(value)}" for key, value in size.items() if not values.is_whole(value, least=1)]
    if wrong:
        return {"detail": f"the declared {' and '.join(wrong)} is no count of pixels and is not used"}
    return {key: int(value) for key, value in size.items()} if len(size) == 2 else {}


def _found(source: Source, photos: list[_Photo]) -> list[_Photo]:
    """The photos with image.file set or a problem: by the names as written, then by the last part of the rest."""
    finder = Finder(source)
    exact = [_located(photo, source, finder.exactly(photo.name, _folders(photo.json))) for photo in photos]
    taken = {photo.image.file for photo in exact}
    return [photo if photo.image.file or photo.image.problem else _by_name(finder, photo, taken) for photo in exact]


def _located(photo: _Photo, source: Source, file: str | None) -> _Photo:
    image = replace(photo.image, file=file or "", split=photo.image.split or split_named(folder_of(file or "")))
    if file in source.refused and not image.problem:
        image = replace(image, problem="unreadable", detail=f"{file} {source.refused[file]}")
    return replace(photo, image=image)


def _by_name(finder: Finder, photo: _Photo, taken: Container[str]) -> _Photo:
    try:
        image = replace(photo.image, file=finder.by_name(photo.name, taken))
    except AnnotationError as error:
        image = replace(photo.image, file=inside(photo.name), problem=error.reason, detail=str(error))
    return replace(photo, image=replace(image, split=image.split or split_named(folder_of(image.file))))


@cache
def _folders(json_file: str) -> tuple[str, ...]:
    """Where the pictures of an annotation file may stand: beside it, above it, and in folders named after it."""
    bases = [folder_of(json_file)]
    while bases[-1] != ".":
        bases.append(folder_of(bases[-1]))
    own = re.sub(r"^instances_|\.json$", "", posixpath.basename(json_file))
    names = [own, *SPLIT_WORDS.get(split_named(json_file) or "", ())]
    own_folders = (path for name in names for path in (name, f"images/{name}", f"{name}/images"))
    inner = ["", "images", "JPEGImages", *own_folders]
    return tuple(posixpath.join(base, name) for name in inner for base in bases)


def _identity(photo: _Photo) -> tuple[str, str]:
    """What makes two records one image: the file; for one that is missing, its name in the same annotation file."""
    if not photo.image.problem:
        return "", photo.image.file
    return photo.json, photo.name if photo.name and photo.id is not None else photo.image.place


def _without_taken_id(photo: _Photo, drafts: Sequence[Image], ids: Mapping[Id, int]) -> _Photo:
    if photo.id is None or photo.id not in ids:
        return photo
    first = drafts[ids[photo.id]]
    if photo.image.file and first.file == photo.image.file:
        return photo
    problem = f"id {photo.id} already stands for {first.file!r}; give {photo.name!r} its own id"
    return replace(photo, id=None, image=replace(photo.image, problem="bad_record", detail=problem))


def _naming_files_once(images: list[Image], source: Source) -> list[Image]:
    """The images, with the file taken out of a record that cannot be used where another image has that file."""
    used = {image.file for image in images if not image.problem}
    present = frozenset(source.files)
    named = []
    for image in images:
        if image.problem and (image.file in used or (image.problem == "missing_file" and image.file in present)):
            image = replace(image, file="")
        used.add(image.file)
        named.append(image)
    return named
