"""Write the pages that come from the code: docs/settings.md, docs/reasons.md and docs/architecture.md (`make docs`).

tests/test_docs.py checks that the pages in the repository are those that this script writes.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from segpipe.ledger import reasons
from segpipe.params import Params, has_key
from tests.conftest import ROOT
from tests.imports import SOURCE, imported, package_of
from tests.test_architecture import MAY_IMPORT

_NOTE = "<!-- Written by `make docs`; edit the source named below instead. -->\n\n"
_BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}


def pages() -> dict[Path, str]:
    """The text of each generated page, by its path."""
    folder = ROOT / "docs"
    return {
        folder / "settings.md": settings(),
        folder / "reasons.md": reasons_page(),
        folder / "architecture.md": architecture(),
    }


def settings() -> str:
    """All keys of params.yaml with default, values and meaning, from the pydantic models."""
    top = [(name, field) for name, field in Params.model_fields.items() if not _model(field)]
    sections = [(field.alias or name, field) for name, field in Params.model_fields.items() if _model(field)]
    in_file = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    head = (
        "# Settings\n\nSource: the models in `src/segpipe/*/settings.py`, `ledger/policies.py`, `train/recipe.py`.\n\n"
        "`params.yaml` holds the settings that people change most (marked with •). Every other key can be added to\n"
        "its section; until then it has the default below. `dvc exp run -S train.lr=0.001` changes a key of the file;\n"
        "`-S +train.patience=5`, with a plus, adds one that the file does not have. Keep the keys that the\n"
        "file has: DVC reads some of them there.\n\n"
    )
    parts = [head, _table(dict(top), in_file)]
    for name, field in sections:
        parts.append(f"\n## {name}\n\n{(_model(field).__doc__ or '').splitlines()[0]}\n\n")
        parts.append(_table(dict(_leaves(_model(field), f"{name}.")), in_file))
    return _NOTE + "".join(parts)


def reasons_page() -> str:
    """All codes of the ledger and the findings, from ledger/reasons.toml."""
    head = (
        "# Reasons and findings\n\nSource: `src/segpipe/ledger/reasons.toml`.\n\n"
        "Every image and annotation has a row in the ledger with a verdict; a verdict other than `kept` has a reason.\n"
        "A finding changes no verdict. `validate.limits` in `params.yaml` may name any of these codes.\n\n"
    )
    return _NOTE + head + reasons.markdown().rstrip("\n") + "\n"


def architecture() -> str:
    """The packages, their imports, and what each stage reads and writes, from the code and dvc.yaml."""
    packages, levels = _packages(), dict[str, int]()
    for package, below in packages.items():
        levels[package] = 1 + max((levels[other] for other in below), default=0)
    width = max(map(len, levels))
    lines = []
    for level in range(max(levels.values()), 0, -1):
        for package in (name for name, at in levels.items() if at == level):
            arrow = f" -> {' '.join(packages[package])}" if packages[package] else ""
            lines.append(f"  {level}  {package:<{width}}{arrow}")
        lines.append("")
    summaries = "".join(f"| `{name}` | {_summary(name)} |\n" for name in levels)
    return (
        _NOTE
        + "# Architecture\n\nSource: the imports in `src/segpipe`, the docstrings of its packages, and `dvc.yaml`.\n\n"
        "## Packages and their imports\n\nA package imports only packages of lower levels (checked by "
        "`tests/test_architecture.py`).\n\n```text\n" + "\n".join(lines).rstrip() + "\n```\n\n"
        "| package | holds |\n|---|---|\n" + summaries + "\n## Stages\n\n"
        "`dvc repro` runs a stage again if a file that it reads, its code or one of its settings has changed.\n\n"
        "| stage | reads | packages | settings | writes |\n|---|---|---|---|---|\n" + "".join(_stages())
    )


def _packages() -> dict[str, list[str]]:
    """Each package with those that it imports, both from the lowest to the highest."""
    found: dict[str, set[str]] = {name: set() for name in MAY_IMPORT if name != "__init__"}
    for path in (SOURCE / "segpipe").rglob("*.py"):
        package = package_of(path)
        if package in found:
            found[package] |= {package_of(file) for file in imported(path) if SOURCE in file.parents}
    return {name: [other for other in found if other in found[name] - {name}] for name in found}


def _summary(package: str) -> str:
    folder = SOURCE / "segpipe" / package
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]


def _stages() -> Iterator[str]:
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        code = [dep for dep in stage["deps"] if dep.startswith("src/")]
        data = [dep.strip("${}") for dep in stage["deps"] if not dep.startswith(("src/", "stages/"))]
        outs = [out for key in ("outs", "metrics", "plots") for out in stage.get(key, [])]
        written = [out if isinstance(out, str) else next(iter(out)) for out in outs]
        cells = [data, [dep.removeprefix("src/segpipe/") for dep in code], stage.get("params", []), written]
        texts = [", ".join(f"`{text}`" for text in cell) or "-" for cell in cells]
        yield f"| {name} | {' | '.join(texts)} |\n"


def _leaves(section: type[BaseModel], place: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        if inner := _model(field):
            yield from _leaves(inner, f"{place}{name}.")
        else:
            yield place + name, field


def _model(field: FieldInfo) -> Any:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _table(fields: Mapping[str, FieldInfo], in_file: dict[str, Any]) -> str:
    rows = ["| | key | default | values | meaning |", "|---|---|---|---|---|"]
    for key, field in fields.items():
        mark = "•" if has_key(in_file, key) else ""
        cells = [mark, f"`{key}`", _default(field), _values(field), _escaped(field.description or "")]
        rows.append(f"| {' | '.join(cells)} |")
    return "".join(f"{row}\n" for row in rows)


def _default(field: FieldInfo) -> str:
    text = yaml.safe_dump(field.get_default(call_default_factory=True), default_flow_style=True, width=1000)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"


def _values(field: FieldInfo) -> str:
    """The allowed values: the words of a Literal, or the type with its bounds."""
    kinds = dict.fromkeys(_kinds(field.annotation))
    return _escaped("; ".join([", ".join(kinds), *_bounds(field)]))


def _kinds(kind: Any) -> Iterator[str]:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is type(None):
        yield "null"
    elif origin is Literal:
        yield from map(str, inner)
    elif origin is Annotated:
        yield from _kinds(inner[0])
    elif origin in (list, tuple, dict):
        yield {list: "list", tuple: "[height, width]", dict: "mapping"}[origin]
    elif inner:
        for part in inner:
            yield from _kinds(part)
    else:
        yield {str: "text", bool: "true, false", int: "whole number", float: "number"}[kind]


def _bounds(field: FieldInfo) -> Iterator[str]:
    metadata = [*field.metadata]
    for part in get_args(field.annotation):
        metadata += getattr(part, "__metadata__", ())
    for entry in metadata:
        items = getattr(entry, "metadata", [entry]) if isinstance(entry, FieldInfo) else [entry]
        for item in items:
            if type(item) in _BOUNDS:
                sign, name = _BOUNDS[type(item)]
                yield f"{sign} {getattr(item, name)}"
            elif isinstance(item, MinLen):
                yield "not empty"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
