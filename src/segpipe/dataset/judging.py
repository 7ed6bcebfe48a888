"""One annotation against its photograph: whether it can be drawn, what it is drawn as, and its row of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.dataset import ledger
from segpipe.dataset.inspection import Drawn
from segpipe.dataset.ledger import Row
from segpipe.dataset.policies import Fate, Policies, concerned, fate
from segpipe.errors import AnnotationError
from segpipe.masks import geometry, rle
from segpipe.masks.regions import region_of
from segpipe.records import Instance

_WITHDRAWN = ("deleted", "outside", "repeated")  # no defects: taken away by the annotator, or drawn elsewhere better
_UNNAMED = "unknown_category"


@dataclass(frozen=True, slots=True)
class Rules:
    """class_of: the class that each category which counts is drawn as; policies: what the others of its kind become."""

    class_of: Mapping[str, str]
    policies: Policies


@dataclass(frozen=True, slots=True)
class _Region:
    """An instance's pixels. nested_px: those that an even number of its rings hold, None where it has no two."""

    drawn: Drawn
    shape: geometry.Shape
    nested_px: int | None


def judge(instance: Instance, size_hw: tuple[int, int], root: Path, rules: Rules) -> tuple[Row, Drawn | None]:
    """The ledger's row of an instance on a photograph of size_hw pixels, and itself as it will be drawn, if it will."""
    unnamed = instance.problem == _UNNAMED and _has_shape(instance)
    refused = None if unnamed else refusal(instance, rules.class_of)
    if refused:
        return refused, None
    decided, policy = fate(instance, rules.policies)
    try:
        region = _region(_as_region(instance, rules.policies), size_hw, root, rules.policies)
    except AnnotationError as error:
        if decided == "drop":
            row = _row(instance, ledger.DISCARDED, policy, f"validate.{policy} is drop")
        elif unnamed:
            row = _row(instance, ledger.DROPPED, _UNNAMED, f"{instance.detail}; {error}")
        else:
            row = _row(instance, ledger.DROPPED, error.reason, str(error))
        return replace(row, policies=concerned(instance, None)), None
    drawn = replace(region.drawn, instance=_with_role(region.drawn.instance, decided, policy))
    row = _measured(_row(instance, *_verdict(instance, drawn, region.shape, decided, policy)), region)
    row = replace(row, policies=concerned(instance, region.nested_px))
    row = _with_note(row, instance, rules.policies)
    if unnamed:
        row = _as_unnamed(row, instance, rules.policies)
    return row, drawn if row.verdict in ledger.DRAWN else None


def refusal(instance: Instance, class_of: Mapping[str, str]) -> Row | None:
    """The row of an instance that cannot be used, or does not count, whatever its photograph; None for others."""
    if instance.problem:
        verdict = ledger.DISCARDED if instance.problem in _WITHDRAWN else ledger.DROPPED
        row = _row(instance, verdict, instance.problem, instance.detail)
        return replace(row, policies="unknown_class") if instance.problem == _UNNAMED else row
    if instance.category not in class_of and instance.role != "ignore":
        return _row(instance, ledger.DISCARDED, "class_not_selected", f"{instance.category} is not in ingest.classes")
    return None


def lost(instance: Instance, class_of: Mapping[str, str], reason: str, detail: str) -> Row:
    """The row of an instance whose photograph is not there, or cannot be used."""
    return refusal(instance, class_of) or _row(instance, ledger.DROPPED, reason, detail)


def _has_shape(instance: Instance) -> bool:
    return bool(instance.rings) or instance.rle is not None or instance.mask_value is not None


def _as_region(instance: Instance, policies: Policies) -> Instance:
    """The instance with an outline. Raises AnnotationError (not_a_region) where no width is set for its kind."""
    if instance.kind in ("region", "box"):
        return instance
    radius = policies.line_width_px / 2 if instance.kind == "line" else policies.point_radius_px
    if not radius:
        key = "line_width_px" if instance.kind == "line" else "point_radius_px"
        problem = f"a {instance.kind} has no area; set validate.{key} in params.yaml to draw it, or delete it"
        raise AnnotationError(problem, "not_a_region")
    rings, holes = geometry.widened(instance.rings, radius)
    return replace(instance, kind="region", rings=rings, holes=holes)


