"""Names that every tracker accepts, and nested settings and scores made flat."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MAX_VALUE = 500  # characters of a param value that every MLflow server takes (older ones refuse more)


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits, '.', '-' and '_' of `text`; "" if nothing of it remains."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.\-]+", "_", plain).strip("_.")


def slugs(classes: Sequence[str]) -> dict[str, str]:
    """A slug per class name, all different; a name without one (车) is called by its class_index, class_3."""
    given: dict[str, str] = {}
    for index, name in enumerate(classes):
        wanted = slug(name) or f"class_{index}"
        while wanted in given.values():
            wanted += f"_{index}"
        given[name] = wanted
    return given


def flat_metrics(values: Mapping[str, Any], slug_of: Mapping[str, str]) -> dict[str, float]:
    """Nested numbers as {"val/iou/car": 0.5}; text, lists and booleans are left out.

    slug_of: slugs of class names; any other part of a name becomes its own slug, its slashes stay.
    """
    return {
        "/".join(slug_of.get(part) or _path_slug(part) for part in parts): float(value)
        for parts, value in _leaves(values)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def flat_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as {"train.lr": "0.001"}; text stays, the rest is JSON; cut at 500 characters."""
    return {
        re.sub(r"[^\w\-./ ]", "_", ".".join(parts)): _cut(value if isinstance(value, str) else json.dumps(value))
        for parts, value in _leaves(params)
    }


def _path_slug(text: str) -> str:
    return "/".join(slug(part) or "_" for part in text.split("/"))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 3] + "..."


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        parts = (*above, str(key))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, parts)
        else:
            yield parts, value
