"""The policies for crowds, boxes, lines, points, flagged and unnamed annotations, and the counts of their results."""

import difflib
from collections.abc import Iterable
from typing import Literal

from pydantic import Field, field_validator

from segpipe.core.settings import Settings, Share
from segpipe.data.records import Instance
from segpipe.ledger.reasons import LIMITED_CODES

Fate = Literal["object", "ignore", "drop"]
POLICIES = ("unknown_class", "crowd", "box", "line", "point", "difficult", "occluded", "holes")
_WIDTHS = {"line": "line_width_px", "point": "point_radius_px"}  # kinds with a width as their setting
_FATES: tuple[Fate, ...] = ("object", "ignore", "drop")  # from the weakest to the strongest


class Policies(Settings):
    """The policy for each kind of annotation: an object, ignored pixels (not trained on, not scored), or nothing."""

    crowd: Fate = Field("ignore", description="regions of uncounted objects: ignore (not scored), object or drop")
    difficult: Fate = Field("object", description="annotations that are marked as difficult: object, ignore or drop")
    occluded: Fate = Field("object", description="annotations that are marked as occluded: object, ignore or drop")
    unknown_class: Literal["ignore", "drop"] = Field(
        "ignore", description="outlines and pixels of a class without a name: ignore, or drop (they become background)"
    )
    holes: Literal["union", "even_odd"] = Field(
        "union",
        description="a ring inside another ring of the same object: union (it adds nothing, as in pycocotools) or "
        "even_odd (it cuts a hole)",
    )
    box: Literal["region", "ignore", "drop"] = Field(
        "region", description="boxes: region (the inside is the object), ignore (the inside is not scored) or drop"
    )
    line_width_px: float = Field(0, ge=0, le=1000, description="width of drawn lines in pixels; 0: lines are dropped")
    point_radius_px: float = Field(
        0, ge=0, le=1000, description="radius of drawn points in pixels; 0: points are dropped"
    )

    def key(self) -> tuple[str | float, ...]:
        """The values of these policies, without the fields of a subclass; equal keys decide alike."""
        return tuple(getattr(self, name) for name in Policies.model_fields)


class Validate(Policies):
    """The section `validate` of params.yaml: the policies, empty images, and the limits on data."""

    unannotated: Literal["skip", "keep"] = Field(
        "skip", description="images whose record has no object: skip, or keep (they are background)"
    )
    limits: dict[str, Share] = Field(
        {"dropped_images": 0.05, "dropped_annotations": 0.05},
        description="largest share of images or annotations with a code of the data report; more stops the stage; a "
        "code that is not listed has no limit",
    )

    @field_validator("limits")
    @classmethod
    def _known(cls, limits: dict[str, float]) -> dict[str, float]:
        for code in limits:
            if code not in LIMITED_CODES:
                close = difflib.get_close_matches(code, LIMITED_CODES, n=1, cutoff=0)
                raise ValueError(f"no reason or finding has the code {code!r}; did you mean {close[0]}?")
        return limits


def fate(instance: Instance, policies: Policies) -> tuple[Fate, str]:
    """The fate of an instance of a selected class, and the name of the policy that decides, "" without one.

    If several policies apply, drop wins over ignore, and ignore over object.
    """
    fates = [(_FATES.index(chosen), name) for name, chosen in _fates(instance, policies)]
    if not fates:
        return "object", ""
    rank, name = max(fates, key=lambda pair: pair[0])  # the first of equals
    return _FATES[rank], name


def concerned(instance: Instance, nested_px: int | None) -> str:
    """The names of the policies that apply to an instance, with commas between them.

    nested_px: pixels inside an even number of its rings, two or more; None if they were not counted.
    """
    applying = {instance.kind, *instance.flags, instance.role, "unknown_class" if _is_unnamed(instance) else ""}
    applying |= {"holes"} if nested_px else set()
    return ",".join(name for name in POLICIES if name in applying)


def setting(policy: str) -> str:
    """The key of params.yaml that decides a policy."""
    return f"validate.{_WIDTHS.get(policy, policy)}"


def _fates(instance: Instance, policies: Policies) -> Iterable[tuple[str, Fate]]:
    if instance.role == "crowd":
        yield "crowd", policies.crowd
    if instance.kind == "box":
        yield "box", "object" if policies.box == "region" else policies.box
    for flag, chosen in (("difficult", policies.difficult), ("occluded", policies.occluded)):
        if flag in instance.flags:
            yield flag, chosen


def _is_unnamed(instance: Instance) -> bool:
    return instance.problem == "unknown_category"
