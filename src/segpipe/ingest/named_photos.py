"""Records that name one photograph each: which file of the source each means."""

import posixpath
import reprlib
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Image
from segpipe.data.split_words import split_named
from segpipe.ingest import values
from segpipe.ingest.finding import Finder, Found, Name, elsewhere, origin_of, strays
from segpipe.ingest.keys import with_keys
from segpipe.ingest.source import Source, folder_of, is_picture, unlisted


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A record and how it names its photograph.

    image: what the record says, its place unlike any other's, without file; name: as written ("" if it has none);
    folder: that it writes beside the name, if any; folders: where the name may be; own: the picture that goes with the
    annotation file by that file's name, if any; inside: the annotation file, if the photograph is in it, which counts
    where there is no file of it.
    """

    image: Image
    name: str = ""
    folder: str = ""
    folders: tuple[str, ...] = (".",)
    own: str = ""
    inside: str = ""


def locate(source: Source, wanted: Sequence[Wanted], others: Iterable[str] = ()) -> tuple[list[Image], list[str]]:
    """All images of the source, sorted by file, and the image key of each record.

    A name counts as written, then the own picture, then the photograph inside, then as `finding` has it. A name that
    means the own picture of another record, while this one has its own, was left behind by copying: the own picture
    counts. A record without an own picture has that of another only by its path from the annotation file, or if the
    annotation files of both are in one folder. Records of one file join, with a note where several write a name;
    pictures that no record names are there too, but for `others`, which are no photographs.
    """
    others = frozenset(others)
    joined: list[Image] = []
    number_of: dict[str, int] = {}
    numbers: list[int] = []
    named: set[int] = set()
    for record, draft in zip(wanted, _naming_files_once(_found(source, wanted, others)), strict=True):
        number = number_of.setdefault(draft.file or draft.place, len(joined))
        if number == len(joined):
            joined.append(replace(draft, notes=()))
        twice = (("listed_twice", ""),) if record.name and number in named else ()
        notes = dict.fromkeys([*joined[number].notes, *draft.notes, *twice])
        joined[number] = replace(joined[number], notes=tuple(notes))
        numbers.append(number)
        if record.name:
            named.add(number)
    images = with_keys([*joined, *unlisted(source, others.union(image.file for image in joined))])
    return sorted(images, key=lambda image: (image.file, image.place)), [images[number].key for number in numbers]


def own_pictures(source: Source) -> dict[str, str]:
    """The pictures by their path without suffix; of several, the first."""
    return {_stem(file): file for file in reversed(source.pictures)}


def own_picture(pictures: Mapping[str, str], annotation_file: str) -> str:
    """The picture beside an annotation file that has its name, "" if there is none."""
    return pictures.get(_stem(annotation_file), "")


def beside(annotation_file: str, *folders: str) -> tuple[str, ...]:
    """The annotation file's own folder, `folders` as seen from there, and the source's top."""
    own = folder_of(annotation_file)
    return tuple(dict.fromkeys([own, *(posixpath.normpath(posixpath.join(own, folder)) for folder in folders), "."]))


def declared_size(height: Any, width: Any) -> dict[str, Any]:
    """width and height as fields of an Image where both are positive whole numbers; else what is wrong as detail."""
    if height is None and width is None:
        return {}
    if values.is_whole(height, least=1) and values.is_whole(width, least=1):
        return {"height": int(height), "width": int(width)}
    return {"detail": f"the declared {reprlib.repr(width)} x {reprlib.repr(height)} pixels are no size and not used"}


def _stem(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))


def _found(source: Source, wanted: Sequence[Wanted], others: Container[str]) -> list[Image]:
    finder = Finder(source, others)
    owned: dict[str, set[str]] = defaultdict(set)
    for record in wanted:
        owned[record.own].add(record.folders[0])
    meant = [_name(record) for record in wanted]
    sure = [_sure(finder, record, owned) for record in wanted]
    files = ["" if image.file == record.inside else image.file for image, record in zip(sure, wanted, strict=True)]
    sure = [
        _without_file(record) if stray else image
        for image, record, stray in zip(sure, wanted, strays(meant, files), strict=True)
    ]
    written = {image.file: image.place for image in reversed(sure)}
    names = [None if image.file or image.problem else name for image, name in zip(sure, meant, strict=True)]
    return [_image(source, *found) for found in zip(sure, finder.loosely(names, written), strict=True)]


def _sure(finder: Finder, record: Wanted, owned: Mapping[str, Container[str]]) -> Image:
    """The image with the file that needs no guess, if there is one.

    owned: the pictures that go with annotation files by their names, with the folders of these files.
    """
    named = finder.exactly(record.name, record.folders) if record.name else None
    if named and is_picture(named) and _is_meant(finder, record, named, owned):
        return replace(record.image, file=named)
    file = named if named == record.own else _of_its_suffix(finder, record) or record.own
    if not file:
        return _without_file(record)
    is_written = not record.name or file == named or record.name == PurePosixPath(file).stem
    notes = () if is_written else (elsewhere(record.name, file),)
    return replace(record.image, file=file, notes=(*record.image.notes, *notes))


def _is_meant(finder: Finder, record: Wanted, named: str, owned: Mapping[str, Container[str]]) -> bool:
    """Whether the picture is no other record's, or the record has none and can mean that one: from the same folder."""
    if named not in owned:
        return True
    beside = record.folders[0] in owned[named] or named == finder.exactly(record.name, record.folders[:1])
    return not record.own and beside


def _without_file(record: Wanted) -> Image:
    return replace(record.image, file="" if record.image.problem else record.inside)


def _of_its_suffix(finder: Finder, record: Wanted) -> str | None:
    """The picture that differs from `own` in its suffix only, if its name is the one written."""
    if not record.own or not record.name:
        return None
    file = finder.exactly(posixpath.basename(record.name.replace("\\", "/")), [folder_of(record.own)])
    return file if file and is_picture(file) and _stem(file) == _stem(record.own) else None


def _name(record: Wanted) -> Name:
    place = record.image.place
    path = f"{record.folder}/{record.name}" if record.folder and posixpath.sep not in record.name else record.name
    return Name(path=path, folders=record.folders, place=place, origin=origin_of(place))


def _image(source: Source, image: Image, guess: Found | AnnotationError | None) -> Image:
    if isinstance(guess, AnnotationError):
        return replace(image, problem=guess.reason, detail=str(guess))
    if guess:
        image = replace(image, file=guess.file, notes=(*image.notes, guess.note))
    if image.file in source.refused and not image.problem:
        image = replace(image, problem="unreadable", detail=f"{image.file} {source.refused[image.file]}")
    return replace(image, split=split_named(folder_of(image.file)) or split_named(image.place))


def _naming_files_once(images: Sequence[Image]) -> list[Image]:
    """The images, with the file taken out of a record that cannot be used where another record has that file."""
    count = Counter(image.file for image in images)
    return [replace(image, file="") if image.problem and count[image.file] > 1 else image for image in images]