def _region(instance: Instance, size_hw: tuple[int, int], root: Path, policies: Policies) -> _Region:
    shape = geometry.examine(instance.rings, size_hw, instance.holes)
    if instance.rings or instance.rings_refused:
        if not shape.rings:
            raise AnnotationError("no ring has three different points; draw it again or delete it", "bad_ring")
        instance = replace(instance, rings=shape.rings, holes=shape.holes)
    united = _drawn(instance, shape, size_hw, root)
    if len(instance.rings) < 2 or instance.holes:
        return _Region(united, shape, None)
    odd = _drawn(replace(instance, even_odd=True), shape, size_hw, root)
    nested_px = united.px - odd.px
    return _Region(odd if nested_px and policies.holes == "even_odd" else united, shape, nested_px)


def _drawn(instance: Instance, shape: geometry.Shape, size_hw: tuple[int, int], root: Path) -> Drawn:
    region = region_of(instance, size_hw, root)
    return Drawn(
        instance=instance,
        region=region,
        px=rle.area_px(region),
        box=rle.bounds(region) or (0, 0, 0, 0),
        areas=(shape.area_drawn, shape.area_valid) if instance.rings else (),
    )


def _with_role(instance: Instance, decided: Fate, policy: str) -> Instance:
    """The instance as an object or as pixels to ignore."""
    if instance.problem:  # its class is not known
        return replace(instance, role="ignore", problem="")
    if decided == "ignore":
        return replace(instance, role="crowd" if policy == "crowd" else "ignore")
    return replace(instance, role="object") if instance.role == "crowd" else instance


def _verdict(
    instance: Instance, drawn: Drawn, shape: geometry.Shape, decided: Fate, policy: str
) -> tuple[str, str, str]:
    role = drawn.instance.role
    refused = shape.refused + instance.rings_refused
    if decided == "drop":
        return ledger.DISCARDED, policy, f"validate.{policy} is drop"
    if shape.outside:
        return ledger.DROPPED, "outside_frame", "no part of it lies in the picture; delete it"
    if not drawn.px:
        return ledger.DROPPED, "zero_area", "it covers no pixel; draw it again or delete it"
    if role != "object":
        where = "over what comes before it" if instance.layered else "beneath the objects"
        return ledger.IGNORED, policy or role, f"painted as ignore {where}"
    if shape.crosses:
        return ledger.REPAIRED, "self_crossing", "a ring crosses itself"
    if refused:
        return ledger.REPAIRED, "ring_removed", f"{refused} rings that enclose nothing"
    if shape.past_border:
        return ledger.CLIPPED, "past_border", "cut at the picture's border"
    return ledger.KEPT, "", instance.detail


def _measured(row: Row, region: _Region) -> Row:
    left, top, right, bottom = region.drawn.box
    wide, high = int(right - left), int(bottom - top)
    row = replace(row, px_before=region.drawn.px, px_wide=wide, px_high=high, px_nested=region.nested_px)
    if not region.drawn.areas:
        return row
    return replace(row, area_before=region.shape.area_drawn, area_after=region.shape.area_valid)


def _with_note(row: Row, instance: Instance, policies: Policies) -> Row:
    """The row of a drawn instance, with what its kind has become."""
    if instance.kind == "region" or row.verdict not in ledger.DRAWN:
        return row
    said = {
        "box": f"a box; validate.box is {policies.box}",
        "line": f"a line, drawn {policies.line_width_px:g} px wide",
        "point": f"a point, drawn with a radius of {policies.point_radius_px:g} px",
    }[instance.kind]
    detail = "; ".join(filter(None, [row.detail, said]))
    return replace(row, reason=row.reason or instance.kind, detail=detail)


def _as_unnamed(row: Row, instance: Instance, policies: Policies) -> Row:
    """The row of an instance whose class nothing names: its pixels show something, which may not be background."""
    if row.verdict == ledger.IGNORED and policies.unknown_class == "ignore":
        return replace(row, reason=_UNNAMED, detail=f"{instance.detail}; painted as ignore")
    if row.verdict == ledger.DISCARDED:
        return row
    said = "validate.unknown_class is drop" if row.verdict == ledger.IGNORED else row.detail
    return replace(row, verdict=ledger.DROPPED, reason=_UNNAMED, detail=f"{instance.detail}; {said}")


def _row(instance: Instance, verdict: str, reason: str, detail: str) -> Row:
    return Row(
        kind="annotation",
        id=instance.id,
        image_key=instance.image_key,
        place=instance.place,
        category=instance.category,
        verdict=verdict,
        reason=reason,
        detail=detail,
    )
