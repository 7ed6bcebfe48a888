"""Contradictions between data sets of one source: which of them stop the stage."""

from collections.abc import Collection, Sequence

from segpipe.core.errors import UserError
from segpipe.data.records import Conflict

_SHOWN = 3


def refuse(found: Sequence[Conflict], chosen: Collection[str] | None) -> None:
    """Raise UserError for the conflicts that touch what is learned.

    chosen: the categories that the user named, None for all. Two spellings conflict unless both or none are named.
    """
    touched = [conflict for conflict in found if chosen is None or _touches(conflict, frozenset(chosen))]
    for kind in ("spelling", "photograph"):
        own = [conflict for conflict in touched if conflict.kind == kind]
        if own:
            more = f" and {len(own) - _SHOWN} more like these" if len(own) > _SHOWN else ""
            raise UserError(f"{'; '.join(conflict.what for conflict in own[:_SHOWN])}{more}; {own[0].remedy}")


def _touches(conflict: Conflict, chosen: frozenset[str]) -> bool:
    named = chosen & set(conflict.categories)
    return bool(named) and (conflict.kind == "photograph" or len(named) < len(conflict.categories))
