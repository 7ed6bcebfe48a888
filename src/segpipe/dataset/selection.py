"""Which of the source's categories count, and the class table they make."""

import difflib
import logging
from collections.abc import Sequence
from typing import Literal

from segpipe.classes import BACKGROUND, ClassTable
from segpipe.errors import UserError

logger = logging.getLogger(__name__)
TaskKind = Literal["multiclass", "binary"]
_FOREGROUND = "foreground"


def select(wanted: Sequence[str] | Literal["auto"], categories: Sequence[str], used: set[str]) -> tuple[str, ...]:
    """The names that count, in their order. auto: every category with an annotation, in the source's order.

    used: names that at least one annotation has. Raises UserError for a wanted class that no annotation has.
    """
    if wanted == "auto":
        return _all_used(categories, used)
    missing = [name for name in wanted if name not in used]
    if missing:
        raise UserError(f"no annotation has the class {', '.join(map(repr, missing))}; {_advice(missing[0], used)}")
    return tuple(wanted)


def class_table(selected: Sequence[str], task: TaskKind) -> ClassTable:
    """Background and the selected classes; `binary` folds them into one, named after the class if there is only one."""
    if task == "multiclass":
        return ClassTable((BACKGROUND, *selected))
    return ClassTable((BACKGROUND, selected[0] if len(selected) == 1 else _FOREGROUND))


def class_indices(selected: Sequence[str], task: TaskKind) -> dict[str, int]:
    """The class_index that each selected category is painted with."""
    return {name: 1 if task == "binary" else index for index, name in enumerate(selected, start=1)}


def _all_used(categories: Sequence[str], used: set[str]) -> tuple[str, ...]:
    unused = [name for name in categories if name not in used]
    if unused:
        logger.warning("categories without an annotation are left out: %s", ", ".join(unused))
    names = tuple(name for name in categories if name in used and name != BACKGROUND)
    if not names:
        raise UserError("no annotation has a class; nothing is left to learn")
    return names


def _advice(name: str, used: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(used), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}the source has {', '.join(sorted(used))}; correct ingest.classes in params.yaml"
