"""Image records: the photo that each record of an annotation file means, and the records of one image joined.

Two kinds of annotation files need this. A file with a list of images, each with an id, as COCO and CVAT write them:
`read_images`. A file for each photo, as LabelMe and VOC write them: `locate_photos`.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Image, Instance
from segpipe.data.split_words import SPLIT_WORDS, split_named
from segpipe.ingest.image_keys import with_keys
from segpipe.ingest.parsing import Id, declared_size, file_bytes, json_object, optional_id, record_id, required_text
from segpipe.ingest.photo_finder import (
    FoundPhoto,
    PhotoFinder,
    PhotoName,
    are_strays,
    found_elsewhere,
    origin_of,
    path_inside,
)
from segpipe.ingest.source import Source, folder_of, is_image_file, unlisted_images, with_parents

_SHOWN = 3


# Files with a list of images


def read_images(
    source: Source, entries: Mapping[str, Sequence[Any]], listed_as: str = "images"
) -> tuple[list[Image], dict[str, dict[Id, str]]]:
    """All images of the source, and the image keys by annotation file and image id.

    The key is "" for an id of several images: nothing says which of them its annotations belong to. Records of one
    photo are joined. Photos that no record names come last.

    entries: the list of images of each annotation file: objects with id, file_name, width and height.
    listed_as: the name of that list in the file, for messages.
    """
    records = _located_records(
        source, [r for file, listed in entries.items() for r in _records(file, listed_as, listed)]
    )
    names_of_shared = _names_of_shared_ids(records)
    images: list[Image] = []
    number_of: dict[tuple[str, str], int] = {}
    ids: dict[str, dict[Id, int | None]] = {file: {} for file in entries}
    for record in records:
        sharing = names_of_shared.get((record.file, record.id), ())
        record = _with_shared_id(record, sharing) if sharing else record
        number = number_of.setdefault(_identity(record), len(images))
        if number == len(images):
            images.append(record.image)
        elif not images[number].problem:
            notes = [*images[number].notes, ("listed_twice", ""), *record.image.notes]
            images[number] = replace(images[number], notes=tuple(dict.fromkeys(notes)))
        if record.id is not None:
            ids[record.file][record.id] = None if sharing else number
    images = _with_unique_files(images, source)
    images = with_keys([*images, *unlisted_images(source, frozenset(image.file for image in images))])
    keys = {file: {id_: "" if n is None else images[n].key for id_, n in table.items()} for file, table in ids.items()}
    return images, keys


def image_key(record: dict[str, Any], keys: Mapping[Id, str]) -> str:
    """The key of the image that an annotation belongs to. Raises AnnotationError.

    keys: the image keys of its file, as `read_images` returns them.
    """
    number = record_id(record, "image_id")
    if keys.get(number):
        return keys[number]
    if number in keys:
        problem = f"its image_id {number!r} is the id of several images; give each image a different id"
        raise AnnotationError(problem, "ambiguous_image")
    raise AnnotationError(f"image_id {number} is not among the images; add its image or delete it", "unknown_image")


@dataclass(frozen=True, slots=True)
class _Record:
    """One entry of a list of images."""

    file: str  # the annotation file
    id: Id | None
    name: str  # the photo's name as written
    image: Image  # its fields that are known so far


def _records(file: str, listed_as: str, entries: Sequence[Any]) -> Iterator[_Record]:
    for position, entry in enumerate(entries):
        yield _record(file, f"{file}: {listed_as}[{position}]", entry)


def _record(file: str, place: str, entry: Any) -> _Record:
    image = Image(key="", file="", split=split_named(file), place=place)
    name, number = "", optional_id(entry)
    try:
        fields = json_object(entry)
        name = required_text(fields, "file_name")
        record_id(fields, "id")
    except AnnotationError as error:
        return _Record(file, number, name, replace(image, problem=error.reason, detail=str(error)))
    size = declared_size(fields.get("height"), fields.get("width"))
    return _Record(file, number, name, replace(image, place=f"{place} (id {number})", **size))


def _located_records(source: Source, records: list[_Record]) -> list[_Record]:
    """The records with image.file set, or with a problem: first the files that exist as written, then the others."""
    finder = PhotoFinder(source)
    names = [_name_in_list(record) for record in records]
    files = [finder.as_written(name.path, name.folders) or "" for name in names]
    exact = [
        _located(record, source, "" if stray else file)
        for record, file, stray in zip(records, files, are_strays(names, files), strict=True)
    ]
    place_of = {record.image.file: record.image.place for record in reversed(exact) if record.image.file}
    open_names = [
        None if record.image.file or record.image.problem else name for record, name in zip(exact, names, strict=True)
    ]
    return [
        replace(record, image=_guessed(record, guess)) if guess else record
        for record, guess in zip(exact, finder.similar(open_names, place_of), strict=True)
    ]


def _located(record: _Record, source: Source, file: str) -> _Record:
    image = replace(record.image, file=file, split=record.image.split or split_named(folder_of(file)))
    return replace(record, image=_refused(image, source))


def _refused(image: Image, source: Source) -> Image:
    """The image, as unreadable if its file must not be read."""
    if image.file not in source.refused or image.problem:
        return image
    return replace(image, problem="unreadable", detail=f"{image.file} {source.refused[image.file]}")


def _name_in_list(record: _Record) -> PhotoName:
    folders, origin = _photo_folders(record.file), origin_of(record.file)
    return PhotoName(path=record.name, folders=folders, place=record.image.place, origin=origin)


def _guessed(record: _Record, guess: FoundPhoto | AnnotationError) -> Image:
    image = record.image
    if isinstance(guess, AnnotationError):
        image = replace(image, file=path_inside(record.name), problem=guess.reason, detail=str(guess))
    else:
        image = replace(image, file=guess.file, notes=(*image.notes, guess.note))
    return replace(image, split=image.split or split_named(folder_of(image.file)))


@cache
def _photo_folders(json_file: str) -> tuple[str, ...]:
    """The possible folders of the photos of an annotation file: beside it, above it, and with its name."""
    bases = with_parents(folder_of(json_file))
    stem = re.sub(r"^instances_|\.json$", "", posixpath.basename(json_file))
    names = [stem, *SPLIT_WORDS.get(split_named(json_file) or "", ())]
    named = (path for name in names for path in (name, f"images/{name}", f"{name}/images"))
    inner = ["", "images", "JPEGImages", *named]
    return tuple(posixpath.join(base, name) for name in inner for base in bases)


def _identity(record: _Record) -> tuple[str, str]:
    """Equal for records of one image: the file; for a missing file its name, within one annotation file."""
    if not record.image.problem:
        return "", record.image.file
    return record.file, record.name if record.name and record.id is not None else record.image.place


def _names_of_shared_ids(records: Sequence[_Record]) -> dict[tuple[str, Id | None], tuple[str, ...]]:
    """The names of the images that share an id, by annotation file and id."""
    names: dict[tuple[str, Id | None], dict[tuple[str, str], str]] = {}
    for record in records:
        if record.id is not None:
            of_id = names.setdefault((record.file, record.id), {})
            of_id.setdefault(_identity(record), record.name or record.image.place)
    return {key: tuple(images.values()) for key, images in names.items() if len(images) > 1}


def _with_shared_id(record: _Record, names: Sequence[str]) -> _Record:
    """The record with the problem that images of these names share its id."""
    if record.image.problem:
        return record
    images = f"{len(names)} images ({', '.join(map(repr, names[:_SHOWN]))})"
    problem = f"{images} share the id {record.id!r}; give each image a different id"
    return replace(record, image=replace(record.image, problem="bad_record", detail=problem))


# An annotation file for each photo


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoReference:
    """A record, and how it refers to its photo."""

    image: Image  # the fields of the record, without file; its place is unique
    name: str = ""  # the photo's name as written, "" if there is none
    folder: str = ""  # the folder that the record writes beside the name, if any
    folders: tuple[str, ...] = (".",)  # where the name may be; the first is the annotation file's folder
    sibling: str = ""  # the photo with the name of the annotation file, if any
    embedded_in: str = ""  # the annotation file, if the photo is inside it; used where no file of it exists


def locate_photos(
    source: Source, references: Sequence[PhotoReference], others: Iterable[str] = ()
) -> tuple[list[Image], list[str]]:
    """All images of the source, sorted by file, and the image key of each reference.

    The first that exists is used: the file with the name as written, the sibling, the embedded photo, a similar name
    (see photo_finder). Exceptions:

    - A record has a sibling, but names the sibling of another record: it is a copy with an outdated name, so its
      sibling is used.
    - A record without a sibling uses the sibling of another record only if it names its path from the annotation file,
      or if the annotation files of both are in one folder.

    Records of one photo are joined, with a note if several of them write a name. Photos that no record names are
    included.

    others: image files that are not photos.
    """
    others = frozenset(others)
    joined: list[Image] = []
    number_of: dict[str, int] = {}
    numbers: list[int] = []
    named: set[int] = set()
    located = _with_unique_files(_located_references(source, references, others), source)
    for reference, image in zip(references, located, strict=True):
        number = number_of.setdefault(image.file or image.place, len(joined))
        if number == len(joined):
            joined.append(replace(image, notes=()))
        twice = (("listed_twice", ""),) if reference.name and number in named else ()
        notes = dict.fromkeys([*joined[number].notes, *image.notes, *twice])
        joined[number] = replace(joined[number], notes=tuple(notes))
        numbers.append(number)
        if reference.name:
            named.add(number)
    images = with_keys([*joined, *unlisted_images(source, others.union(image.file for image in joined))])
    return sorted(images, key=lambda image: (image.file, image.place)), [images[number].key for number in numbers]


def image_files_by_stem(source: Source) -> dict[str, str]:
    """The image files by their path without suffix; the first of several."""
    return {_stem(file): file for file in reversed(source.image_files)}


def sibling_photo(files_by_stem: Mapping[str, str], annotation_file: str) -> str:
    """The photo beside an annotation file that has its name, "" if there is none."""
    return files_by_stem.get(_stem(annotation_file), "")


def marked_or_beside_photos(source: Source, suffix: str, is_marked: Callable[[bytes], bool]) -> tuple[str, ...]:
    """The annotation files whose content is_marked accepts, with the others of the suffix beside a photo of their name.

    () if no file is accepted.
    """
    files = source.with_suffix(suffix)
    marked = {file for file in files if is_marked(file_bytes(source.root / file))}
    stems = image_files_by_stem(source)
    return tuple(file for file in files if marked and (file in marked or sibling_photo(stems, file)))


def with_image_keys(keys: Sequence[str], instances_of_files: Iterable[Sequence[Instance]]) -> tuple[Instance, ...]:
    """The instances of all files in one row, each with the key of its file's image."""
    pairs = zip(keys, instances_of_files, strict=True)
    return tuple(replace(instance, image_key=key) for key, instances in pairs for instance in instances)


