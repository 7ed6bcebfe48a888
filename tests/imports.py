"""The imports between the files of the project, read from their source, directly and through other files."""

import ast
from collections.abc import Collection
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

SOURCE = ROOT / "src"


def reached(entry: Path, but: Collection[Path] = ()) -> set[Path]:
    """The files of the project that `entry` imports, directly or through other files, and `entry` itself.

    but: files that are neither counted nor followed. An __init__.py with only a docstring is not counted.
    """
    paths: set[Path] = set()
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path not in paths and path not in but:
            paths.add(path)
            waiting += imported(path)
    return paths


@cache
def imported(path: Path) -> frozenset[Path]:
    """The files of the project that one file imports, with the __init__.py of their packages."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(file for name in names for file in _files(name))


def package_of(path: Path) -> str:
    """The package of a file of segpipe, like "masks"; for a module at the top its name, like "params"."""
    return path.relative_to(SOURCE / "segpipe").with_suffix("").parts[0]


def _files(module: str) -> list[Path]:
    """The files of the project that run when `module` is imported: the module and the __init__.py of its packages."""
    parts = module.split(".")
    base = SOURCE if parts[0] == "segpipe" else ROOT
    files = []
    for depth in range(1, len(parts) + 1):
        path = base.joinpath(*parts[:depth])
        files += [file for file in (path.with_suffix(".py"), path / "__init__.py") if _has_code(file)]
    return files


@cache
def _has_code(path: Path) -> bool:
    """Whether the file exists and has more than a docstring."""
    return path.is_file() and len(ast.parse(path.read_text(encoding="utf-8")).body) > 1
