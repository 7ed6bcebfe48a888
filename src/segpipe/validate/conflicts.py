"""Contradictions between the data sets of one source, and the rule which of them stop the stage."""

from collections.abc import Collection, Sequence

from segpipe.core.errors import UserError
from segpipe.data.records import Conflict

_MAX_SHOWN = 3


def refuse(conflicts: Sequence[Conflict], selected: Collection[str] | None) -> None:
    """Raise UserError for conflicts that concern the selected categories.

    selected: the categories that the user selects, None for all. Two spellings of a name are a conflict unless both
    or neither of them are selected.
    """
    relevant = [conflict for conflict in conflicts if selected is None or _concerns(conflict, frozenset(selected))]
    for kind in ("spelling", "photograph"):
        of_kind = [conflict for conflict in relevant if conflict.kind == kind]
        if of_kind:
            more = f" and {len(of_kind) - _MAX_SHOWN} more like these" if len(of_kind) > _MAX_SHOWN else ""
            shown = "; ".join(conflict.what for conflict in of_kind[:_MAX_SHOWN])
            raise UserError(f"{shown}{more}; {of_kind[0].remedy}")


def _concerns(conflict: Conflict, selected: frozenset[str]) -> bool:
    named = selected & set(conflict.categories)
    return bool(named) and (conflict.kind == "photograph" or len(named) < len(conflict.categories))
