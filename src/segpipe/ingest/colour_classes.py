"""What the colours of colour-coded masks mean, as a file of the source or the user declares it."""

import csv
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segpipe.core.errors import UserError, at
from segpipe.data.classes import BACKGROUND
from segpipe.ingest.source import Source
from segpipe.ingest.value_classes import meant_by_file, meant_by_user
from segpipe.masks.mask_files import Colour, colour_number

logger = logging.getLogger(__name__)

_HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})(?:[0-9a-fA-F]{2})?")
_REMEDY = "write each colour as three numbers from 0 to 255"


@dataclass(frozen=True, slots=True)
class ColourClasses:
    """Class names, "background" or "ignore" by colour number. named_by: the file or parameter that gives them."""

    names: Mapping[int, str]
    named_by: str

    def meaning(self, number: int) -> str | None:
        """The class name, "background" or "ignore"; None for a colour that nothing names. Black is background."""
        return self.names.get(number) or (None if number else BACKGROUND)


def colour_classes(
    source: Source, folders: Sequence[str], given: Mapping[Colour, str] | None = None
) -> ColourClasses | None:
    """What the user gave; else the first file of the source's `folders` that names colours; else None.

    Raises UserError for a file of colours that cannot be read as such, or a colour with two names.
    """
    if given:
        pairs = [(colour, meant_by_user(name)) for colour, name in sorted(given.items())]  # DVC sees no order
        return ColourClasses(_table(pairs), "ingest.mask_values")
    for folder in folders:
        for name, parse in _FILES.items():
            file = name if folder == "." else f"{folder}/{name}"
            if file in source.files:
                text = source.text(file)
                with at(file):
                    found = list(parse(text))
                    table = _table([(colour, meant_by_file(name)) for name, colour in found])
                if table:
                    logger.info("%s names %d colours", file, len(table))
                    return ColourClasses(table, file)
    return None


def _table(pairs: Sequence[tuple[Colour, str]]) -> dict[int, str]:
    table: dict[int, str] = {}
    for colour, name in pairs:
        if table.setdefault(colour_number(colour), name) != name:
            names = f"{table[colour_number(colour)]!r} and {name!r}"
            raise UserError(f"the colour {_shown(colour)} has two names, {names}; keep one of them")
    return table


def _labelmap(text: str) -> Iterator[tuple[str, Colour]]:
    """CVAT's and datumaro's lines name:r,g,b:parts:actions; lines without a colour are passed over."""
    for line in text.splitlines():
        parts = line.split(":")
        if not line.startswith("#") and len(parts) > 1 and parts[0].strip() and parts[1].strip():
            yield parts[0].strip(), _colour(parts[1].split(","))


def _class_dict(text: str) -> Iterator[tuple[str, Colour]]:
    """A header and lines name,r,g,b, as of CamVid's and DeepGlobe's class_dict.csv."""
    for row in list(csv.reader(text.splitlines()))[1:]:
        if row:
            yield row[0].strip(), _colour(row[1:4])


def _label_colors(text: str) -> Iterator[tuple[str, Colour]]:
    """Lines "r g b name", as of CamVid's label_colors.txt."""
    for line in text.splitlines():
        parts = line.split()
        if len(parts) > 3:
            yield " ".join(parts[3:]), _colour(parts[:3])


def _classes_json(text: str) -> Iterator[tuple[str, Colour]]:
    """{name: colour}, or objects with a name (or title) and a color (or colour), in a list or under "classes".

    A colour is [r, g, b] or "#rrggbb"; a file of class names without colours names none.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not valid JSON ({error}); export it again, or take it out of the source") from error
    entries = document.get("classes", document) if isinstance(document, dict) else document
    if isinstance(entries, dict):
        entries = [{"name": name, "color": colour} for name, colour in entries.items()]
    for entry in entries if isinstance(entries, list) else []:
        pair = _json_pair(entry)
        if pair is not None:
            yield pair


def _json_pair(entry: Any) -> tuple[str, Colour] | None:
    if not isinstance(entry, dict):
        return None
    name, colour = entry.get("name", entry.get("title")), entry.get("color", entry.get("colour"))
    if not isinstance(name, str) or not name.strip() or not isinstance(colour, list | str):
        return None
    if isinstance(colour, str):
        found = _HEX.fullmatch(colour)
        return (name.strip(), _colour([str(int(part, 16)) for part in found.groups()])) if found else None
    return name.strip(), _colour([str(part) for part in colour[:3]])


_FILES: Mapping[str, Callable[[str], Iterator[tuple[str, Colour]]]] = {
    "labelmap.txt": _labelmap,
    "class_dict.csv": _class_dict,
    "label_colors.txt": _label_colors,
    "classes.json": _classes_json,
}
COLOUR_FILES = tuple(_FILES)


def parsed_colour(text: str) -> Colour:
    """The colour of "r,g,b". Raises UserError."""
    return _colour(text.split(","))


def _colour(parts: Sequence[str]) -> Colour:
    numbers = [int(part) for part in map(str.strip, parts) if re.fullmatch(r"[0-9]{1,3}", part)]
    if len(parts) != 3 or len(numbers) != 3 or max(numbers) > 255:
        raise UserError(f"{','.join(parts)!r} is no colour; {_REMEDY}")
    return numbers[0], numbers[1], numbers[2]


def _shown(colour: Colour) -> str:
    return ",".join(map(str, colour))
