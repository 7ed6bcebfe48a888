"""Annotations against their photograph: which can be drawn, what they are drawn as, and their rows of the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Instance
from segpipe.ledger import rows
from segpipe.ledger.policies import Fate, Policies, concerned, fate
from segpipe.ledger.rows import Row
from segpipe.masks.geometry import corrected_area
from segpipe.validate.coverage import Covering, cover
from segpipe.validate.findings import Drawn

_WITHDRAWN = ("deleted", "outside", "repeated")  # no defects: taken away by the annotator, or drawn elsewhere better
_UNNAMED = "unknown_category"
Said = tuple[str, str, str]  # verdict, reason, detail


@dataclass(frozen=True, slots=True)
class Rules:
    """class_of: the class that each category which counts is drawn as; policies: what the others of its kind become."""

    class_of: Mapping[str, str]
    policies: Policies


def judge(
    instances: Sequence[Instance], size_hw: tuple[int, int], root: Path, rules: Rules
) -> list[tuple[Row, Drawn | None]]:
    """The ledger's row of each instance on a photograph of size_hw pixels, and itself as it will be drawn, if it will.

    What is drawn has the class that its category counts as; so has every row.
    """
    refused = [None if _is_drawn_unnamed(i) else refusal(i, rules.class_of) for i in instances]
    left = [i for i, row in zip(instances, refused, strict=True) if not row]
    covering = iter(cover(left, size_hw, root, rules.policies))
    return [
        (row, None) if row else _judged(instance, next(covering), rules)
        for instance, row in zip(instances, refused, strict=True)
    ]


def refusal(instance: Instance, class_of: Mapping[str, str]) -> Row | None:
    """The row of an instance that cannot be used, or does not count, whatever its photograph; None for others."""
    if instance.problem:
        verdict = rows.DISCARDED if instance.problem in _WITHDRAWN else rows.DROPPED
        policies = "unknown_class" if instance.problem == _UNNAMED else ""
        return _row(instance, class_of, verdict, instance.problem, instance.detail, policies=policies)
    if instance.category not in class_of and instance.role != "ignore":
        detail = f"{instance.category} is not in ingest.classes"
        return _row(instance, class_of, rows.DISCARDED, "class_not_selected", detail)
    return None


def lost(instance: Instance, class_of: Mapping[str, str], reason: str, detail: str) -> Row:
    """The row of an instance whose photograph is not there, or cannot be used."""
    return refusal(instance, class_of) or _row(instance, class_of, rows.DROPPED, reason, detail)


def _judged(instance: Instance, found: Covering | AnnotationError, rules: Rules) -> tuple[Row, Drawn | None]:
    """The row of an instance that counts, by its pixels, or by why it has none."""
    decided, policy = fate(instance, rules.policies)
    if isinstance(found, AnnotationError):
        said = _without_pixels(instance, found, decided, policy)
        return _row(instance, rules.class_of, *said, policies=concerned(instance, None)), None
    own = _as_drawn(found.instance, decided, policy, rules.class_of)
    said = _with_note(_verdict(instance, own, found, decided, policy), instance, rules.policies)
    if instance.problem:
        said = _as_unnamed(said, instance, rules.policies)
    drawn = Drawn(own, found.region, found.px, found.box, _areas(found))
    measures = _measures(drawn, found.nested_px)
    row = _row(instance, rules.class_of, *said, policies=concerned(instance, found.nested_px), **measures)
    return row, drawn if row.verdict in rows.DRAWN else None


def _is_drawn_unnamed(instance: Instance) -> bool:
    """Whether it has pixels, of a class that nothing names."""
    return instance.problem == _UNNAMED and (
        bool(instance.rings) or instance.rle is not None or instance.mask_value is not None
    )


def _as_drawn(instance: Instance, decided: Fate, policy: str, class_of: Mapping[str, str]) -> Instance:
    """The instance as an object of its class, or as pixels to ignore."""
    role = instance.role
    if instance.problem:  # its class is not known
        role = "ignore"
    elif decided == "ignore":
        role = "crowd" if policy == "crowd" else "ignore"
    elif role == "crowd":
        role = "object"
    category = class_of.get(instance.category, instance.category)
    if (role, category, "") == (instance.role, instance.category, instance.problem):
        return instance
    return replace(instance, role=role, category=category, problem="")


def _without_pixels(instance: Instance, error: AnnotationError, decided: Fate, policy: str) -> Said:
    if decided == "drop":
        return rows.DISCARDED, policy, f"validate.{policy} is drop"
    if instance.problem:
        return rows.DROPPED, _UNNAMED, f"{instance.detail}; {error}"
    return rows.DROPPED, error.reason, str(error)


def _verdict(instance: Instance, drawn: Instance, found: Covering, decided: Fate, policy: str) -> Said:
    role, shape = drawn.role, found.shape
    refused = shape.refused + instance.rings_refused
    if decided == "drop":
        return rows.DISCARDED, policy, f"validate.{policy} is drop"
    if shape.outside:
        return rows.DROPPED, "outside_frame", "no part of it lies in the picture; delete it"
    if not found.px:
        return rows.DROPPED, "zero_area", "it covers no pixel; draw it again or delete it"
    if role != "object":
        where = "over what comes before it" if instance.layered else "beneath the objects"
        return rows.IGNORED, policy or role, f"painted as ignore {where}"
    if shape.crosses:
        return rows.REPAIRED, "self_crossing", "a ring crosses itself"
    if refused:
        return rows.REPAIRED, "ring_removed", f"{refused} rings that enclose nothing"
    if shape.past_border:
        return rows.CLIPPED, "past_border", "cut at the picture's border"
    return rows.KEPT, "", instance.detail


def _areas(found: Covering) -> tuple[float, ...]:
    if not found.instance.rings:
        return ()
    corrected = corrected_area(found.shape)
    return (found.shape.area_drawn,) if corrected is None else (found.shape.area_drawn, corrected)


def _measures(drawn: Drawn, nested_px: int | None) -> dict[str, Any]:
    left, top, right, bottom = drawn.box
    before, after, *_ = *drawn.areas, None, None
    return {
        "px_before": drawn.px,
        "px_wide": int(right - left),
        "px_high": int(bottom - top),
        "px_nested": nested_px,
        "area_before": before,
        "area_after": after,
    }


def _with_note(said: Said, instance: Instance, policies: Policies) -> Said:
    """Of an instance that is drawn, also what its kind has become."""
    verdict, reason, detail = said
    if instance.kind == "region" or verdict not in rows.DRAWN:
        return said
    note = {
        "box": f"a box; validate.box is {policies.box}",
        "line": f"a line, drawn {policies.line_width_px:g} px wide",
        "point": f"a point, drawn with a radius of {policies.point_radius_px:g} px",
    }[instance.kind]
    return verdict, reason or instance.kind, "; ".join(filter(None, [detail, note]))


def _as_unnamed(said: Said, instance: Instance, policies: Policies) -> Said:
    """Of an instance whose class nothing names: its pixels show something, which may not be background."""
    verdict, _, detail = said
    if verdict == rows.IGNORED and policies.unknown_class == "ignore":
        return verdict, _UNNAMED, f"{instance.detail}; painted as ignore"
    if verdict == rows.DISCARDED:
        return said
    why = "validate.unknown_class is drop" if verdict == rows.IGNORED else detail
    return rows.DROPPED, _UNNAMED, f"{instance.detail}; {why}"


def _row(instance: Instance, class_of: Mapping[str, str], verdict: str, reason: str, detail: str, **facts: Any) -> Row:
    return Row(
        kind="annotation",
        id=instance.id,
        image_key=instance.image_key,
        place=instance.place,
        category=instance.category,
        class_name=class_of.get(instance.category, ""),
        verdict=verdict,
        reason=reason,
        detail=detail,
        **facts,
    )
