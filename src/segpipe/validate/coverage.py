"""The pixels that annotations cover on their photograph: all of one photograph's in one go, or why one has none."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Instance
from segpipe.ledger.policies import Policies
from segpipe.masks import geometry, raster, rle
from segpipe.masks.regions import try_regions

_NOWHERE = (0.0, 0.0, 0.0, 0.0)
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Covering:
    """An instance as it is outlined, and its pixels.

    shape: what is known of its rings; px: the number of pixels; box: their bounds, zeros where there is none;
    nested_px: those that an even number of its rings hold, None where it has no two.
    """

    instance: Instance
    shape: geometry.Shape
    region: rle.Region
    px: int
    box: rle.Bounds
    nested_px: int | None


@dataclass(frozen=True, slots=True)
class _Outlined:
    """An instance with nothing but usable rings, or none at all, and what is known of them."""

    instance: Instance
    shape: geometry.Shape


def cover(
    instances: Sequence[Instance], size_hw: tuple[int, int], root: Path, policies: Policies
) -> list[Covering | AnnotationError]:
    """What each instance covers of a photograph of size_hw pixels, in their order, or why it has no pixels.

    root: the source, whose mask files some name. The errors are not_a_region, bad_ring, bad_rle and bad_record.
    """
    regions = [_as_region(instance, policies) for instance in instances]
    outlined = _through(regions, lambda some: _outlined(some, size_hw))
    return _through(outlined, lambda some: _drawn(some, size_hw, root, policies))


def _through(
    found: Sequence[Given | AnnotationError], each: Callable[[list[Given]], Iterable[Made | AnnotationError]]
) -> list[Made | AnnotationError]:
    """What `each` makes of all that are no errors; these stay in their places."""
    made = iter(each([one for one in found if not isinstance(one, AnnotationError)]))
    return [one if isinstance(one, AnnotationError) else next(made) for one in found]


def _as_region(instance: Instance, policies: Policies) -> Instance | AnnotationError:
    """The instance with an outline; an error (not_a_region) where no width is set for its kind."""
    if instance.kind in ("region", "box"):
        return instance
    radius = policies.line_width_px / 2 if instance.kind == "line" else policies.point_radius_px
    if not radius:
        key = "line_width_px" if instance.kind == "line" else "point_radius_px"
        problem = f"a {instance.kind} has no area; set validate.{key} in params.yaml to draw it, or delete it"
        return AnnotationError(problem, "not_a_region")
    rings, holes = geometry.widened(instance.rings, radius)
    return replace(instance, kind="region", rings=rings, holes=holes)


def _outlined(instances: Sequence[Instance], size_hw: tuple[int, int]) -> Iterator[_Outlined | AnnotationError]:
    """The instances without rings that enclose nothing; an error (bad_ring) for one of which no ring is left."""
    shapes = geometry.examine_each([(i.rings, i.holes) for i in instances], size_hw)
    for instance, shape in zip(instances, shapes, strict=True):
        if (instance.rings or instance.rings_refused) and not shape.rings:
            yield AnnotationError("no ring has three different points; draw it again or delete it", "bad_ring")
        elif shape.refused:
            yield _Outlined(replace(instance, rings=shape.rings, holes=shape.holes), shape)
        else:
            yield _Outlined(instance, shape)


def _drawn(
    outlined: Sequence[_Outlined], size_hw: tuple[int, int], root: Path, policies: Policies
) -> list[Covering | AnnotationError]:
    regions = try_regions([one.instance for one in outlined], size_hw, root)
    owns = [own for own, region in zip(outlined, regions, strict=True) if not isinstance(region, AnnotationError)]

    def measured(drawn: list[rle.Region]) -> Iterator[Covering]:
        for own, region, px, box in zip(owns, drawn, rle.areas_px(drawn), rle.bounds_each(drawn), strict=True):
            united = Covering(own.instance, own.shape, region, px, box or _NOWHERE, None)
            yield _with_nested(united, size_hw, policies)

    return _through(regions, measured)


def _with_nested(united: Covering, size_hw: tuple[int, int], policies: Policies) -> Covering:
    """The pixels of an instance of several rings, as validate.holes has it."""
    instance = united.instance
    if len(instance.rings) < 2 or instance.holes:
        return united
    region = raster.draw(instance.rings, size_hw, even_odd=True)
    px = rle.area_px(region)
    nested_px = united.px - px
    if nested_px and policies.holes == "even_odd":
        box = rle.bounds(region) or _NOWHERE
        return Covering(replace(instance, even_odd=True), united.shape, region, px, box, nested_px)
    return replace(united, nested_px=nested_px)
