"""A hash of the code and the libraries that computed a result."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from segpipe.core.files import sha256_of

LIBRARIES = ("numpy", "pillow", "pyarrow", "pycocotools", "scipy", "shapely", "zlib-ng")  # those that decide data


def version_of(*packages: str) -> str:
    """A hash of the code of these packages and the versions of LIBRARIES."""
    return code_hash(packages, LIBRARIES)


@cache
def code_hash(parts: tuple[str, ...], libraries: tuple[str, ...]) -> str:
    """SHA-256 in hex over `code_files(parts)` and the versions of `libraries`."""
    lines = [sha256_of(path) for path in code_files(parts)] + [f"{name} {version(name)}" for name in libraries]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def code_files(parts: tuple[str, ...]) -> list[Path]:
    """segpipe's Python files, sorted: "data/classes.py" is one file, "models" all of that package at any depth."""
    paths = [Path(__file__).parent.parent / part for part in parts]
    return sorted(file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]))
