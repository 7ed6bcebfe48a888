"""Files that are written whole or not at all, with equal bytes for equal content."""

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segpipe.core.errors import UserError

_PART = ".part"
_NAME = 40  # characters of a file's name in that of its temporary file: file systems limit the length of names


@contextmanager
def atomic_write(path: Path, durable: bool = True) -> Iterator[Path]:
    """The path of a temporary file beside `path`. On success it replaces `path`, on any error it is removed.

    durable: flush it to the disk before it replaces `path`; then even a power cut cannot leave half a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:_NAME]}.{os.urandom(8).hex()}{_PART}")
    try:
        yield part
        if durable:
            with part.open("rb") as written:
                os.fsync(written.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:
            # the error of a full disk does not name the file
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def remove_parts(path: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote `path`, a file or a folder of files."""
    beside = path.parent.glob(f".{glob.escape(path.name[:_NAME])}.{'[0-9a-f]' * 16}{_PART}")
    for part in [*beside, *path.rglob(f".*{_PART}")]:
        part.unlink(missing_ok=True)


def make_empty(folder: Path) -> None:
    """Make the folder, without the files of an earlier run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def write_bytes(path: Path, data: bytes | memoryview, durable: bool = True) -> None:
    """Write `data` to `path`, whole or not at all; durable: as for `atomic_write`."""
    with atomic_write(path, durable) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with LF line ends to `path`, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark. Raises UserError if it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8; save it as UTF-8") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; restore it from git, or name another in params.yaml") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a file") from None


def write_json(path: Path, document: Any) -> None:
    """Write `document` as sorted, indented JSON to `path`, whole or not at all. Raises ValueError on NaN."""
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
