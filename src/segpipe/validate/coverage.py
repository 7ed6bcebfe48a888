"""The pixels that each annotation of an image covers, or the error why it covers none."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Instance
from segpipe.ledger.policies import Policies
from segpipe.masks import geometry, raster, rle
from segpipe.masks.regions import try_regions

_NO_BOX = (0.0, 0.0, 0.0, 0.0)
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Coverage:
    """An instance with an outline and the pixels it covers."""

    instance: Instance
    shape: geometry.Shape  # of its rings
    region: rle.Region
    px: int
    box: rle.Bounds  # around the pixels, zeros if there are none
    nested_px: int | None  # pixels inside an even number of its rings, None for fewer than two rings


@dataclass(frozen=True, slots=True)
class _Outlined:
    """An instance without unusable rings."""

    instance: Instance
    shape: geometry.Shape


def cover(
    instances: Sequence[Instance], size_hw: tuple[int, int], root: Path, policies: Policies
) -> list[Coverage | AnnotationError]:
    """The coverage of each instance on an image of size_hw pixels, or the error why it has none, in order.

    root: the source folder; some instances name mask files in it.
    The errors have the reasons not_a_region, bad_ring, bad_rle and bad_record.
    """
    regions = [_as_region(instance, policies) for instance in instances]
    outlined = _without_errors(regions, lambda items: _outlined(items, size_hw))
    return _without_errors(outlined, lambda items: _covered(items, size_hw, root, policies))


def _without_errors(
    items: Sequence[In | AnnotationError], function: Callable[[list[In]], Iterable[Out | AnnotationError]]
) -> list[Out | AnnotationError]:
    """`function` applied to the list of all items that are not errors; errors keep their positions."""
    results = iter(function([item for item in items if not isinstance(item, AnnotationError)]))
    return [item if isinstance(item, AnnotationError) else next(results) for item in items]


def _as_region(instance: Instance, policies: Policies) -> Instance | AnnotationError:
    """Lines and points with the outline of their width; an error if their width is 0."""
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
    """The instances without rings that enclose nothing; an error (bad_ring) if no ring remains."""
    shapes = geometry.examine_each([(i.rings, i.holes) for i in instances], size_hw)
    for instance, shape in zip(instances, shapes, strict=True):
        if (instance.rings or instance.rings_refused) and not shape.rings:
            yield AnnotationError("no ring has three different points; draw it again or delete it", "bad_ring")
        elif shape.refused:
            yield _Outlined(replace(instance, rings=shape.rings, holes=shape.holes), shape)
        else:
            yield _Outlined(instance, shape)


def _covered(
    outlined: Sequence[_Outlined], size_hw: tuple[int, int], root: Path, policies: Policies
) -> list[Coverage | AnnotationError]:
    regions = try_regions([item.instance for item in outlined], size_hw, root)
    drawable = [item for item, region in zip(outlined, regions, strict=True) if not isinstance(region, AnnotationError)]

    def measured(regions: list[rle.Region]) -> Iterator[Coverage]:
        measures = zip(drawable, regions, rle.areas_px(regions), rle.bounds_each(regions), strict=True)
        for item, region, px, box in measures:
            united = Coverage(item.instance, item.shape, region, px, box or _NO_BOX, None)
            yield _with_nested_rings(united, size_hw, policies)

    return _without_errors(regions, measured)


def _with_nested_rings(united: Coverage, size_hw: tuple[int, int], policies: Policies) -> Coverage:
    """The coverage of an instance with several rings under the policy `holes`. united: the union of its rings."""
    instance = united.instance
    if len(instance.rings) < 2 or instance.holes:
        return united
    region = raster.draw(instance.rings, size_hw, even_odd=True)
    px = rle.area_px(region)
    nested_px = united.px - px
    if nested_px and policies.holes == "even_odd":
        box = rle.bounds(region) or _NO_BOX
        return Coverage(replace(instance, even_odd=True), united.shape, region, px, box, nested_px)
    return replace(united, nested_px=nested_px)