def categories_of(instances: Iterable[Instance]) -> tuple[str, ...]:
    """The names of the categories that occur, sorted."""
    return tuple(sorted({instance.category for instance in instances if instance.category}))


def folders_around(annotation_file: str, *folders: str) -> tuple[str, ...]:
    """The folder of the annotation file, `folders` relative to it, and the top of the source."""
    base = folder_of(annotation_file)
    return tuple(dict.fromkeys([base, *(posixpath.normpath(posixpath.join(base, folder)) for folder in folders), "."]))


def _stem(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))


def _located_references(source: Source, references: Sequence[PhotoReference], others: Container[str]) -> list[Image]:
    finder = PhotoFinder(source, others)
    folders_of_sibling: dict[str, set[str]] = defaultdict(set)
    for reference in references:
        folders_of_sibling[reference.sibling].add(reference.folders[0])
    names = [_name_of_reference(reference) for reference in references]
    images = [_image_as_written(finder, reference, folders_of_sibling) for reference in references]
    files = [
        "" if image.file == reference.embedded_in else image.file
        for image, reference in zip(images, references, strict=True)
    ]
    images = [
        _image_without_file(reference) if stray else image
        for image, reference, stray in zip(images, references, are_strays(names, files), strict=True)
    ]
    place_of = {image.file: image.place for image in reversed(images)}
    open_names = [None if image.file or image.problem else name for image, name in zip(images, names, strict=True)]
    guesses = finder.similar(open_names, place_of)
    return [_image(source, image, guess) for image, guess in zip(images, guesses, strict=True)]


