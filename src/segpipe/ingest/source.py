"""The files of a source folder, listed once. The list never contains a file outside the folder."""

import logging
import os
import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segpipe.core import machine
from segpipe.core.errors import UserError
from segpipe.data.photos import SUPPORTED_SUFFIXES
from segpipe.data.records import Image
from segpipe.data.split_words import split_named

logger = logging.getLogger(__name__)

# Image formats that cannot be read: each such file gets a row in the ledger.
UNSUPPORTED_SUFFIXES = (
    *(".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jfif", ".jpe", ".svg", ".ico", ".tga", ".pcx"),
    *(".psd", ".xcf", ".eps", ".exr", ".hdr", ".ppm", ".pgm", ".pbm", ".pnm", ".dds", ".dcm"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
)
_IMAGE_SUFFIXES = frozenset(SUPPORTED_SUFFIXES + UNSUPPORTED_SUFFIXES)
_EMBEDDED = re.compile(rb'"imageData"\s*:\s*"')  # LabelMe's


@dataclass(frozen=True, slots=True)
class Source:
    """A source folder and its files, as POSIX paths relative to the folder."""

    root: Path
    files: tuple[str, ...]  # sorted, without hidden files
    refused: dict[str, str]  # files that exist but must not be read, with the reason
    image_files: tuple[str, ...] = field(init=False)  # photos and masks: files with the suffix of an image format

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_files", tuple(filter(is_image_file, self.files)))

    def text(self, file: str) -> str:
        """The content of a UTF-8 text file. Raises UserError."""
        try:
            return (self.root / file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            machine.raise_if_machine_fault(error, file)
            raise UserError(
                f"{file}: cannot be read as UTF-8 text; save it as UTF-8, or remove it from the source"
            ) from error

    def with_suffix(self, suffix: str) -> list[str]:
        """The files whose name ends in `suffix`; upper and lower case are equal."""
        return [file for file in self.files if file.lower().endswith(suffix)]


def files_below(files: Sequence[str], folder: str) -> Sequence[str]:
    """The files in a folder and its sub-folders; "." is the top of the source.

    files: sorted. Two bisections find the range, which is many times faster than a search.
    """
    if folder == ".":
        return files
    return files[bisect_left(files, f"{folder}/") : bisect_left(files, f"{folder}0")]  # "0" comes after "/"


def list_source(root: Path) -> Source:
    """The files below `root`. Links to folders are not followed; links that leave `root` are refused.

    Raises UserError if `root` is not a folder or contains no image file.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "no such folder"
        raise UserError(f"{root}: {problem}; set ingest.source in params.yaml to the folder of your images")
    files: list[str] = []
    refused: dict[str, str] = {}
    for file, why in _walk(root):
        if why:
            refused[file] = why
        else:
            files.append(file)
    for file in sorted(refused):
        if not is_image_file(file):  # a refused image file gets a row in the ledger
            logger.warning("%s: not read: %s", file, refused[file])
    if not has_photos(root, files):
        hint = next((f"; {file} {why}" for file, why in sorted(refused.items())), "")
        kinds = ", ".join(SUPPORTED_SUFFIXES)
        raise UserError(
            f"{root}: contains no image file ({kinds}){hint}; set ingest.source in params.yaml to another folder"
        )
    return Source(root, tuple(sorted(files)), dict(sorted(refused.items())))


def has_photos(root: Path, files: Sequence[str]) -> bool:
    """Whether the files include an image file, or a JSON file with an embedded photo."""
    return any(map(is_image_file, files)) or any(
        _embeds(root / file) for file in files if file.lower().endswith(".json")
    )


def _embeds(path: Path) -> bool:
    try:
        return _EMBEDDED.search(path.read_bytes()) is not None
    except OSError as error:
        machine.raise_if_machine_fault(error, str(path))
        return False


def is_image_file(file: str) -> bool:
    """Whether the suffix is that of an image format."""
    return os.path.splitext(file)[1].lower() in _IMAGE_SUFFIXES  # noqa: PTH122 - called many times for each file


def unlisted_images(source: Source, listed: frozenset[str]) -> list[Image]:
    """Images for the image files that are not in `listed`: without annotations, or refused."""
    left = [file for file in source.image_files if file not in listed]
    refused = [file for file in source.refused if is_image_file(file) and file not in listed]
    images = [Image(key="", file=file, split=split_named(folder_of(file)), annotated=False) for file in left]
    return images + [
        Image(key="", file=file, annotated=False, problem="unreadable", detail=f"{file} {source.refused[file]}")
        for file in refused
    ]


def folder_of(file: str) -> str:
    """The folder of a file; "." for the top of the source."""
    return posixpath.dirname(file) or "."


def with_parents(folder: str) -> list[str]:
    """The folder and all folders above it; "." for the top of the source is the last.

    >>> with_parents("a/b")
    ['a/b', 'a', '.']
    """
    folders = [posixpath.normpath(folder)]
    while folders[-1] not in (".", "/", ".."):
        folders.append(folder_of(folders[-1]))
    return folders


def _walk(root: Path) -> Iterator[tuple[str, str]]:
    """(file, why it is refused or "") of all files below `root`."""
    real_root, folders = root.resolve(), [(root, "")]
    while folders:  # no recursion: folders may be nested more deeply than Python allows calls
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as entries:
                visible = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            if not prefix:
                raise UserError(f"{folder}: cannot be listed ({error.strerror}); change its permissions") from error
            machine.raise_if_machine_fault(error, prefix)
            logger.warning("%s: cannot be listed (%s); its files are not read", prefix, error.strerror)
            continue
        for entry in visible:
            file = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append((Path(entry.path), f"{file}/"))
            elif entry.is_symlink():
                yield from _link(Path(entry.path), real_root, file)
            else:
                yield _named(file, _why_unreadable(Path(entry.path)))


def _why_unreadable(path: Path) -> str:
    if not path.is_file():
        return "is a pipe or a device, not a file; remove it"
    return "" if os.access(path, os.R_OK) else "cannot be read by you; change its permissions"


def _link(path: Path, root: Path, file: str) -> Iterator[tuple[str, str]]:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        machine.raise_if_machine_fault(error, file)
        yield _named(file, "is a broken link; restore its target or remove the link")
        return
    if target.is_dir():
        logger.warning("%s: is a link to a folder and is not followed; replace it with the folder itself", file)
    elif not target.is_relative_to(root):
        yield _named(file, "is a link that leaves the source; replace it with the file itself (DVC: cache.type copy)")
    else:
        yield _named(file, _why_unreadable(target))


def _named(file: str, why: str = "") -> tuple[str, str]:
    try:
        file.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(file).decode(errors="backslashreplace")
        return shown, "has a name that is not valid UTF-8; rename it"
    return file, why
