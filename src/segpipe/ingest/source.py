"""The files of a source folder, listed once. Nothing outside the folder is ever in the list."""

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

# Pictures too: listed, so that each gets its row in the ledger as an unsupported format.
OTHER_PICTURE_SUFFIXES = (
    *(".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jfif", ".jpe", ".svg", ".ico", ".tga", ".pcx"),
    *(".psd", ".xcf", ".eps", ".exr", ".hdr", ".ppm", ".pgm", ".pbm", ".pnm", ".dds", ".dcm"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
)
_PICTURE_SUFFIXES = frozenset(SUPPORTED_SUFFIXES + OTHER_PICTURE_SUFFIXES)
_EMBEDDED = re.compile(rb'"imageData"\s*:\s*"')  # LabelMe's


@dataclass(frozen=True, slots=True)
class Source:
    """A source folder. files: POSIX paths inside it, sorted, without hidden ones.

    refused: files that are there and must not be read, each with the reason in words; pictures: the files that are
    pictures by their suffix, readable here or not.
    """

    root: Path
    files: tuple[str, ...]
    refused: dict[str, str]
    image_files: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_files", tuple(filter(is_image_file, self.files)))

    def text(self, file: str) -> str:
        """What a UTF-8 text file of the source says. Raises UserError."""
        try:
            return (self.root / file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            machine.raise_if_machine_fault(error, file)
            raise UserError(
                f"{file}: cannot be read as UTF-8 text; save it so, or remove it from the source"
            ) from error

    def with_suffix(self, suffix: str) -> list[str]:
        """The files that end in `suffix`, in any case of letters."""
        return [file for file in self.files if file.lower().endswith(suffix)]


def files_below(files: Sequence[str], folder: str) -> Sequence[str]:
    """Those of sorted `files` that lie below a folder, "." for the source itself; many times cheaper than a search."""
    if folder == ".":
        return files
    return files[bisect_left(files, f"{folder}/") : bisect_left(files, f"{folder}0")]  # "0" comes after "/"


def list_source(root: Path) -> Source:
    """List the files of `root`. Links to folders are not followed, links that leave `root` are refused.

    Raises UserError if `root` is no folder or holds no picture.
    """
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "no such folder"
        raise UserError(f"{root}: {problem}; set ingest.source in params.yaml to the folder of your photographs")
    files: list[str] = []
    refused: dict[str, str] = {}
    for file, why in _walk(root):
        if why:
            refused[file] = why
        else:
            files.append(file)
    for file in sorted(refused):
        if not is_image_file(file):  # a picture gets its row in the ledger
            logger.warning("%s: not read: %s", file, refused[file])
    if not has_photos(root, files):
        hint = next((f"; {file} {why}" for file, why in sorted(refused.items())), "")
        kinds = ", ".join(SUPPORTED_SUFFIXES)
        raise UserError(f"{root}: holds no picture ({kinds}){hint}; set ingest.source in params.yaml to another folder")
    return Source(root, tuple(sorted(files)), dict(sorted(refused.items())))


def has_photos(root: Path, files: Sequence[str]) -> bool:
    """Whether a picture is among the files, or an annotation file with one inside."""
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
    """Whether the suffix is one of a picture."""
    return os.path.splitext(file)[1].lower() in _PICTURE_SUFFIXES  # noqa: PTH122 - asked for each file, many times


def unlisted_images(source: Source, listed: frozenset[str]) -> list[Image]:
    """Records of the pictures that are not in `listed`: no annotation file names them, or they must not be read."""
    left = [file for file in source.image_files if file not in listed]
    refused = [file for file in source.refused if is_image_file(file) and file not in listed]
    images = [Image(key="", file=file, split=split_named(folder_of(file)), annotated=False) for file in left]
    return images + [
        Image(key="", file=file, annotated=False, problem="unreadable", detail=f"{file} {source.refused[file]}")
        for file in refused
    ]


def folder_of(file: str) -> str:
    """The folder a file stands in, "." for the source itself."""
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
    """(file, why it is refused or "") of everything below."""
    real_root, folders = root.resolve(), [(root, "")]
    while folders:  # no recursion: folders may be nested deeper than calls
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            if not prefix:
                raise UserError(f"{folder}: cannot be listed ({error.strerror}); change its permissions") from error
            machine.raise_if_machine_fault(error, prefix)
            logger.warning("%s: cannot be listed (%s); its files are left out", prefix, error.strerror)
            continue
        for entry in found:
            file = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append((Path(entry.path), f"{file}/"))
            elif entry.is_symlink():
                yield from _link(Path(entry.path), real_root, file)
            else:
                yield _named(file, _why_unreadable(Path(entry.path)))


def _why_unreadable(path: Path) -> str:
    if not path.is_file():
        return "is no file but a pipe or a device; remove it"
    return "" if os.access(path, os.R_OK) else "may not be read by you; change its permissions"


def _link(path: Path, root: Path, file: str) -> Iterator[tuple[str, str]]:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # the latter of a link to itself
        machine.raise_if_machine_fault(error, file)
        yield _named(file, "is a link to nothing; restore the file or remove the link")
        return
    if target.is_dir():
        logger.warning("%s: is a link to a folder, which is not followed; put the folder itself there", file)
    elif not target.is_relative_to(root):
        yield _named(file, "is a link that leaves the source; put the file itself there (DVC: cache.type copy)")
    else:
        yield _named(file, _why_unreadable(target))


def _named(file: str, why: str = "") -> tuple[str, str]:
    try:
        file.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(file).decode(errors="backslashreplace")
        return shown, "its name is not valid UTF-8; rename it"
    return file, why
