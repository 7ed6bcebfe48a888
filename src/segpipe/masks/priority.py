"""Who is on top where regions overlap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

SMALLER_ON_TOP = "smaller_on_top"
RECORD_ORDER = "record_order"


@dataclass(frozen=True, slots=True)
class Paint:
    """One region waiting to be painted. beneath: a crowd or ignore region that never covers an object."""

    category: str
    area_px: int
    beneath: bool


def painting_order(paints: Sequence[Paint], priority: str | Sequence[str]) -> list[int]:
    """Positions of `paints` from the bottom to the top.

    smaller_on_top: by pixel count, ties the later record on top; record_order: the later on top; a list of class
    names: the first named on top, classes not named at the bottom, within a class smaller_on_top.
    Regions that are `beneath` lie so whatever the priority.
    """
    rank = _rank(priority)
    return sorted(range(len(paints)), key=lambda i: (not paints[i].beneath, *rank(paints[i])))  # stable: ties stay


def _rank(priority: str | Sequence[str]) -> Callable[[Paint], tuple[int, ...]]:
    if priority == RECORD_ORDER:
        return lambda paint: ()
    if priority == SMALLER_ON_TOP:
        return lambda paint: (-paint.area_px,)
    heights = {name: len(priority) - i for i, name in enumerate(priority)}
    return lambda paint: (heights.get(paint.category, 0), -paint.area_px)
