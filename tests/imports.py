"""The project's imports, found in its source: which file imports which, and what a file reaches through others."""

import ast
from collections.abc import Collection
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

SOURCE = ROOT / "src"


def reached(entry: Path, but: Collection[Path] = ()) -> set[Path]:
    """The project's files that `entry` imports, directly or through others, with itself; `but` is not followed.

    An __init__.py that has no more than a docstring decides nothing: it does not count."""
    found: set[Path] = set()
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path not in found and path not in but:
            found.add(path)
            waiting += imported(path)
    return found


@cache
def imported(path: Path) -> frozenset[Path]:
    """The project's files that the statements of one file import; a package's __init__.py counts with its modules."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(file for name in names for file in _files(name))


def package_of(path: Path) -> str:
    """The package of a file of segpipe: "masks", or the module's name for one at the top, like "params"."""
    return path.relative_to(SOURCE / "segpipe").with_suffix("").parts[0]


def _files(module: str) -> list[Path]:
    """The files that importing `module` runs: the __init__ of its packages, and itself, if they are the project's."""
    parts = module.split(".")
    base = SOURCE if parts[0] == "segpipe" else ROOT
    found = []
    for depth in range(1, len(parts) + 1):
        path = base.joinpath(*parts[:depth])
        found += [file for file in (path.with_suffix(".py"), path / "__init__.py") if _has_code(file)]
    return found


def _has_code(path: Path) -> bool:
    """Whether there is such a file, with more than a docstring."""
    return path.is_file() and len(ast.parse(path.read_text(encoding="utf-8")).body) > 1
