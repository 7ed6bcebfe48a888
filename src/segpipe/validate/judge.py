"""The verdict on each annotation of an image: whether and as what it is drawn, and its ledger row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from segpipe.core.errors import AnnotationError
from segpipe.core.plurals import counted
from segpipe.data.records import Instance
from segpipe.ledger.content import content_of
from segpipe.ledger.policies import Fate, Policies, concerned, fate
from segpipe.ledger.rows import CLIPPED, DISCARDED, DRAWN, DROPPED, IGNORED, KEPT, REPAIRED, Row
from segpipe.masks.geometry import corrected_area
from segpipe.masks.rle import Region
from segpipe.validate.coverage import Coverage, cover
from segpipe.validate.findings import DrawnInstance

_NOT_DEFECTS = ("deleted", "outside", "repeated")  # problems that the annotation tool means that way
_UNKNOWN_CATEGORY = "unknown_category"


class Verdict(NamedTuple):
    """One of rows.VERDICTS, the reason code ("" for none), and the detail in words."""

    verdict: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The selected classes, and the policies for their annotations."""

    class_of: Mapping[str, str]  # the class of each selected category
    policies: Policies


def judge(
    instances: Sequence[Instance], size_hw: tuple[int, int], root: Path, rules: Rules
) -> list[tuple[Row, DrawnInstance | None]]:
    """The ledger row of each instance on an image of size_hw pixels, and the instance as it will be drawn, if it is.

    root: the source folder. A drawn instance has the class of its category as its category.
    """
    refused = [None if _is_drawable_unknown(i) else refusal(i, rules.class_of) for i in instances]
    remaining = [i for i, row in zip(instances, refused, strict=True) if not row]
    coverages = iter(cover(remaining, size_hw, root, rules.policies))
    return [
        (row, None) if row else _judged(instance, next(coverages), rules)
        for instance, row in zip(instances, refused, strict=True)
    ]


def refusal(instance: Instance, class_of: Mapping[str, str]) -> Row | None:
    """The row of an instance that is not used on any image, because of a problem or its class; None for the others."""
    if instance.problem:
        verdict = DISCARDED if instance.problem in _NOT_DEFECTS else DROPPED
        policies = "unknown_class" if instance.problem == _UNKNOWN_CATEGORY else ""
        return _row(instance, class_of, Verdict(verdict, instance.problem, instance.detail), policies=policies)
    if instance.category not in class_of and instance.role != "ignore":
        detail = f"{instance.category} is not in ingest.classes"
        return _row(instance, class_of, Verdict(DISCARDED, "class_not_selected", detail))
    return None


def lost(instance: Instance, class_of: Mapping[str, str], reason: str, detail: str) -> Row:
    """The row of an instance whose image is missing or unusable."""
    return refusal(instance, class_of) or _row(instance, class_of, Verdict(DROPPED, reason, detail))


def _judged(instance: Instance, coverage: Coverage | AnnotationError, rules: Rules) -> tuple[Row, DrawnInstance | None]:
    decided, policy = fate(instance, rules.policies)
    if isinstance(coverage, AnnotationError):
        verdict = _without_pixels(instance, coverage, decided, policy)
        return _row(instance, rules.class_of, verdict, policies=concerned(instance, None)), None
    as_drawn = _as_drawn(coverage.instance, decided, policy, rules.class_of)
    verdict = _with_kind(_verdict(instance, as_drawn, coverage, decided, policy), instance, rules.policies)
    if instance.problem:
        verdict = _as_unknown(verdict, instance, rules.policies)
    drawn = DrawnInstance(as_drawn, coverage.region, coverage.px, coverage.box, _areas(coverage))
    measures = _measures(drawn, coverage.nested_px)
    facts = measures | {"policies": concerned(instance, coverage.nested_px)}
    row = _row(instance, rules.class_of, verdict, coverage.region, **facts)
    return row, drawn if row.verdict in DRAWN else None


def _is_drawable_unknown(instance: Instance) -> bool:
    """Whether an instance of an unknown class has pixels."""
    return instance.problem == _UNKNOWN_CATEGORY and (
        bool(instance.rings) or instance.rle is not None or instance.mask_value is not None
    )


