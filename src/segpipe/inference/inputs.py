"""Which pictures a user means by a file, a folder or a glob, and what to call their results."""

import glob
import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segpipe.errors import UserError

# What a user would expect to be read is not passed over, but tried, and reported as failed.
_READ = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".mpo")
_EXPECTED = (".gif", ".heic", ".heif", ".avif", ".jp2", ".ppm", ".pgm", ".tga", ".psd")


@dataclass(frozen=True, slots=True)
class Picture:
    """file: the picture; name: POSIX path without suffix for its results, unique among all pictures found."""

    file: Path
    name: str


@dataclass(frozen=True, slots=True)
class Found:
    """The pictures in the order given, those of a folder sorted; passed_over: files in folders that are no pictures."""

    pictures: tuple[Picture, ...]
    passed_over: int


def find(inputs: Sequence[str], output: Path) -> Found:
    """Find the pictures of `inputs`: files, folders (with their subfolders, kept in the names) and globs.

    Hidden files and earlier results (`output` inside an input) are left out, and a file meant twice counts once.
    Raises UserError if an input matches nothing or its results would lie among the pictures.
    """
    found: dict[str, Picture] = {}
    passed_over = set()
    for text in inputs:
        for file, place in _matches(text, output):
            same = os.path.abspath(file)  # noqa: PTH100 - Path.resolve would take a link for its target
            if file == Path(text) or file.suffix.lower() in _READ + _EXPECTED:
                found.setdefault(same, Picture(file, place))
            else:
                passed_over.add(same)
    names = _unique_names([PurePosixPath(picture.name) for picture in found.values()])
    pictures = tuple(Picture(picture.file, name) for picture, name in zip(found.values(), names, strict=True))
    _refuse_to_replace(found, pictures, output)
    return Found(pictures, len(passed_over))


def _matches(text: str, output: Path) -> Iterator[tuple[Path, str]]:
    """Each file that one input means, and its path from where the input starts."""
    path = Path(text)
    if path.is_file():
        yield path, path.name
        return
    root = path if path.is_dir() else _fixed_folder(text)
    if root.resolve() == output.resolve():
        raise UserError(f"{output}: masks would lie among the pictures; choose another output folder")
    matches = [path] if path.is_dir() else [Path(match) for match in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207
    if not matches:
        raise UserError(f"{text}: no such file or folder, and no glob that matches one")
    written_before = output.resolve() if root.resolve() in output.resolve().parents else None
    for match in matches:
        for file in _files(match):
            if written_before not in file.resolve().parents:
                yield file, file.relative_to(root).as_posix()


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or every file below a folder, sorted, but for hidden ones."""
    if path.is_file():
        yield path
        return
    for directory, subfolders, files in os.walk(path, onerror=_cannot_list):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(directory, name) for name in sorted(files) if not name.startswith("."))


def _cannot_list(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions") from error


def _fixed_folder(pattern: str) -> Path:
    """The folder that a glob starts from: its parts before the first one with a wildcard."""
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _refuse_to_replace(found: Container[str], pictures: Sequence[Picture], output: Path) -> None:
    for picture in pictures:
        mask = output / f"{picture.name}.png"
        if os.path.abspath(mask) in found:  # noqa: PTH100
            raise UserError(f"{mask}: this picture would be replaced by a mask; choose another output folder")


def _unique_names(places: Sequence[PurePosixPath]) -> list[str]:
    """The place without its suffix, with it where two would be the same, numbered where they still would be.

    Upper and lower case count as the same: on some file systems they are.
    """
    shared = Counter(_stem(place).casefold() for place in places)
    wanted = [_stem(place) if shared[_stem(place).casefold()] == 1 else str(place) for place in places]
    return list(_numbered(wanted))


def _stem(place: PurePosixPath) -> str:
    return str(place.with_suffix(""))


def _numbered(names: Sequence[str]) -> Iterator[str]:
    taken: set[str] = set()
    for name in names:
        unique, number = name, 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique.casefold())
        yield unique
