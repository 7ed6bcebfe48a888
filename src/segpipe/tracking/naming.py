"""Names that every tracker accepts, and nested settings and scores made flat."""

import hashlib
import itertools
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MAX_NAME = 250  # characters of a param's or a tag's name (mlflow/utils/validation.py)
_MAX_CLASS = 200  # of a class in a metric's name, so that 50 are left for what is before it
_MAX_VALUE = 500  # characters of a param value that every MLflow server takes (older ones refuse more)


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits, '.', '-' and '_' of `text`; "" if nothing of it remains."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.\-]+", "_", plain).strip("_.")


def slugs(classes: Sequence[str]) -> dict[str, str]:
    """A slug per class name, all different; a name without one (车) is called by its class_index, class_3."""
    wanted = [slug(name) or f"class_{index}" for index, name in enumerate(classes)]
    ends = [f"_{index}" for index in range(len(classes))]
    return dict(zip(classes, _apart(classes, wanted, ends, _MAX_CLASS), strict=True))


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
    """Nested settings as {"train.lr": "0.001"}; text stays, the rest is JSON; cut at 500 characters.

    A key becomes its slug. Where two would be the same name, or one is too long or has no slug, there is a hash of it.
    """
    keys, values = zip(*_leaves(params), strict=True) if params else ((), ())
    wanted = [".".join(slug(part) or _end(part)[1:] for part in parts) for parts in keys]
    ends = [_end(json.dumps(parts)) for parts in keys]
    names = _apart([".".join(parts) for parts in keys], wanted, ends, _MAX_NAME)
    texts = (_cut(value if isinstance(value, str) else json.dumps(value)) for value in values)
    return dict(zip(names, texts, strict=True))


def tag_name(text: str) -> str:
    """`text`, a path for example, as a tag's name: each part between slashes becomes its slug."""
    [name] = _apart([text], [_path_slug(text)], [_end(text)], _MAX_NAME)
    return name


def _apart(names: Sequence[str], wanted: Sequence[str], ends: Sequence[str], longest: int) -> list[str]:
    """`wanted` for each of `names`, all different and at most `longest` characters: an end is added where needed.

    A name that is as wanted keeps it: a class called Test never takes the name of the split test.
    """
    given: dict[int, str] = {}
    for index in sorted(range(len(names)), key=lambda index: names[index] != wanted[index]):
        is_long = len(wanted[index]) > longest
        tails = (ends[index] * times for times in itertools.count(int(is_long)))
        tried = (wanted[index][: longest - len(tail)] + tail for tail in tails)
        given[index] = next(name for name in tried if name not in given.values())
    return [given[index] for index in range(len(names))]


def _end(key: str) -> str:
    return "_" + hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:8]


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
