"""What the values stored in masks mean: a class, background or ignore."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from segpipe.core.errors import UserError
from segpipe.data.classes import BACKGROUND, BACKGROUND_INDEX, IGNORE_INDEX
from segpipe.ingest.source import Source

logger = logging.getLogger(__name__)

IGNORE = "ignore"
BY_USER = "ingest.mask_values"
NAMES_FILES = ("classes.txt", "class_names.txt", "labelmap.txt", "label_names.txt", "labels.txt", "names.txt")
_BACKGROUND_NAMES = frozenset({BACKGROUND, "bg"})
_IGNORE_NAMES = frozenset({IGNORE, "ignored", "void", "unlabelled", "unlabeled", "unknown"})


@dataclass(frozen=True, slots=True)
class ValueClasses:
    """Class names by stored value. named_by: the file or parameter that gives them, "" for the default numbers."""

    names: Mapping[int, str]
    named_by: str

    @property
    def by_user(self) -> bool:
        """Whether params.yaml gives them."""
        return self.named_by == BY_USER

    def meaning(self, value: int) -> str | None:
        """The class name, BACKGROUND or IGNORE, or None for a value that nothing names.

        Where nothing names them, 0 is background and 255 ignore.
        """
        if value in self.names:
            return self.names[value]
        if value in (BACKGROUND_INDEX, IGNORE_INDEX):
            return BACKGROUND if value == BACKGROUND_INDEX else IGNORE
        return None if self.named_by else f"class_{value}"

    def categories(self, present: Iterable[int]) -> tuple[str, ...]:
        """The class names in their own order; where nothing names them, those of the values present."""
        names = list(self.names.values()) if self.named_by else [self.meaning(value) for value in sorted(present)]
        return tuple(dict.fromkeys(name for name in names if name and name not in (BACKGROUND, IGNORE)))


def value_classes(source: Source, folders: Sequence[str], given: Mapping[int, str] | None) -> ValueClasses:
    """What the user gave; else the names files in the source's `folders`, one each; else the values are the names.

    Raises UserError if two of them do not agree. given: class name, "background" or "ignore" by stored value; its order
    does not count, since DVC compares mappings without it.
    """
    if given:
        return ValueClasses({value: meant_by_user(name) for value, name in sorted(given.items())}, BY_USER)
    tables: dict[str, dict[int, str]] = {}
    for folder in folders:
        files = (name if folder == "." else f"{folder}/{name}" for name in NAMES_FILES)
        file = next((file for file in files if file in source.files), None)
        if file is not None:
            tables[file] = _names(source.text(file))
            logger.info("%s names %d stored values", file, len(tables[file]))
    _refuse_conflict(tables)
    names = {value: name for table in reversed(tables.values()) for value, name in table.items()}
    return ValueClasses(dict(sorted(names.items())), next(iter(tables), ""))


def _refuse_conflict(tables: Mapping[str, Mapping[int, str]]) -> None:
    """Raises UserError if a value has different names in two files: one class table holds for all masks."""
    first: dict[int, tuple[str, str]] = {}
    for file, names in tables.items():
        for value, name in names.items():
            known, by = first.setdefault(value, (name, file))
            if known != name:
                problem = f"{by} names the value {value} {known!r}, {file} names it {name!r}"
                raise UserError(f"{problem}; make them agree, or say what the values mean under ingest.mask_values")


def _names(text: str) -> dict[int, str]:
    """One name a line, the line number from 0 is the stored value; CVAT's labelmap.txt has ':' behind the name.

    Lines that start with '#' do not count; a first line "__ignore__" before the background does not either (labelme).
    """
    names = [meant_by_file(line.split(":")[0].strip()) for line in text.splitlines() if not line.startswith("#")]
    if names[:2] == [IGNORE, BACKGROUND]:
        names = names[1:]
    return {value: name for value, name in enumerate(names) if name}


def meant_by_file(name: str) -> str:
    """What a class name in a file of the source means: itself, background or ignore."""
    return IGNORE if _bare(name) in _IGNORE_NAMES else meant_by_user(name)


def meant_by_user(name: str) -> str:
    """What a class name in params.yaml means: itself, background or ignore."""
    bare = _bare(name)
    return BACKGROUND if bare in _BACKGROUND_NAMES else IGNORE if bare == IGNORE else name


def _bare(name: str) -> str:
    return name.strip("_ ").casefold()
