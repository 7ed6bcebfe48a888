"""The meaning of mask values, numbers and colours: a class name, "background" or "ignore"."""

import csv
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segpipe.core.errors import UserError, at
from segpipe.core.plurals import counted
from segpipe.data.classes import BACKGROUND, BACKGROUND_INDEX, IGNORE_INDEX
from segpipe.ingest.mask_surveys import Survey
from segpipe.ingest.parsing import parsed_json
from segpipe.ingest.source import Source
from segpipe.masks.mask_files import Colour, colour_number, colour_of

logger = logging.getLogger(__name__)

IGNORE = "ignore"
BY_USER = "ingest.mask_values"
NAMES_FILES = ("classes.txt", "class_names.txt", "labelmap.txt", "label_names.txt", "labels.txt", "names.txt")
MAX_COLOURS = 256
_BACKGROUND_NAMES = frozenset({BACKGROUND, "bg"})
_IGNORE_NAMES = frozenset({IGNORE, "ignored", "void", "unlabelled", "unlabeled", "unknown"})
_HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})(?:[0-9a-fA-F]{2})?")


@dataclass(frozen=True, slots=True)
class ValueClasses:
    """The meaning of stored numbers."""

    names: Mapping[int, str]  # class name, "background" or "ignore" by number
    named_by: str  # the file or parameter with the names; "" without names

    @property
    def by_user(self) -> bool:
        """Whether the names are from params.yaml."""
        return self.named_by == BY_USER

    def meaning(self, value: int) -> str | None:
        """The class name, BACKGROUND or IGNORE of a value; None if it has no name.

        Without a name, 0 is background and 255 ignore. If no value has a name, 7 is "class_7".
        """
        if value in self.names:
            return self.names[value]
        if value in (BACKGROUND_INDEX, IGNORE_INDEX):
            return BACKGROUND if value == BACKGROUND_INDEX else IGNORE
        return None if self.named_by else f"class_{value}"

    def categories(self, present: Iterable[int]) -> tuple[str, ...]:
        """The class names in the order of the values; without names, those of the values in `present`."""
        names = list(self.names.values()) if self.named_by else [self.meaning(value) for value in sorted(present)]
        return tuple(dict.fromkeys(name for name in names if name and name not in (BACKGROUND, IGNORE)))


def value_classes(source: Source, folders: Sequence[str], names: Mapping[int, str] | None) -> ValueClasses:
    """The meaning of numbers: by `names`, else by files of names, else by the numbers themselves.

    folders: where a file of names may be; the first in each folder is used.
    names: class name, "background" or "ignore" by number, from params.yaml. Its order is ignored, as by DVC.
    Raises UserError if two files contradict each other.
    """
    if names:
        return ValueClasses({value: meaning_in_params(name) for value, name in sorted(names.items())}, BY_USER)
    tables: dict[str, dict[int, str]] = {}
    for folder in folders:
        files = (name if folder == "." else f"{folder}/{name}" for name in NAMES_FILES)
        file = next((file for file in files if file in source.files), None)
        if file is not None:
            tables[file] = _names_by_line(source.text(file))
            logger.info("%s names %s", file, counted(len(tables[file]), "stored value"))
    _refuse_conflict(tables)
    in_files = {value: name for table in reversed(tables.values()) for value, name in table.items()}
    return ValueClasses(dict(sorted(in_files.items())), next(iter(tables), ""))


def _refuse_conflict(tables: Mapping[str, Mapping[int, str]]) -> None:
    """Raise UserError if a value has different names in two files: all masks share one class table."""
    first: dict[int, tuple[str, str]] = {}
    for file, names in tables.items():
        for value, name in names.items():
            earlier, by = first.setdefault(value, (name, file))
            if earlier != name:
                problem = f"{by} names the value {value} {earlier!r}, {file} names it {name!r}"
                raise UserError(f"{problem}; make them agree, or set ingest.mask_values in params.yaml")


