"""Write the settings of a file in presets/ into params.yaml; comments stay.

Example: segpipe use-preset camvid
"""

import argparse
import logging
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
PRESETS = Path("presets")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the preset's name."""
    parser.add_argument("preset", help="name of a file in presets/, without .yaml")


def run(options: argparse.Namespace) -> None:
    """Change params.yaml of the current folder. Raises UserError."""
    from segpipe.core.errors import UserError
    from segpipe.params import PARAMS

    if Path(options.preset).name != options.preset:
        raise UserError(f"{options.preset!r} is not the name of a preset; give the name of a file in {PRESETS}/")
    use(PRESETS / f"{options.preset}.yaml", PARAMS)
    logger.info("%s: has the settings of %s; its other settings are unchanged", PARAMS, options.preset)


def use(preset: Path, target: Path) -> None:
    """Write the values of `preset` into `target`. Raises UserError, with nothing changed, if the result is invalid.

    preset: YAML with the keys of params.yaml, any part of them.
    """
    from ruamel.yaml import YAML

    from segpipe.core.errors import UserError
    from segpipe.core.files import atomic_write

    if not preset.is_file():
        known = ", ".join(sorted(path.stem for path in preset.parent.glob("*.yaml")))
        raise UserError(f"{preset}: no such preset; use one of {known or 'a preset in the folder presets/'}")
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
    from segpipe import params
    from segpipe.core.errors import UserError

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
