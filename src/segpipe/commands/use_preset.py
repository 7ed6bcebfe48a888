"""Write a preset's settings into params.yaml, comments kept: `python -m tools.use camvid` (make use PRESET=camvid)."""

import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from segpipe import params
from segpipe.core.errors import UserError
from segpipe.core.files import atomic_write

PRESETS = Path("presets")


def use(preset: Path, target: Path) -> None:
    """Change the values that `preset` names in `target`. Raises UserError, nothing changed, if the result is unsound.

    preset: YAML of the same two levels as params.yaml, any part of it.
    """
    if not preset.is_file():
        known = ", ".join(sorted(path.stem for path in preset.parent.glob("*.yaml")))
        raise UserError(f"{preset.name}: no such preset; there are {known}")
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    document = yaml.load(target.read_text(encoding="utf-8"))
    _merge(document, YAML(typ="safe").load(preset.read_text(encoding="utf-8")))
    with atomic_write(target) as part:
        with part.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)
        _check(part, preset)


def _check(result: Path, preset: Path) -> None:
    try:
        params.load(result)
    except UserError as error:
        raise UserError(str(error).replace(str(result), f"{preset.name} in params.yaml")) from None


def _merge(into: MutableMapping[str, Any], changes: MutableMapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict) and key != "source_roles":
            _merge(into[key], value)
        else:
            into[key] = value


if __name__ == "__main__":
    try:
        use(PRESETS / f"{sys.argv[1]}.yaml", params.PARAMS)
    except UserError as error:
        sys.exit(f"error: {error}")