def _names_by_line(text: str) -> dict[int, str]:
    """The names by line number, counted from 0; a name ends at ':' (CVAT's labelmap.txt).

    Lines that start with '#' are not counted, nor is labelme's first line "__ignore__" before the background.
    """
    names = [meaning_in_file(line.split(":")[0].strip()) for line in text.splitlines() if not line.startswith("#")]
    if names[:2] == [IGNORE, BACKGROUND]:
        names = names[1:]
    return {value: name for value, name in enumerate(names) if name}


def meaning_in_file(name: str) -> str:
    """The meaning of a class name in a file: BACKGROUND, IGNORE, or the name itself."""
    return IGNORE if _folded(name) in _IGNORE_NAMES else meaning_in_params(name)


def meaning_in_params(name: str) -> str:
    """The meaning of a class name in params.yaml: BACKGROUND, IGNORE, or the name itself."""
    bare = _folded(name)
    return BACKGROUND if bare in _BACKGROUND_NAMES else IGNORE if bare == IGNORE else name


def _folded(name: str) -> str:
    return name.strip("_ ").casefold()


@dataclass(frozen=True, slots=True)
class ColourClasses:
    """The meaning of colours."""

    names: Mapping[int, str]  # class name, "background" or "ignore" by colour number
    named_by: str  # the file or parameter with the names

    def meaning(self, number: int) -> str | None:
        """The class name, "background" or "ignore" of a colour; None if it has no name. Unnamed black is background."""
        return self.names.get(number) or (None if number else BACKGROUND)


def colour_classes(
    source: Source, folders: Sequence[str], names: Mapping[Colour, str] | None = None
) -> ColourClasses | None:
    """The meaning of colours: by `names`, else by the first file that declares colours, else None.

    folders: where such a file may be; names: as for value_classes, by colour.
    Raises UserError if the file is broken, or if a colour has two names.
    """
    if names:
        pairs = [(colour, meaning_in_params(name)) for colour, name in sorted(names.items())]  # DVC ignores the order
        return ColourClasses(_table(pairs), BY_USER)
    for folder in folders:
        for name, parse in _FILES.items():
            file = name if folder == "." else f"{folder}/{name}"
            if file in source.files:
                text = source.text(file)
                with at(file):
                    pairs_in_file = list(parse(text))
                    table = _table([(colour, meaning_in_file(name)) for name, colour in pairs_in_file])
                if table:
                    logger.info("%s names %s", file, counted(len(table), "colour"))
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
    """Lines name:r,g,b:parts:actions, written by CVAT and datumaro. Lines without a colour are skipped."""
    for line in text.splitlines():
        parts = line.split(":")
        if not line.startswith("#") and len(parts) > 1 and parts[0].strip() and parts[1].strip():
            yield parts[0].strip(), _colour(parts[1].split(","))


def _class_dict(text: str) -> Iterator[tuple[str, Colour]]:
    """A header and lines name,r,g,b: class_dict.csv of CamVid and DeepGlobe."""
    for row in list(csv.reader(text.splitlines()))[1:]:
        if row:
            yield row[0].strip(), _colour(row[1:4])


def _label_colors(text: str) -> Iterator[tuple[str, Colour]]:
    """Lines "r g b name": label_colors.txt of CamVid."""
    for line in text.splitlines():
        parts = line.split()
        if len(parts) > 3:
            yield " ".join(parts[3:]), _colour(parts[:3])


def _classes_json(text: str) -> Iterator[tuple[str, Colour]]:
    """{name: colour}, or a list of objects with name or title, and color or colour; perhaps under the key "classes".

    A colour is [r, g, b] or "#rrggbb". Entries without a colour are skipped.
    """
    document = parsed_json(text)
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
        match = _HEX.fullmatch(colour)
        return (name.strip(), _colour([str(int(part, 16)) for part in match.groups()])) if match else None
    return name.strip(), _colour([str(part) for part in colour[:3]])


_FILES: Mapping[str, Callable[[str], Iterator[tuple[str, Colour]]]] = {
    "labelmap.txt": _labelmap,
    "class_dict.csv": _class_dict,
    "label_colors.txt": _label_colors,
    "classes.json": _classes_json,
}
COLOUR_FILES = tuple(_FILES)


