"""Results of earlier runs, one per image, kept outside the pipeline's outputs (DVC deletes those before a stage runs).

The key of a result names everything that it depends on, so a kept result equals a new one byte for byte.
"""

import hashlib
import logging
import marshal
import os
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from segpipe.core import machine
from segpipe.core.files import atomic_write, sha256_of
from segpipe.core.versions import version_of

Result = TypeVar("Result")
logger = logging.getLogger(__name__)

FOLDER = Path(".segpipe/cache")
_HASH, _DIGEST = "sha256", 32  # in front of the pickle: a changed bit must not change a result
_BY_VALUE = 2  # marshal's last version that writes values only: later ones also write which objects are identical
_PACKAGES = ("core", "data", "masks", "ledger", "validate", "rasterize")


def version() -> str:
    """A hash of the code that decides results; part of their keys."""
    return version_of(*_PACKAGES)


def key_of(*parts: Any) -> str:
    """A key made of numbers, text, None, and tuples or lists of these. Raises ValueError for other values."""
    return hashlib.sha256(marshal.dumps(parts, _BY_VALUE)).hexdigest()


def content(path: Path) -> str:
    """The SHA-256 of the file, or the name of the error if it cannot be read."""
    try:
        return sha256_of(path)
    except OSError as error:
        machine.raise_if_machine_fault(error, str(path))
        return type(error).__name__


def contents(root: Path, files: Iterable[str]) -> list[tuple[str, str]]:
    """The files under `root`, sorted, each with its `content`."""
    return [(file, content(root / file)) for file in sorted(files)]


def load(path: Path) -> dict[str, Any]:
    """Results by key; empty if the file is missing or damaged."""
    try:
        with path.open("rb") as file:
            is_intact = file.read(_DIGEST) == hashlib.file_digest(file, _HASH).digest()
            file.seek(_DIGEST)
            results: dict[str, Any] = pickle.load(file) if is_intact else {}
    except FileNotFoundError:
        return {}
    except Exception as error:  # a pickle of another version raises any exception
        is_intact, problem = False, type(error).__name__
    else:
        problem = "damaged"
    if not is_intact:
        logger.warning("%s cannot be used (%s): every result is computed again", path, problem)
        return {}
    return results


def save(path: Path, results: Mapping[str, Any]) -> None:
    """Keep these results and delete all others."""
    with (
        atomic_write(path, durable=False) as part,
        part.open("w+b") as file,
    ):
        file.write(bytes(_DIGEST))
        pickle.dump(dict(results), file, protocol=pickle.HIGHEST_PROTOCOL)
        file.seek(_DIGEST)
        digest = hashlib.file_digest(file, _HASH).digest()
        file.seek(0)
        file.write(digest)


def recalled(
    keys: Sequence[str], kept: Mapping[str, Result], compute: Callable[[list[int]], Iterator[Result]]
) -> Iterator[Result]:
    """The result of each key, in order: from `kept`, else the next of compute(positions of keys that it lacks)."""
    new = [position for position, key in enumerate(keys) if key not in kept]
    if len(new) < len(keys):
        logger.info("%d of %d are unchanged since an earlier run", len(keys) - len(new), len(keys))
    computed = compute(new)
    for key in keys:
        yield kept[key] if key in kept else next(computed)
    assert next(computed, None) is None, "more results than tasks"  # also runs `compute` to its end


def keep_file(source: Path, target: Path) -> None:
    """Keep `source` as `target`: a hard link where the file system allows it, otherwise a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
