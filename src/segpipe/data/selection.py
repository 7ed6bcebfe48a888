"""Which of the source's categories count, as which class, and the class table they make."""

import difflib
import logging
from collections.abc import Mapping, Sequence
from typing import Literal

from segpipe.core.errors import UserError
from segpipe.data.classes import BACKGROUND, ClassTable

logger = logging.getLogger(__name__)
TaskKind = Literal["multiclass", "binary"]
Wanted = Literal["auto"] | Sequence[str] | Mapping[str, str | Sequence[str]]
_FOREGROUND = "foreground"


def select(wanted: Wanted, categories: Sequence[str], used: set[str]) -> dict[str, str]:
    """The class that each category counts as, in the order of the classes; categories that do not count are not in it.

    wanted: auto: every category with an annotation, in the source's order; names: these, in this order; a mapping:
    its keys are the classes, each made of one category or of several. used: names that at least one annotation has.
    Raises UserError for a category that no annotation has.
    """
    if wanted == "auto":
        return {name: name for name in _all_used(categories, used)}
    class_of = merging(wanted) if isinstance(wanted, Mapping) else {name: name for name in wanted}
    missing = [name for name in class_of if name not in used]
    if missing:
        raise UserError(f"no annotation has the class {', '.join(map(repr, missing))}; {_advice(missing[0], used)}")
    return class_of


def merging(parts_of: Mapping[str, str | Sequence[str]]) -> dict[str, str]:
    """The class that each category counts as. Raises UserError for one in two classes, and a class without any."""
    class_of: dict[str, str] = {}
    for name, parts in parts_of.items():
        if not parts:
            raise UserError(f"{name!r} is made of no category; name one or more, or take it out")
        for part in [parts] if isinstance(parts, str) else parts:
            if part in class_of:
                where = f"twice in {name!r}" if class_of[part] == name else f"in {class_of[part]!r} and in {name!r}"
                raise UserError(f"{part!r} stands {where}; a category counts as one class")
            class_of[part] = name
    return class_of


def names(class_of: Mapping[str, str]) -> tuple[str, ...]:
    """The classes, in their order."""
    return tuple(dict.fromkeys(class_of.values()))


def class_table(selected: Sequence[str], task: TaskKind) -> ClassTable:
    """Background and the selected classes; `binary` folds them into one, named after the class if there is only one."""
    if task == "multiclass":
        return ClassTable((BACKGROUND, *selected))
    return ClassTable((BACKGROUND, selected[0] if len(selected) == 1 else _FOREGROUND))


def class_indices(selected: Sequence[str], task: TaskKind) -> dict[str, int]:
    """The class_index that each selected class is painted with."""
    return {name: 1 if task == "binary" else index for index, name in enumerate(selected, start=1)}


def refuse_unknown(priority: str | Sequence[str], selected: Sequence[str]) -> None:
    """Raise UserError if a list of classes from the top down names one that is not selected."""
    for name in [] if isinstance(priority, str) else priority:
        if name not in selected:
            close = difflib.get_close_matches(name, selected, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(f"rasterize.priority names {name!r}; {hint}the classes are {', '.join(selected)}")


def _all_used(categories: Sequence[str], used: set[str]) -> tuple[str, ...]:
    unused = [name for name in categories if name not in used]
    if unused:
        logger.warning("categories without an annotation are left out: %s", ", ".join(unused))
    found = tuple(name for name in categories if name in used and name != BACKGROUND)
    if not found:
        raise UserError("no annotation has a class; nothing is left to learn")
    return found


def _advice(name: str, used: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(used), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}the source has {', '.join(sorted(used))}; correct ingest.classes in params.yaml"