def by_number_and_colour(
    names: Mapping[str, str],
) -> tuple[Mapping[int, str] | None, Mapping[Colour, str] | None]:
    """The names of ingest.mask_values by number, and by colour; None if there are none.

    >>> by_number_and_colour({"7": "car", "128,0,0": "road"})
    ({7: 'car'}, {(128, 0, 0): 'road'})
    """
    numbers = {int(value): name for value, name in names.items() if "," not in value}
    colours = {_colour(value.split(",")): name for value, name in names.items() if "," in value}
    return numbers or None, colours or None


def _colour(parts: Sequence[str]) -> Colour:
    numbers = [int(part) for part in map(str.strip, parts) if re.fullmatch(r"[0-9]{1,3}", part)]
    if len(parts) != 3 or len(numbers) != 3 or max(numbers) > 255:
        raise UserError(f"{','.join(parts)!r} is not a colour; write each colour as three numbers from 0 to 255")
    return numbers[0], numbers[1], numbers[2]


def _shown(colour: Colour) -> str:
    return ",".join(map(str, colour))


@dataclass(frozen=True, slots=True)
class MaskClasses:
    """The meaning of all values that the masks of a source store."""

    numbers: ValueClasses
    colours: ColourClasses | None = None  # None: no colour is declared

    def meaning(self, survey: Survey, value: int) -> str | None:
        """The class name, "background" or "ignore" of a value in a mask; None if it has no name.

        In a palette image the colours count if all of them are declared, else the indices.
        """
        if survey.coloured:
            return self.colours.meaning(value) if self.colours else self.numbers.meaning(value & 255)
        if self._uses_palette(survey):
            return self.colours.meaning(survey.palette[value]) if self.colours else None
        return self.numbers.meaning(value)

    def problem(self, survey: Survey) -> str:
        """Why the mask cannot be used, although it can be read; "" if it can."""
        if survey.coloured and not self.colours and not survey.is_grey:
            problem = "it contains colours, not class numbers, and their meaning is not declared"
            return f"{problem}; declare it in {COLOUR_FILES[0]}, {COLOUR_FILES[1]} or ingest.mask_values"
        if survey.coloured and len(survey.pixels) > MAX_COLOURS:
            problem = f"it has {len(survey.pixels)} colours, like a photo or a mask with blended edges"
            return f"{problem}; export the mask without antialiasing"
        return ""

    def unnamed_problem(self, survey: Survey, value: int) -> str:
        """The problem of a value that has no name."""
        if survey.coloured and self.colours:
            colour = ",".join(map(str, colour_of(value)))
            return f"{self.colours.named_by} does not name the colour {colour}; add it there"
        return f"{self.numbers.named_by} does not name the value {value}; add it there"

    def categories(self, surveys: Iterable[Survey]) -> tuple[str, ...]:
        """The class names of all masks: first those of the colours, if a mask uses them, then those of the numbers."""
        all_surveys = list(surveys)
        by_colour = [s for s in all_surveys if self.colours and (s.coloured or self._uses_palette(s))]
        names = list(self.colours.names.values()) if self.colours and by_colour else []
        present = {
            value & 255 if s.coloured else value for s in all_surveys if s not in by_colour for value, _ in s.pixels
        }
        if present:
            names += self.numbers.categories(present)
        return tuple(dict.fromkeys(name for name in names if name not in (BACKGROUND, IGNORE)))

    @property
    def named_by(self) -> str:
        """The file or parameter with the names; "" without names."""
        return self.colours.named_by if self.colours else self.numbers.named_by

    def _uses_palette(self, survey: Survey) -> bool:
        if not self.colours or not survey.palette or self.numbers.by_user:
            return False
        used = [survey.palette[value] for value, _ in survey.pixels if value < len(survey.palette)]
        return len(used) == len(survey.pixels) and all(self.colours.meaning(colour) for colour in used)
