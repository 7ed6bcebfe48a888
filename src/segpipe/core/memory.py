"""What earlier runs worked out, image by image, kept outside the pipeline's outputs (DVC deletes those first).

A result is stored under a key that names all it depends on, so a remembered one equals a new one byte for byte.
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
from segpipe.core.files import sha256_of, whole
from segpipe.core.versions import code_hash

Result = TypeVar("Result")
logger = logging.getLogger(__name__)

FOLDER = Path(".segpipe/cache")
_HASH, _DIGEST = "sha256", 32  # in front of the pickle: a changed bit must not become a result
_BY_VALUE = 2  # of marshal's versions the last to tell nothing but values: later ones tell which are one object
_PACKAGES = ("core", "data", "masks", "ledger", "validate", "rasterize")
_LIBRARIES = ("numpy", "pillow", "pycocotools", "scipy", "shapely", "zlib-ng")


def version() -> str:
    """The code that decides results, as a part of their keys."""
    return code_hash(_PACKAGES, _LIBRARIES)


def key_of(*parts: Any) -> str:
    """A key from parts: numbers, text, None, and tuples or lists of those. Raises ValueError for others."""
    return hashlib.sha256(marshal.dumps(parts, _BY_VALUE)).hexdigest()


def content(path: Path) -> str:
    """The file's hash, or what keeps it from being read."""
    try:
        return sha256_of(path)
    except OSError as error:
        machine.stop_if_at_fault(error, str(path))
        return type(error).__name__


def contents(root: Path, files: Iterable[str]) -> list[tuple[str, str]]:
    """Files below `root`, sorted, each with its `content`."""
    return [(file, content(root / file)) for file in sorted(files)]


def load(path: Path) -> dict[str, Any]:
    """Results by key; none if there are none or the file is damaged."""
    try:
        with path.open("rb") as file:
            sound = file.read(_DIGEST) == hashlib.file_digest(file, _HASH).digest()
            file.seek(_DIGEST)
            results: dict[str, Any] = pickle.load(file) if sound else {}
    except FileNotFoundError:
        return {}
    except Exception as error:  # a pickle that another version wrote raises anything
        sound, said = False, type(error).__name__
    else:
        said = "damaged"
    if not sound:
        logger.warning("%s cannot be used (%s): everything is worked out anew", path, said)
        return {}
    return results


def save(path: Path, results: Mapping[str, Any]) -> None:
    """Keep these results and forget all others."""
    with whole(path, durable=False) as part, part.open("w+b") as file:  # the digest tells what a power cut left of it
        file.write(bytes(_DIGEST))
        pickle.dump(dict(results), file, protocol=pickle.HIGHEST_PROTOCOL)
        file.seek(_DIGEST)
        digest = hashlib.file_digest(file, _HASH).digest()
        file.seek(0)
        file.write(digest)


def recalled(
    keys: Sequence[str], known: Mapping[str, Result], compute: Callable[[list[int]], Iterator[Result]]
) -> Iterator[Result]:
    """The result of each key, in order: a known one, or the next that compute(positions of the others) gives."""
    new = [position for position, key in enumerate(keys) if key not in known]
    if len(new) < len(keys):
        logger.info("%d of %d are unchanged since an earlier run", len(keys) - len(new), len(keys))
    computed = compute(new)
    for key in keys:
        yield known[key] if key in known else next(computed)
    assert next(computed, None) is None, "more results than tasks"  # and what computes them comes to its end


def keep_file(source: Path, target: Path) -> None:
    """Keep `source` as `target`, sharing its bytes on the disk where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
