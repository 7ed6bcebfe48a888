"""What code computed a result: a hash of the sources and of the libraries that decide it."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from segpipe.files import sha256_of


@cache
def code_hash(packages: tuple[str, ...], libraries: tuple[str, ...]) -> str:
    """SHA-256 in hex over the .py files of segpipe's `packages` ("" is the top) and the versions of `libraries`."""
    root = Path(__file__).parent
    sources = sorted(path for package in packages for path in (root / package).glob("*.py"))
    parts = [sha256_of(path) for path in sources] + [f"{name} {version(name)}" for name in libraries]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
