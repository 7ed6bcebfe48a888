"""Names that every tracker accepts, and flat forms of nested settings and scores."""

import hashlib
import itertools
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MAX_NAME = 250  # characters of the name of a param or tag (mlflow/utils/validation.py)
_MAX_CLASS = 200  # characters of a class in a metric's name: 50 are left for the parts before it
_MAX_VALUE = 500  # characters of a param's value that every version of MLflow's server accepts


def slug(text: str) -> str:
    """`text` in lower-case ASCII letters, digits, '.', '-' and '_'; "" if nothing remains.

    >>> slug("Grünfläche/Weg"), slug("T-Shirt 2.0"), slug("车")
    ('grunflache_weg', 't-shirt_2.0', '')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.\-]+", "_", plain).strip("_.")


def slugs(classes: Sequence[str]) -> dict[str, str]:
    """A different slug for each class name; a name without a slug becomes class_ and its class_index.

    >>> slugs(["background", "车", "Car!", "car"])
    {'background': 'background', '车': 'class_1', 'Car!': 'car_2', 'car': 'car'}
    """
    wanted = [slug(name) or f"class_{index}" for index, name in enumerate(classes)]
    ends = [f"_{index}" for index in range(len(classes))]
    return dict(zip(classes, _unique(classes, wanted, ends, _MAX_CLASS), strict=True))


def flat_metrics(values: Mapping[str, Any], slug_of: Mapping[str, str]) -> dict[str, float]:
    """Nested numbers by flat name; text, lists and booleans are left out.

    slug_of: slugs of class names. Any other part of a name becomes its slug, except for its slashes.

    >>> flat_metrics({"val": {"iou": {"Traffic Light": 0.5}, "device": "cpu"}}, {"Traffic Light": "light"})
    {'val/iou/light': 0.5}
    """
    return {
        "/".join(slug_of.get(part) or _path_slug(part) for part in parts): float(value)
        for parts, value in _leaves(values)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def flat_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings by flat name, text unchanged and the rest as JSON, cut at 500 characters.

    A key becomes its slug. A hash is added where two names would be equal, or a name is too long or has no slug.

    >>> flat_params({"train": {"lr": 0.001, "amp": True}})
    {'train.lr': '0.001', 'train.amp': 'true'}
    """
    keys, values = zip(*_leaves(params), strict=True) if params else ((), ())
    wanted = [".".join(slug(part) or _hash_end(part)[1:] for part in parts) for parts in keys]
    ends = [_hash_end(json.dumps(parts)) for parts in keys]
    names = _unique([".".join(parts) for parts in keys], wanted, ends, _MAX_NAME)
    texts = (_cut(value if isinstance(value, str) else json.dumps(value)) for value in values)
    return dict(zip(names, texts, strict=True))


def tag_name(text: str) -> str:
    """`text`, such as a path, as the name of a tag: each part between slashes becomes its slug."""
    [name] = _unique([text], [_path_slug(text)], [_hash_end(text)], _MAX_NAME)
    return name


def _unique(names: Sequence[str], wanted: Sequence[str], ends: Sequence[str], max_length: int) -> list[str]:
    """A different string of at most `max_length` characters for each name: `wanted`, if necessary with its end added.

    Names that equal their wanted string come first: "test" stays "test", and "Test" gets an end.
    """
    chosen: dict[int, str] = {}
    for index in sorted(range(len(names)), key=lambda index: names[index] != wanted[index]):
        is_long = len(wanted[index]) > max_length
        tails = (ends[index] * times for times in itertools.count(int(is_long)))
        candidates = (wanted[index][: max_length - len(tail)] + tail for tail in tails)
        chosen[index] = next(name for name in candidates if name not in chosen.values())
    return [chosen[index] for index in range(len(names))]


def _hash_end(key: str) -> str:
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
