"""The image records of annotation files: which file each means, and which records are one image."""

import posixpath
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Image
from segpipe.data.split_words import SPLIT_WORDS, split_named
from segpipe.ingest import values
from segpipe.ingest.finding import Finder, Found, Name, inside, origin_of, strays
from segpipe.ingest.keys import with_keys
from segpipe.ingest.source import Source, folder_of, unlisted
from segpipe.ingest.values import Id

_SHOWN = 3


def read_images(
    source: Source, entries: Mapping[str, Sequence[Any]], listed_as: str = "images"
) -> tuple[list[Image], dict[str, dict[Id, str]]]:
    """All images of the source, and for each annotation file the image key of each id; "" for one of several images.

    entries: the list "images" of each annotation file, its objects with id, file_name, width and height; listed_as:
    what the file calls that list. Records of one file join; those whose id is that of several images cannot be used,
    since nothing says what their annotations are drawn on; pictures that no record names come last.
    """
    photos = _found(source, [photo for file, records in entries.items() for photo in _photos(file, listed_as, records)])
    shared = _shared_ids(photos)
    drafts: list[Image] = []
    number_of: dict[tuple[str, str], int] = {}
    ids: dict[str, dict[Id, int | None]] = {file: {} for file in entries}
    for photo in photos:
        alike = shared.get((photo.json, photo.id), ())
        photo = _of_several(photo, alike) if alike else photo
        number = number_of.setdefault(_identity(photo), len(drafts))
        if number == len(drafts):
            drafts.append(photo.image)
        elif not drafts[number].problem:
            notes = [*drafts[number].notes, ("listed_twice", ""), *photo.image.notes]
            drafts[number] = replace(drafts[number], notes=tuple(dict.fromkeys(notes)))
        if photo.id is not None:
            ids[photo.json][photo.id] = None if alike else number
    drafts = _naming_files_once(drafts, source)
    images = with_keys([*drafts, *unlisted(source, frozenset(image.file for image in drafts))])
    keys = {file: {id_: "" if n is None else images[n].key for id_, n in table.items()} for file, table in ids.items()}
    return images, keys


def key_of(record: dict[str, Any], keys: Mapping[Id, str]) -> str:
    """The key of the image that an annotation belongs to. keys: of read_images. Raises AnnotationError."""
    number = values.record_id(record, "image_id")
    if keys.get(number):
        return keys[number]
    if number in keys:
        problem = f"image_id {number!r} is the id of several images; give each image an id that no other has"
        raise AnnotationError(problem, "ambiguous_image")
    raise AnnotationError(f"image_id {number} is not among the images; add its image or delete it", "unknown_image")


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
    """The photos with image.file set or a problem: those that are there as written first, then the rest."""
    finder = Finder(source)
    wanted = [_name(photo) for photo in photos]
    files = [finder.exactly(name.path, name.folders) or "" for name in wanted]
    exact = [
        _located(photo, source, "" if stray else file)
        for photo, file, stray in zip(photos, files, strays(wanted, files), strict=True)
    ]
    written = {photo.image.file: photo.image.place for photo in reversed(exact) if photo.image.file}
    names = [
        None if photo.image.file or photo.image.problem else name for photo, name in zip(exact, wanted, strict=True)
    ]
    return [
        replace(photo, image=_guessed(photo, guess)) if guess else photo
        for photo, guess in zip(exact, finder.loosely(names, written), strict=True)
    ]


def _located(photo: _Photo, source: Source, file: str) -> _Photo:
    image = replace(photo.image, file=file, split=photo.image.split or split_named(folder_of(file)))
    if file in source.refused and not image.problem:
        image = replace(image, problem="unreadable", detail=f"{file} {source.refused[file]}")
    return replace(photo, image=image)


def _name(photo: _Photo) -> Name:
    origin = origin_of(photo.json)
    return Name(path=photo.name, folders=_folders(photo.json), place=photo.image.place, origin=origin)


def _guessed(photo: _Photo, guess: Found | AnnotationError) -> Image:
    image = photo.image
    if isinstance(guess, AnnotationError):
        image = replace(image, file=inside(photo.name), problem=guess.reason, detail=str(guess))
    else:
        image = replace(image, file=guess.file, notes=(*image.notes, guess.note))
    return replace(image, split=image.split or split_named(folder_of(image.file)))


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


def _shared_ids(photos: Sequence[_Photo]) -> dict[tuple[str, Id | None], tuple[str, ...]]:
    """The names of the images that share an id, by annotation file and id."""
    named: dict[tuple[str, Id | None], dict[tuple[str, str], str]] = {}
    for photo in photos:
        if photo.id is not None:
            named.setdefault((photo.json, photo.id), {}).setdefault(_identity(photo), photo.name or photo.image.place)
    return {key: tuple(images.values()) for key, images in named.items() if len(images) > 1}


def _of_several(photo: _Photo, names: Sequence[str]) -> _Photo:
    """The photo of an id that is that of several images."""
    if photo.image.problem:
        return photo
    several = f"{len(names)} images ({', '.join(map(repr, names[:_SHOWN]))})"
    problem = f"id {photo.id!r} is that of {several}; give each an id that no other has"
    return replace(photo, image=replace(photo.image, problem="bad_record", detail=problem))


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