def _as_drawn(instance: Instance, decided: Fate, policy: str, class_of: Mapping[str, str]) -> Instance:
    """The instance as an object of its class, or as pixels to ignore."""
    role = instance.role
    if instance.problem:  # its class is unknown
        role = "ignore"
    elif decided == "ignore":
        role = "crowd" if policy == "crowd" else "ignore"
    elif role == "crowd":
        role = "object"
    category = class_of.get(instance.category, instance.category)
    if (role, category, "") == (instance.role, instance.category, instance.problem):
        return instance
    return replace(instance, role=role, category=category, problem="")


def _without_pixels(instance: Instance, error: AnnotationError, decided: Fate, policy: str) -> Verdict:
    if decided == "drop":
        return Verdict(DISCARDED, policy, f"validate.{policy} is drop")
    if instance.problem:
        return Verdict(DROPPED, _UNKNOWN_CATEGORY, f"{instance.detail}; {error}")
    return Verdict(DROPPED, error.reason, str(error))


def _verdict(instance: Instance, drawn: Instance, coverage: Coverage, decided: Fate, policy: str) -> Verdict:
    role, shape = drawn.role, coverage.shape
    refused = shape.refused + instance.rings_refused
    if decided == "drop":
        return Verdict(DISCARDED, policy, f"validate.{policy} is drop")
    if shape.outside:
        return Verdict(DROPPED, "outside_frame", "it is entirely outside the image; delete it")
    if not coverage.px:
        return Verdict(DROPPED, "zero_area", "it covers no pixel; draw it again or delete it")
    if role != "object":
        where = "over earlier shapes" if instance.layered else "under all objects"
        return Verdict(IGNORED, policy or role, f"painted as ignore {where}")
    if shape.crosses:
        return Verdict(REPAIRED, "self_crossing", "a ring crosses itself")
    if refused:
        return Verdict(REPAIRED, "ring_removed", f"left out: {counted(refused, 'ring')} without area")
    if shape.past_border:
        return Verdict(CLIPPED, "past_border", "cut at the image border")
    return Verdict(KEPT, "", instance.detail)


def _areas(coverage: Coverage) -> tuple[float, ...]:
    if not coverage.instance.rings:
        return ()
    corrected = corrected_area(coverage.shape)
    return (coverage.shape.area_drawn,) if corrected is None else (coverage.shape.area_drawn, corrected)


def _measures(drawn: DrawnInstance, nested_px: int | None) -> dict[str, Any]:
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


def _with_kind(verdict: Verdict, instance: Instance, policies: Policies) -> Verdict:
    """The verdict on a drawn box, line or point with the setting that decides how it is drawn."""
    if instance.kind == "region" or verdict.verdict not in DRAWN:
        return verdict
    note = {
        "box": f"a box; validate.box is {policies.box}",
        "line": f"a line, drawn {policies.line_width_px:g} px wide",
        "point": f"a point, drawn with a radius of {policies.point_radius_px:g} px",
    }[instance.kind]
    detail = "; ".join(filter(None, [verdict.detail, note]))
    return Verdict(verdict.verdict, verdict.reason or instance.kind, detail)


def _as_unknown(verdict: Verdict, instance: Instance, policies: Policies) -> Verdict:
    """The verdict on an instance of an unknown class: its pixels may be objects, so they cannot be background."""
    if verdict.verdict == IGNORED and policies.unknown_class == "ignore":
        return Verdict(IGNORED, _UNKNOWN_CATEGORY, f"{instance.detail}; painted as ignore")
    if verdict.verdict == DISCARDED:
        return verdict
    why = "validate.unknown_class is drop" if verdict.verdict == IGNORED else verdict.detail
    return Verdict(DROPPED, _UNKNOWN_CATEGORY, f"{instance.detail}; {why}")


def _row(
    instance: Instance, class_of: Mapping[str, str], verdict: Verdict, region: Region | None = None, **facts: Any
) -> Row:
    return Row(
        kind="annotation",
        id=instance.id,
        image_key=instance.image_key,
        place=instance.place,
        category=instance.category,
        class_name=class_of.get(instance.category, ""),
        verdict=verdict.verdict,
        reason=verdict.reason,
        detail=verdict.detail,
        content=content_of(instance, region),
        **facts,
    )
