"""Which project files each stage imports, directly or not; `python -m tools.deps` writes them into dvc.yaml's deps.

A stage's own lines under `deps:` stay; lines that name Python files or templates of src and stages are replaced.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CODE = re.compile(r"      - (src|stages)/")
_STAGE = re.compile(r"    cmd: .*-m stages\.(\w+)")


def code_files(entry: Path) -> list[str]:
    """Paths, relative to the project, of `entry` and every project file it imports, package files included, sorted.

    A package's templates (*.j2) count with the modules beside them.
    """
    seen: set[Path] = set()
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [file for module in _imported(path) for file in _files(module)]
    templates = {t for path in seen for t in path.parent.glob("*.j2") if t.name in path.read_text(encoding="utf-8")}
    return sorted(path.relative_to(ROOT).as_posix() for path in seen | templates)


def with_code_deps(pipeline: str) -> str:
    """The text of dvc.yaml with the code dependencies of every stage as they are now."""
    lines: list[str] = []
    stage = ""
    for line in pipeline.splitlines():
        if match := _STAGE.match(line):
            stage = match[1]
        if not _CODE.match(line):
            lines.append(line)
        if line == "    deps:":
            lines += [f"      - {file}" for file in code_files(ROOT / "stages" / f"{stage}.py")]
    return "\n".join(lines) + "\n"


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files(module: str) -> list[Path]:
    """The files that importing `module` runs: its packages' __init__ and itself, if they are ours."""
    parts = module.split(".")
    base = ROOT / "src" if parts[0] == "segpipe" else ROOT
    found = []
    for depth in range(1, len(parts) + 1):
        path = base.joinpath(*parts[:depth])
        found += [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    return found


if __name__ == "__main__":
    target = ROOT / "dvc.yaml"
    target.write_text(with_code_deps(target.read_text(encoding="utf-8")), encoding="utf-8")
