"""What annotations mean that do not say it all by themselves: one policy each, and how much each of them decides."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from segpipe.data.records import Instance
from segpipe.ledger import rows as ledger
from segpipe.ledger.rows import Row

Fate = Literal["object", "ignore", "drop"]
POLICIES = ("unknown_class", "crowd", "box", "line", "point", "difficult", "occluded", "holes")
_WIDTHS = {"line": "line_width_px", "point": "point_radius_px"}  # kinds that a width decides on
_FATES: tuple[Fate, ...] = ("object", "ignore", "drop")  # of several that apply, the last decides
_OUTCOMES = {
    ledger.KEPT: "used",
    ledger.REPAIRED: "used",
    ledger.CLIPPED: "used",
    ledger.HIDDEN: "used",
    ledger.IGNORED: "ignored",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """What becomes of each kind of annotation: an object, pixels that are neither taught nor scored, or nothing.

    crowd: regions of uncounted objects; box: its inside is the object, or is ignored, or the box is left out;
    line_width_px, point_radius_px: lines and points are drawn so wide, round at the ends, 0: they cannot be used;
    holes: rings within others of the same instance add nothing (union, as pycocotools has it) or cut holes (even_odd);
    difficult, occluded: what is flagged so; unknown_class: pixels and outlines whose class nothing names.
    """

    crowd: Fate = "ignore"
    box: Literal["region", "ignore", "drop"] = "region"
    line_width_px: float = 0
    point_radius_px: float = 0
    holes: Literal["union", "even_odd"] = "union"
    difficult: Fate = "object"
    occluded: Fate = "object"
    unknown_class: Literal["ignore", "drop"] = "ignore"


def fate(instance: Instance, policies: Policies) -> tuple[Fate, str]:
    """What becomes of an instance of a class that counts, and the name of the policy that decides, "" for none."""
    fates = [(_FATES.index(found), name) for name, found in _fates(instance, policies)]
    if not fates:
        return "object", ""
    worst, name = max(fates, key=lambda pair: pair[0])  # of equals the first
    return _FATES[worst], name


def concerned(instance: Instance, nested_px: int | None) -> str:
    """The names of the policies that an instance falls under, with commas between them.

    nested_px: pixels that more than one of its rings hold, and only an even number of them.
    """
    found = {instance.kind, *instance.flags, instance.role, "unknown_class" if _is_unnamed(instance) else ""}
    found |= {"holes"} if nested_px else set()
    return ",".join(name for name in POLICIES if name in found)


def setting(policy: str) -> str:
    """The key of params.yaml that decides a policy."""
    return f"validate.{_WIDTHS.get(policy, policy)}"


def counts(rows: Iterable[Row]) -> dict[str, dict[str, dict[str, int]]]:
    """By policy and outcome (used, ignored, left_out): annotations that fell under it, and their pixels.

    An annotation counts once under each policy that it falls under, whichever decided. Its pixels are those it covers
    by itself; under holes, those that are holes under even_odd and inside under union.
    """
    found: dict[str, dict[str, dict[str, int]]] = {}
    for row in rows:
        for name in filter(None, row.policies.split(",")):
            outcome = _OUTCOMES.get(row.verdict, "left_out")
            count = found.setdefault(name, {}).setdefault(outcome, {"annotations": 0, "pixels": 0})
            count["annotations"] += 1
            count["pixels"] += (row.px_nested if name == "holes" else row.px_before) or 0
    return {name: found[name] for name in POLICIES if name in found}


def _fates(instance: Instance, policies: Policies) -> Iterable[tuple[str, Fate]]:
    if instance.role == "crowd":
        yield "crowd", policies.crowd
    if instance.kind == "box":
        yield "box", "object" if policies.box == "region" else policies.box
    for flag, found in (("difficult", policies.difficult), ("occluded", policies.occluded)):
        if flag in instance.flags:
            yield flag, found


def _is_unnamed(instance: Instance) -> bool:
    return instance.problem == "unknown_category"
