"""Classes: the class of each category of the source, and the pixel value and colour of each class."""

import difflib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from segpipe.core.errors import UserError

logger = logging.getLogger(__name__)
TaskKind = Literal["multiclass", "binary"]
Wanted = Literal["auto"] | Sequence[str] | Mapping[str, str | Sequence[str]]
BACKGROUND = "background"
BACKGROUND_INDEX = 0
IGNORE_INDEX = 255
MAX_CLASSES = 255  # 0..254; 255 is IGNORE_INDEX
_IGNORE_COLOUR = (224, 224, 192)  # VOC's "void"
_FOREGROUND = "foreground"  # the class that several classes are merged into


@cache
def voc_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """The first `count` colours of the PASCAL VOC palette. Source: VOCdevkit, VOCcode/VOClabelcolormap.m.

    >>> voc_colours(3)
    ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    """
    colours = []
    for index in range(count):
        red = green = blue = 0
        for bit in range(8):
            red |= (index >> (3 * bit) & 1) << (7 - bit)
            green |= (index >> (3 * bit + 1) & 1) << (7 - bit)
            blue |= (index >> (3 * bit + 2) & 1) << (7 - bit)
        colours.append((red, green, blue))
    return tuple(colours)


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Class names in the order of their class_index; names[0] is the background."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) > MAX_CLASSES:
            raise UserError(
                f"{len(self.names)} classes with background do not fit 8-bit masks (at most {MAX_CLASSES}, "
                f"{IGNORE_INDEX} is ignore); list fewer under ingest.classes in params.yaml"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def colours(self) -> list[tuple[int, int, int]]:
        """256 RGB colours by pixel value; 255 (ignore) has the colour of VOC's void."""
        return [*voc_colours(IGNORE_INDEX), _IGNORE_COLOUR]

    @property
    def png_palette(self) -> list[int]:
        """The colours as 768 numbers, for Pillow's putpalette."""
        return [part for colour in self.colours for part in colour]

    def write(self, path: Path) -> None:
        """Write the table as JSON to `path`."""
        path.write_bytes(self.encoded())

    def encoded(self) -> bytes:
        """The table as JSON: name, class_index and colour of each class, and the ignore value."""
        rows = [{"class_index": i, "name": n, "colour": list(self.colours[i])} for i, n in enumerate(self.names)]
        document = {"classes": rows, "ignore_index": IGNORE_INDEX}
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> "ClassTable":
        """The table that `write` wrote."""
        rows = json.loads(path.read_text(encoding="utf-8"))["classes"]
        return cls(tuple(row["name"] for row in rows))


def select(wanted: Wanted, categories: Sequence[str], used: set[str]) -> dict[str, str]:
    """The class of each selected category, in the order of the classes.

    wanted: "auto" selects every category with an annotation, in the source's order; a list selects its categories, in
    its order; a mapping has the classes as keys, and the category or categories of each as values.
    used: the categories that have an annotation. Raises UserError for a category that no annotation has.

    >>> select({"vehicle": ["car", "bus"], "human": "person"}, [], {"bus", "car", "person"})
    {'car': 'vehicle', 'bus': 'vehicle', 'person': 'human'}
    """
    if wanted == "auto":
        return {name: name for name in _all_used(categories, used)}
    class_of = class_of_categories(wanted) if isinstance(wanted, Mapping) else {name: name for name in wanted}
    missing = [name for name in class_of if name not in used]
    if missing:
        raise UserError(f"no annotation has the class {', '.join(map(repr, missing))}; {_advice(missing[0], used)}")
    return class_of


def class_of_categories(parts_of: Mapping[str, str | Sequence[str]]) -> dict[str, str]:
    """The class of each category. Raises UserError for a category in two classes, and for a class without categories.

    parts_of: the category or categories of each class.
    """
    class_of: dict[str, str] = {}
    for name, parts in parts_of.items():
        if not parts:
            raise UserError(f"{name!r} has no categories; name one or more, or remove it")
        for part in [parts] if isinstance(parts, str) else parts:
            if part in class_of:
                where = f"twice in {name!r}" if class_of[part] == name else f"in {class_of[part]!r} and in {name!r}"
                raise UserError(f"{part!r} is {where}; a category belongs to one class")
            class_of[part] = name
    return class_of


def class_names(class_of: Mapping[str, str]) -> tuple[str, ...]:
    """The classes in `class_of`, in their order."""
    return tuple(dict.fromkeys(class_of.values()))


def class_table(selected: Sequence[str], task: TaskKind) -> ClassTable:
    """The table of background and the selected classes.

    task: "binary" merges all classes into one, which is named after the class if there is only one.
    """
    if task == "multiclass":
        return ClassTable((BACKGROUND, *selected))
    return ClassTable((BACKGROUND, selected[0] if len(selected) == 1 else _FOREGROUND))


def class_indices(selected: Sequence[str], task: TaskKind) -> dict[str, int]:
    """The class_index of each selected class.

    >>> class_indices(["cat", "dog"], "multiclass"), class_indices(["cat", "dog"], "binary")
    ({'cat': 1, 'dog': 2}, {'cat': 1, 'dog': 1})
    """
    return {name: 1 if task == "binary" else index for index, name in enumerate(selected, start=1)}


def refuse_unknown(priority: str | Sequence[str], selected: Sequence[str]) -> None:
    """Raise UserError if `priority` is a list of classes with one that is not selected."""
    for name in [] if isinstance(priority, str) else priority:
        if name not in selected:
            close = difflib.get_close_matches(name, selected, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(f"rasterize.priority names {name!r}; {hint}the classes are {', '.join(selected)}")


def _all_used(categories: Sequence[str], used: set[str]) -> tuple[str, ...]:
    unused = [name for name in categories if name not in used]
    if unused:
        logger.warning("categories without annotations are left out: %s", ", ".join(unused))
    present = tuple(name for name in categories if name in used and name != BACKGROUND)
    if not present:
        raise UserError("no annotation has a class; there is nothing to train on")
    return present


def _advice(name: str, used: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(used), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}the source has {', '.join(sorted(used))}; correct ingest.classes in params.yaml"
