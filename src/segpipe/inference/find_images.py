"""Which pictures a user means by a file, a folder or a glob, and what to call their results."""

import glob
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from segpipe.core.errors import UserError
from segpipe.inference.results import LIST, Results, same_name

# What a user would expect to be read is not passed over, but tried, and reported as failed.
_READ = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".mpo")
_EXPECTED = (".gif", ".heic", ".heif", ".avif", ".jp2", ".ppm", ".pgm", ".tga", ".psd")
_ANY_DEPTH = "**"


@dataclass(frozen=True, slots=True)
class InputImage:
    """file: the picture; name: POSIX path without suffix for its results, unique among all pictures found."""

    file: Path
    name: str


@dataclass(frozen=True, slots=True)
class Found:
    """The pictures in the order given, those of a folder sorted.

    passed_over: files in folders that are no pictures; earlier: results of earlier runs, left out.
    """

    images: tuple[InputImage, ...]
    passed_over: int
    earlier: int

    def left_out(self) -> str:
        """The files that are left out, to be appended to a message: ", 2 other files skipped" or ""."""
        others = f", {_count(self.passed_over, 'other file')} skipped" if self.passed_over else ""
        earlier = f", {_count(self.earlier, 'result')} of earlier runs left out" if self.earlier else ""
        return others + earlier


def find(inputs: Sequence[str], output: Path) -> Found:
    """Find the pictures of `inputs`: files, folders (with their subfolders, kept in the names) and globs.

    Hidden files and results of earlier runs are left out. A file meant twice counts once, and so does a folder that
    links lead to. Raises UserError if an input matches nothing or its results would lie among the pictures.
    """
    found: dict[str, InputImage] = {}
    passed_over, earlier = set(), set()
    real, is_result = cache(os.path.realpath), _results_anywhere()
    for text in inputs:
        is_inside = _is_below(real(output), real(_start(text)))
        for file, name in _matches(text, output):
            folder = real(file.parent)
            place = f"{folder}/{file.name}"  # whatever links lead there; a link to a file is a file of its name
            if file == Path(text):
                found.setdefault(place, InputImage(file, name))
            elif is_result(folder, file.name):
                earlier.add(place)
            elif not _is_expected(file):
                passed_over.add(place)
            elif is_inside and _is_below(place, real(output)):
                raise UserError(
                    f"{file}: lies in the output folder and no {LIST} lists it; choose another output folder"
                )
            else:
                found.setdefault(place, InputImage(file, name))
    names = _unique_names([PurePosixPath(picture.name) for picture in found.values()])
    images = tuple(InputImage(picture.file, name) for picture, name in zip(found.values(), names, strict=True))
    return Found(images, len(passed_over), len(earlier))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _results_anywhere() -> Callable[[str, str], bool]:
    """Whether the file of a name in a folder is a result in an output folder of whatever run."""
    results = cache(Results)

    @cache
    def lists(folder: Path) -> list[tuple[Results, PurePosixPath]]:
        """The lists of results in the folder and above it, with its path from there."""
        listed = (above for above in (folder, *folder.parents) if _exists(above / LIST))
        return [(results(above), PurePosixPath(folder.relative_to(above))) for above in listed]

    return lambda folder, name: any(listed.has(str(path / name)) for listed, path in lists(Path(folder)))


def _is_expected(file: Path) -> bool:
    """Whether a user would expect it to be read; a link that leads nowhere may be one to a picture, or to a folder."""
    return file.suffix.lower() in _READ + _EXPECTED or not _exists(file)


def _is_below(path: str, folder: str) -> bool:
    return Path(folder) in Path(path).parents


def _matches(text: str, output: Path) -> Iterator[tuple[Path, str]]:
    """Each file that one input means, and its path from where the input starts."""
    path = Path(text)
    if os.path.lexists(path) and not _is_folder(path):
        yield path, path.name
        return
    start = _start(text)
    if os.path.realpath(start) == os.path.realpath(output):
        raise UserError(f"{output}: masks would lie among the pictures; choose another output folder")
    matches = [path] if start == path else _expanded(text)
    if not matches:
        raise UserError(f"{text}: no such file or folder, and no glob that matches one")
    for match in matches:
        for file in _files(match):
            yield file, _inside(file.relative_to(start))


def _start(text: str) -> Path:
    """The folder that an input is, or that a glob starts from: its parts before the first one with a wildcard."""
    path = Path(text)
    if _is_folder(path):
        return path
    parts = path.parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _inside(path: Path) -> str:
    """The path without steps upwards: its results lie in the output folder."""
    return PurePosixPath(*(part for part in Path(os.path.normpath(path)).parts if part != "..")).as_posix()


def _expanded(pattern: str) -> list[Path]:
    """What a glob matches, sorted. Its ** enters each folder once; the glob module's goes round loops of links."""
    parts = Path(pattern).parts
    if _ANY_DEPTH not in parts:
        return sorted(Path(match) for match in glob.glob(pattern))  # noqa: PTH207 - takes absolute patterns
    first = parts.index(_ANY_DEPTH)
    before, after = Path(*parts[:first]), parts[first + 1 :]
    starts = [start for start in (_expanded(str(before)) if first else [before]) if _is_folder(start)]
    if not after:
        return starts
    folders = [folder for start in starts for folder, _ in _folders(start)]
    return sorted({match for f in folders for match in _expanded(str(Path(glob.escape(str(f)), *after)))})


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or every file below a folder but for hidden ones."""
    if not _is_folder(path):
        yield path
        return
    for folder, names in _folders(path):
        yield from (folder / name for name in names)


def _folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder from `top` down with the names of its files, sorted, hidden ones left out.

    Links are followed after all else, and each folder comes once, by a path without links if there is one.
    """
    seen, waiting = set(), deque([top])
    while waiting:
        for folder, subfolders, names in os.walk(waiting.popleft(), onerror=_cannot_list):
            if os.path.realpath(folder) in seen:
                subfolders.clear()
                continue
            seen.add(os.path.realpath(folder))
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            waiting.extend(link for name in subfolders if (link := Path(folder, name)).is_symlink())
            yield Path(folder), sorted(name for name in names if not name.startswith("."))


def _cannot_list(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions") from error


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a folder may not be entered


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def _unique_names(places: Sequence[PurePosixPath]) -> list[str]:
    """The place without its suffix, with it where two would be the same, numbered where they still would be.

    Names that are one file on some file systems count as the same.
    """
    shared = Counter(same_name(_stem(place)) for place in places)
    wanted = [_stem(place) if shared[same_name(_stem(place))] == 1 else str(place) for place in places]
    return list(_numbered(wanted))


def _stem(place: PurePosixPath) -> str:
    return str(place.with_suffix(""))


def _numbered(names: Sequence[str]) -> Iterator[str]:
    used: set[str] = set()
    for name in names:
        unique, number = name, 1
        while same_name(unique) in used:
            number += 1
            unique = f"{name}-{number}"
        used.add(same_name(unique))
        yield unique