def _image_as_written(
    finder: PhotoFinder, reference: PhotoReference, folders_of_sibling: Mapping[str, Container[str]]
) -> Image:
    """The image with the file that exists as written, or the sibling; without file if neither exists.

    folders_of_sibling: the folders of the annotation files by their sibling.
    """
    named = finder.as_written(reference.name, reference.folders) if reference.name else None
    if named and is_image_file(named) and _may_mean(finder, reference, named, folders_of_sibling):
        return replace(reference.image, file=named)
    file = named if named == reference.sibling else _sibling_as_named(finder, reference) or reference.sibling
    if not file:
        return _image_without_file(reference)
    is_written = not reference.name or file == named or reference.name == PurePosixPath(file).stem
    notes = () if is_written else (found_elsewhere(reference.name, file),)
    return replace(reference.image, file=file, notes=(*reference.image.notes, *notes))


def _may_mean(
    finder: PhotoFinder, reference: PhotoReference, named: str, folders_of_sibling: Mapping[str, Container[str]]
) -> bool:
    """Whether the reference may mean the photo `named`: it is not the sibling of another record, or nearby."""
    if named not in folders_of_sibling:
        return True
    folder = reference.folders[0]
    nearby = folder in folders_of_sibling[named] or named == finder.as_written(reference.name, (folder,))
    return not reference.sibling and nearby


