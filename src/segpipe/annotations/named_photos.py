"""Records that name one photograph each: which file of the source each means."""

import posixpath
import reprlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from segpipe.annotations import values
from segpipe.annotations.finding import Finder
from segpipe.annotations.keys import with_keys
from segpipe.annotations.source import Source, folder_of, is_picture, split_named, unlisted
from segpipe.errors import AnnotationError
from segpipe.records import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A record and how it names its photograph.

    image: what the record says, its place unlike any other's, without file; name: as written ("" if it has none);
    folders: where that name may stand; own: the picture that goes with the annotation file by its own name, if any;
    inside: the annotation file, if the photograph stands in it, which counts where there is no file of it.
    """

    image: Image
    name: str = ""
    folders: tuple[str, ...] = (".",)
    own: str = ""
    inside: str = ""


def locate(source: Source, wanted: Sequence[Wanted], others: Iterable[str] = ()) -> tuple[list[Image], list[str]]:
    """All images of the source, sorted by file, and the image key of each record.

    A name counts as written, then the own picture, then a picture of that name anywhere. A name that means the own
    picture of another record, while this one has its own, was left behind by copying: the own picture counts.
    Records of one file join; pictures that no record names are there too, but for `others`, which are no photographs.
    """
    joined: list[Image] = []
    number_of: dict[str, int] = {}
    numbers: list[int] = []
    for draft in _naming_files_once(_found(source, wanted)):
        numbers.append(number_of.setdefault(draft.file or draft.place, len(joined)))
        if numbers[-1] == len(joined):
            joined.append(draft)
    images = with_keys([*joined, *unlisted(source, frozenset([*others, *(image.file for image in joined)]))])
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


def _found(source: Source, wanted: Sequence[Wanted]) -> list[Image]:
    finder = Finder(source)
    owned = {record.own for record in wanted}
    exact = [_exactly(finder, record, owned) for record in wanted]
    taken = set(exact)
    return [_image(source, finder, *pair, taken) for pair in zip(wanted, exact, strict=True)]


def _exactly(finder: Finder, record: Wanted, owned: Container[str]) -> str:
    named = finder.exactly(record.name, record.folders) if record.name else None
    if named is None or not is_picture(named):
        return record.own
    return record.own if record.own and named in owned else named


def _image(source: Source, finder: Finder, record: Wanted, file: str, taken: Container[str]) -> Image:
    image = record.image
    if not file and not image.problem:
        try:
            file = finder.by_name(record.name, taken)
        except AnnotationError as error:
            if not record.inside:
                return replace(image, problem=error.reason, detail=str(error))
            file = record.inside
    if file in source.refused and not image.problem:
        image = replace(image, problem="unreadable", detail=f"{file} {source.refused[file]}")
    return replace(image, file=file, split=split_named(folder_of(file)) or split_named(image.place))


def _naming_files_once(images: Sequence[Image]) -> list[Image]:
    """The images, with the file taken out of a record that cannot be used where another record has that file."""
    count = Counter(image.file for image in images)
    return [replace(image, file="") if image.problem and count[image.file] > 1 else image for image in images]
