"""Shards, the units of work, and their results, which are kept from run to run.

Records belong to a shard by a hash of their key, so an added record changes one shard. The number of shards is a power
of two: if it doubles, each shard is divided into two.

A kept result is a folder of files. Its name has a hash of everything that decides it. SHA256SUMS in it has the hash of
each file, and a result is used only if all of them are right. Results are outside the outputs of the stages, since DVC
deletes those before a stage runs. An output is a hard link to the kept file where the file system has such links. A
stage deletes all other results at its end. Files of results are not flushed to the disk: after a power cut, their
hashes are wrong.
"""

import hashlib
import logging
import marshal
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segpipe.core.files import sha256_of

FOLDER = Path(".segpipe/shards")
_TARGET, _MANY, _TARGET_OF_MANY = 128, 10_000, 512  # images in a shard at most, on average
_SUMS, _PART = "SHA256SUMS", ".part"
_NAME = re.compile("([0-9]+)-([0-9]+)-[0-9a-f]+")  # of a result's folder: number of shards, shard, key
_BY_VALUE = 2  # marshal's last version that writes values only: later ones also write which objects are identical
logger = logging.getLogger(__name__)


def count_for(images: int) -> int:
    """The number of shards for a number of images: 64 to 128 images each; up to 512 each above 10,000.

    >>> [count_for(n) for n in (0, 128, 129, 8_000, 40_000, 65_537)]
    [1, 1, 2, 64, 128, 256]
    """
    few = _power_of_two(min(images, _MANY) / _TARGET)
    return max(few, _power_of_two(images / _TARGET_OF_MANY))


def _power_of_two(least: float) -> int:
    count = 1
    while count < least:
        count *= 2
    return count


def shard_of(key: str, count: int) -> int:
    """The shard of a key, 0..count-1. count: the number of shards, a power of two."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") % count


def positions(keys: Sequence[str], count: int) -> list[np.ndarray]:
    """The positions of the keys of each shard, ascending, int64 (n,) each."""
    numbers = {key: shard_of(key, count) for key in dict.fromkeys(keys)}
    shard = np.array([numbers[key] for key in keys], np.int64)
    order = np.argsort(shard, kind="stable")
    return np.split(order, np.searchsorted(shard[order], np.arange(1, count)))


def key_of(*parts: Any) -> str:
    """A hash of numbers, text, bytes, None, and tuples, lists and dicts of these. Raises ValueError for others."""
    return hashlib.sha256(marshal.dumps(parts, _BY_VALUE)).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Result:
    """A kept result of a job."""

    folder: Path
    state: Literal["computed", "unchanged", "damaged"]  # damaged: the kept one was, so it was computed again


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept results of one stage."""

    folder: Path

    def result(self, shard: int, count: int, key: str, write: Callable[[Path], None]) -> Result:
        """The result of a shard: the kept one, or the files that `write` writes into the folder that it gets.

        count: the number of shards; key: `key_of` everything that decides the result.
        """
        folder = self.folder / f"{count}-{shard}-{key}"
        is_there = folder.exists()
        if is_there and is_intact(folder):
            return Result(folder, "unchanged")
        part = folder.with_name(f"{folder.name}.{os.urandom(8).hex()}{_PART}")
        try:
            _delete(folder)
            part.mkdir(parents=True)
            write(part)
            _write_sums(part)
            _move(part, folder)
        except OSError as error:
            if str(error.filename or part).startswith(str(part)):  # a name of a moment; that of a full disk is missing
                error.filename = str(folder)
            raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return Result(folder, "damaged" if is_there else "computed")

    def related(self, shard: int, count: int) -> list[Path]:
        """The intact results with images of this shard, also of runs with another number of shards."""
        found = []
        for folder in sorted(self.folder.glob("*")):
            if match := _NAME.fullmatch(folder.name):
                other_count, other_shard = map(int, match.groups())
                fewer = min(count, other_count)
                if shard % fewer == other_shard % fewer and is_intact(folder):
                    found.append(folder)
        return found

    def keep_only(self, results: Sequence[Result]) -> None:
        """Delete all other results."""
        used = {result.folder for result in results}
        for path in self.folder.iterdir():
            if path not in used:
                with suppress(OSError):
                    _delete(path)


def log_states(results: Sequence[Result]) -> None:
    """Log how many results were taken from an earlier run, and how many of those were damaged."""
    states = Counter(result.state for result in results)
    if states["unchanged"]:
        logger.info("%d of %d shards are unchanged since an earlier run", states["unchanged"], len(results))
    if states["damaged"]:
        logger.warning("%d kept shards were damaged on the disk and are computed again", states["damaged"])


def is_intact(folder: Path) -> bool:
    """Whether the folder has exactly the files of its list, each with its hash."""
    try:
        listed = dict(line.split("  ", 1)[::-1] for line in (folder / _SUMS).read_text(encoding="utf-8").splitlines())
        return listed == _sums(folder)
    except (OSError, ValueError):
        return False


def link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system has no hard links."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _move(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:  # another process has written the same result meanwhile
        if not is_intact(folder):
            raise


def _write_sums(folder: Path) -> None:
    lines = [f"{sha256}  {name}\n" for name, sha256 in _sums(folder).items()]
    (folder / _SUMS).write_text("".join(lines), encoding="utf-8")


def _sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by its path in the folder."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != _SUMS)
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
