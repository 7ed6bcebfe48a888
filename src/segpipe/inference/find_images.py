"""The images that a user names by files, folders and globs, and the names of their results."""

import glob
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from segpipe.core.errors import UserError
from segpipe.inference.results import LIST, ResultFolder, same_name

_READ = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".mpo")
_EXPECTED = (".gif", ".heic", ".heif", ".avif", ".jp2", ".ppm", ".pgm", ".tga", ".psd")  # not skipped: they fail
_ANY_DEPTH = "**"


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image file and the name of its results."""

    file: Path
    name: str  # POSIX path without suffix, unique among all images found


@dataclass(frozen=True, slots=True)
class InputImages:
    """The images in the order of the inputs; those of a folder are sorted."""

    images: tuple[InputImage, ...]
    skipped: int  # number of files in folders that are not images
    earlier: int  # number of results of earlier runs, which are left out

    def left_out(self) -> str:
        """The files that are left out, to be appended to a message: ", 2 other files skipped" or ""."""
        others = f", {_count(self.skipped, 'other file')} skipped" if self.skipped else ""
        earlier = f", {_count(self.earlier, 'result')} of earlier runs left out" if self.earlier else ""
        return others + earlier


def find(inputs: Sequence[str], output: Path) -> InputImages:
    """Find the images of `inputs`: files, folders (their subfolders become part of the names) and globs.

    Hidden files and results of earlier runs are left out. A file that several inputs or links lead to counts once.
    Raises UserError if an input matches nothing, or if results would be written among the images.
    """
    image_at: dict[str, InputImage] = {}
    skipped, earlier = set(), set()
    real, is_result = cache(os.path.realpath), _result_test()
    for text in inputs:
        is_inside = _is_below(real(output), real(_start(text)))
        for file, name in _matches(text, output):
            folder = real(file.parent)
            place = f"{folder}/{file.name}"  # without links of folders; a link to a file is a file of its name
            if file == Path(text):
                image_at.setdefault(place, InputImage(file, name))
            elif is_result(folder, file.name):
                earlier.add(place)
            elif not _is_expected(file):
                skipped.add(place)
            elif is_inside and _is_below(place, real(output)):
                raise UserError(
                    f"{file}: is in the output folder, but not in the list {LIST}; choose another output folder"
                )
            else:
                image_at.setdefault(place, InputImage(file, name))
    names = _unique_names([PurePosixPath(image.name) for image in image_at.values()])
    images = tuple(InputImage(image.file, name) for image, name in zip(image_at.values(), names, strict=True))
    return InputImages(images, len(skipped), len(earlier))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _result_test() -> Callable[[str, str], bool]:
    """A function of a folder and a file name: whether the file is a result of an earlier run in any output folder."""
    results = cache(ResultFolder)

    @cache
    def lists(folder: Path) -> list[tuple[ResultFolder, PurePosixPath]]:
        """The lists of results in the folder and above it, each with the path from there to the folder."""
        listed = (above for above in (folder, *folder.parents) if _exists(above / LIST))
        return [(results(above), PurePosixPath(folder.relative_to(above))) for above in listed]

    return lambda folder, name: any(listed.has(str(path / name)) for listed, path in lists(Path(folder)))


def _is_expected(file: Path) -> bool:
    """Whether a user expects the file to be read; a broken link counts, as it may have led to an image or a folder."""
    return file.suffix.lower() in _READ + _EXPECTED or not _exists(file)


def _is_below(path: str, folder: str) -> bool:
    return Path(folder) in Path(path).parents


def _matches(text: str, output: Path) -> Iterator[tuple[Path, str]]:
    """Each file of one input, with its path from the folder where the input starts."""
    path = Path(text)
    if os.path.lexists(path) and not _is_folder(path):
        yield path, path.name
        return
    start = _start(text)
    if os.path.realpath(start) == os.path.realpath(output):
        raise UserError(f"{output}: masks would be written among the images; choose another output folder")
    matches = [path] if start == path else _expanded(text)
    if not matches:
        raise UserError(f"{text}: no such file or folder, and as a glob it matches nothing")
    for match in matches:
        for file in _files(match):
            yield file, _without_parents(file.relative_to(start))


def _start(text: str) -> Path:
    """The folder of an input: itself, or the part of a glob before the first wildcard."""
    path = Path(text)
    if _is_folder(path):
        return path
    parts = path.parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _without_parents(path: Path) -> str:
    """The POSIX path without "..": results must stay in the output folder."""
    return PurePosixPath(*(part for part in Path(os.path.normpath(path)).parts if part != "..")).as_posix()


def _expanded(pattern: str) -> list[Path]:
    """The matches of a glob, sorted. Its ** enters each folder once; that of the glob module follows loops of links."""
    parts = Path(pattern).parts
    if _ANY_DEPTH not in parts:
        return sorted(Path(match) for match in glob.glob(pattern))  # noqa: PTH207 - accepts absolute patterns
    first = parts.index(_ANY_DEPTH)
    before, after = Path(*parts[:first]), parts[first + 1 :]
    starts = [start for start in (_expanded(str(before)) if first else [before]) if _is_folder(start)]
    if not after:
        return starts
    folders = [folder for start in starts for folder, _ in _folders(start)]
    return sorted({match for f in folders for match in _expanded(str(Path(glob.escape(str(f)), *after)))})


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or every file in a folder and its subfolders, without hidden ones."""
    if not _is_folder(path):
        yield path
        return
    for folder, names in _folders(path):
        yield from (folder / name for name in names)


def _folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """`top` and each folder below it with the sorted names of its files, without hidden folders and files.

    Links are followed last. Each folder comes once, by a path without links if there is one.
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
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for a folder without permission


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def _unique_names(places: Sequence[PurePosixPath]) -> list[str]:
    """A different name for each path: without suffix, with suffix where two would be equal, then with a number.

    Names that are equal on some file systems count as equal.

    >>> _unique_names([PurePosixPath(path) for path in ("a.jpg", "A.png", "b.jpg", "a.jpg")])
    ['a.jpg', 'A.png', 'b', 'a.jpg-2']
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
