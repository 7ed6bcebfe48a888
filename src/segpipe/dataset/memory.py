"""What earlier runs worked out, image by image, kept outside the pipeline's outputs (DVC deletes those first).

A result is stored under a key that names all it depends on, so a remembered one equals a new one byte for byte.
"""

import hashlib
import logging
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from segpipe.files import whole
from segpipe.versions import code_hash

Result = TypeVar("Result")
logger = logging.getLogger(__name__)

FOLDER = Path(".segpipe/cache")
_PACKAGES = ("", "annotations", "masks", "dataset")
_LIBRARIES = ("numpy", "pillow", "pycocotools", "scipy", "shapely", "zlib-ng")


def version() -> str:
    """The code that decides results, as a part of their keys."""
    return code_hash(_PACKAGES, _LIBRARIES)


def key_of(*parts: object) -> str:
    """A key from parts whose repr says all about them (numbers, text, tuples, dataclasses; no sets)."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def load(path: Path) -> dict[str, Any]:
    """Results by key; none if there are none or the file is damaged."""
    try:
        with path.open("rb") as file:
            results: dict[str, Any] = pickle.load(file)
    except FileNotFoundError:
        return {}
    except Exception as error:  # a damaged pickle raises anything; the results can be worked out again
        logger.warning("%s cannot be used (%s): everything is worked out anew", path, error)
        return {}
    return results


def save(path: Path, results: Mapping[str, Any]) -> None:
    """Keep these results and forget all others."""
    with whole(path) as part, part.open("wb") as file:
        pickle.dump(dict(results), file, protocol=pickle.HIGHEST_PROTOCOL)


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
