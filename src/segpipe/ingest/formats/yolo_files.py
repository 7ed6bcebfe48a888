"""The files of a YOLO data set: label files and their photos, class names, lists of photos, and splits.

The folders and the formats of these files are described in yolo.py.
"""

import logging
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import yaml

from segpipe.core.errors import AnnotationError, UserError, at
from segpipe.data.records import Image
from segpipe.data.split_words import SPLIT_WORDS, split_named
from segpipe.ingest.parsing import file_bytes
from segpipe.ingest.photo_finder import FOUND_ELSEWHERE, FoundPhoto, PhotoFinder, PhotoName, path_inside
from segpipe.ingest.source import Source, folder_of, is_image_file

logger = logging.getLogger(__name__)

YoloFiles = Mapping[str, str]  # the photo, or "" if there is none, by label file

_LINE = re.compile(rb"\s*[0-9]+(\.0*)?([ \t]+[-+]?[0-9.]+([eE][-+]?[0-9]+)?){4,}[ \t]*(\r?\n|$)")
_HEAD_BYTES = 1 << 16
_NAMES_FILES = ("obj.names", "classes.names", "coco.names", "classes.txt")
_OWN_FILES = ("data.yaml", "dataset.yaml", "obj.names", "obj.data")


@dataclass(frozen=True, slots=True)
class ClassNames:
    """A data.yaml or a file of names."""

    names: Mapping[int, str]  # by class number
    file: str
    splits: Mapping[str, tuple[str, ...]]  # its train, val and test, as written
    has_keypoints: bool = False  # lines have keypoints behind the box


# Label files


def find(source: Source) -> YoloFiles:
    """The label files with their photos.

    {} unless the first line of a text file beside a photo is YOLO's, or all of these files are empty and the source
    has a file like data.yaml.
    """
    texts = [file for file in source.with_suffix(".txt") if posixpath.basename(file).lower() != "classes.txt"]
    by_stem = {str(PurePosixPath(file).with_suffix("")): file for file in reversed(source.image_files)}
    paired = {file: photo for file in texts if (photo := _photo_of(file, by_stem))}
    heads = {file: _head(source, file) for file in texts}
    if not any(_LINE.match(heads[file]) for file in paired) and not (paired and _all_empty(source, heads, paired)):
        return {}
    folders = {folder_of(file) for file in paired}
    without_photo = {
        file: "" for file in texts if file not in paired and folder_of(file) in folders and _LINE.match(heads[file])
    }
    return dict(sorted({**paired, **without_photo}.items()))


def _photo_of(file: str, by_stem: Mapping[str, str]) -> str:
    """The photo beside a label file, or in the folder "images" if the label file is in "labels"."""
    path = PurePosixPath(file).with_suffix("")
    if str(path) in by_stem:
        return by_stem[str(path)]
    parts = path.parts
    for position in range(len(parts) - 2, -1, -1):
        if parts[position].lower() == "labels":
            moved = [
                str(PurePosixPath(*parts[:position], name, *parts[position + 1 :])) for name in ("images", "Images")
            ]
            return next((by_stem[path] for path in moved if path in by_stem), "")
    return ""


def _head(source: Source, file: str) -> bytes:
    return file_bytes(source.root / file)[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")


def _all_empty(source: Source, heads: Mapping[str, bytes], paired: Mapping[str, str]) -> bool:
    has_own_file = any(posixpath.basename(file) in _OWN_FILES for file in source.files)
    return has_own_file and not any(heads[file].strip() for file in paired)


# Class names and splits


def class_names(source: Source) -> dict[str, ClassNames]:
    """The class names by the folder of their file. Raises UserError for a broken file."""
    tables: dict[str, ClassNames] = {}
    for file in [*source.with_suffix(".yaml"), *source.with_suffix(".yml")]:
        if b"names" not in file_bytes(source.root / file):
            continue
        text = source.text(file)
        with at(file):
            table = _of_yaml(text, file)
        if table is not None:
            tables.setdefault(folder_of(file), table)
    for name in _NAMES_FILES:
        for file in source.files:
            if posixpath.basename(file).lower() == name and folder_of(file) not in tables:
                names = [line.strip() for line in source.text(file).splitlines()]
                numbered = {number: name for number, name in enumerate(names) if name}
                tables[folder_of(file)] = ClassNames(numbered, file, {})
    return tables


def _of_yaml(text: str, file: str) -> ClassNames | None:
    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)  # every scalar is a text, no other objects
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = f"not valid YAML ({' '.join(str(error).split())[:120]})"
        raise UserError(f"{problem}; correct it, or remove it from the source") from error
    if not isinstance(document, dict) or "names" not in document:
        return None
    return ClassNames(_names(document["names"]), file, _splits(document), "kpt_shape" in document)