def _image_without_file(reference: PhotoReference) -> Image:
    return replace(reference.image, file="" if reference.image.problem else reference.embedded_in)


def _sibling_as_named(finder: PhotoFinder, reference: PhotoReference) -> str | None:
    """The photo that differs from the sibling only in its suffix, if it has the written name."""
    if not reference.sibling or not reference.name:
        return None
    name = posixpath.basename(reference.name.replace("\\", "/"))
    file = finder.as_written(name, [folder_of(reference.sibling)])
    return file if file and is_image_file(file) and _stem(file) == _stem(reference.sibling) else None


def _name_of_reference(reference: PhotoReference) -> PhotoName:
    path, place = reference.name, reference.image.place
    if reference.folder and posixpath.sep not in path:
        path = f"{reference.folder}/{path}"
    return PhotoName(path=path, folders=reference.folders, place=place, origin=origin_of(place))


def _image(source: Source, image: Image, guess: FoundPhoto | AnnotationError | None) -> Image:
    if isinstance(guess, AnnotationError):
        return replace(image, problem=guess.reason, detail=str(guess))
    if guess:
        image = replace(image, file=guess.file, notes=(*image.notes, guess.note))
    image = _refused(image, source)
    return replace(image, split=split_named(folder_of(image.file)) or split_named(image.place))


# Both kinds


def _with_unique_files(images: Sequence[Image], source: Source) -> list[Image]:
    """The images; an unusable image loses its file where another image has that file, or the source has it."""
    used = {image.file for image in images if not image.problem}
    present = frozenset(source.files)
    unique = []
    for image in images:
        if image.problem and (image.file in used or (image.problem == "missing_file" and image.file in present)):
            image = replace(image, file="")
        used.add(image.file)
        unique.append(image)
    return unique
