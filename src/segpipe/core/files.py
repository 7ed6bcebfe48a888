"""Files that are written whole or not at all, and the same bytes for the same content."""

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segpipe.core.errors import UserError

_PART = ".part"


@contextmanager
def whole(path: Path, durable: bool = True) -> Iterator[Path]:
    """Give a path to write to beside `path`; on success what is there takes `path`'s place, on any error it is removed.

    durable: on the disk itself before it takes the place, so that not even a power cut leaves half a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{_part_prefix(path)}{os.urandom(8).hex()}{_PART}")
    try:
        yield part
        if durable:
            with part.open("rb") as written:
                os.fsync(written.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:
            # a full disk does not say whose writing it refused
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def remove_parts(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` left beside it."""
    for part in path.parent.glob(f"{glob.escape(_part_prefix(path))}*{_PART}"):
        part.unlink(missing_ok=True)


def _part_prefix(path: Path) -> str:
    return f".{path.name[:40]}."


def write_bytes(path: Path, data: bytes | memoryview, durable: bool = True) -> None:
    """Write `data` to `path`, whole or not at all; durable as for `whole`."""
    with whole(path, durable) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with LF line ends to `path`, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark. Raises UserError for a file that is none."""
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