def _names(entry: Any) -> dict[int, str]:
    """The names by number. entry: a list of names, or names by number."""
    pairs = enumerate(entry) if isinstance(entry, list) else entry.items() if isinstance(entry, dict) else ()
    names = {}
    for key, name in pairs:
        if not isinstance(name, str) or not name.strip() or not re.fullmatch("[0-9]{1,9}", str(key)):
            raise UserError("names is neither a list of names nor names by number; correct it")
        names[int(key)] = name.strip()
    if not names:
        raise UserError("names has no name; add the names of the classes")
    return names


def _splits(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    places_of = {}
    for split in SPLIT_WORDS:
        entry = document.get(split) or document.get({"val": "valid"}.get(split, ""))
        places = entry if isinstance(entry, list) else [entry]
        places_of[split] = tuple(place for place in places if isinstance(place, str) and place.strip())
    return places_of


def split_folders(source: Source, tables: Mapping[str, ClassNames]) -> dict[str, str]:
    """The split of each folder of photos that a data.yaml names; its path may start in any folder."""
    folders = sorted({str(above) for file in source.image_files for above in PurePosixPath(file).parents})
    split_of: dict[str, str] = {}
    for base, table in tables.items():
        below = [folder for folder in folders if base == "." or folder == base or folder.startswith(f"{base}/")]
        for split, places in table.splits.items():
            for place in places:
                end = path_inside(place.strip())
                for folder in below:
                    if end and f"/{folder}".endswith(f"/{end}"):
                        split_of.setdefault(folder, split)
    return split_of


# Lists of photos


def listed_photos(source: Source, labels: YoloFiles) -> dict[str, Image]:
    """An image for each line of the lists (train.txt ...), by its place; a problem if its photo is missing."""
    finder = PhotoFinder(source)
    lists = [file for file in source.with_suffix(".txt") if file not in labels]
    lines = [_listed(finder, file, *entry) for file in lists for entry in _list_entries(source, file)]
    guesses = finder.similar(
        [None if image.file else name for image, name in lines], {image.file: image.place for image, _ in lines}
    )
    return {image.place: _guessed(image, name, guess) for (image, name), guess in zip(lines, guesses, strict=True)}


def _list_entries(source: Source, file: str) -> Iterator[tuple[int, str]]:
    """The (number, text) of each line of a text file whose first line is the path of an image file."""
    first = _head(source, file).split(b"\n", 1)[0].strip().decode("utf-8", "replace")
    if not is_image_file(first):
        return
    for number, line in enumerate(source.text(file).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def _listed(finder: PhotoFinder, file: str, number: int, line: str) -> tuple[Image, PhotoName]:
    """The image of a line: its path, without a leading "..", from the folder of the list or one above it."""
    place, path = f"{file}: line {number}", path_inside(line)
    folders = tuple(str(folder) for folder in PurePosixPath(file).parents)
    photo = finder.as_written(path, folders)
    image = Image(
        key="",
        file=photo if photo and is_image_file(photo) else "",
        split=split_named(posixpath.basename(file)),
        place=place,
    )
    return image, PhotoName(path=path, folders=folders, place=place, origin="")  # several lists may name one photo


def _guessed(image: Image, name: PhotoName, guess: FoundPhoto | AnnotationError | None) -> Image:
    if image.file:
        return image
    if isinstance(guess, FoundPhoto) and guess.note[0] == FOUND_ELSEWHERE:
        # no note: paths start where the tool that wrote the list ran
        return replace(image, file=guess.file)
    detail = f"no file {name.path!r} in the source; add the photo or remove the line"
    return replace(image, problem="missing_file", detail=detail)
