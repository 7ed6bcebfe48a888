"""One photograph and its annotations against each other: what can be used, what is corrected, what is left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL.Image import Image as Picture

from segpipe.dataset import inspection, ledger, looks, photos
from segpipe.dataset.findings import Finding
from segpipe.dataset.inspection import Drawn
from segpipe.dataset.ledger import Row
from segpipe.dataset.photos import Frame
from segpipe.errors import AnnotationError
from segpipe.files import sha256_of
from segpipe.masks import geometry, rle
from segpipe.masks.regions import region_of
from segpipe.records import Image, Instance

CrowdPolicy = Literal["ignore", "object", "drop"]
Leave = Callable[[Picture, str, Frame], None]  # with the hash of its file and its frame
BoxPolicy = Literal["region", "ignore", "drop"]
_WITHDRAWN = ("deleted", "outside", "repeated")  # no defects: taken away by the annotator, or drawn elsewhere better


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapePolicies:
    """What shapes become that say where an object is, but not its outline; 0: such a shape cannot be used.

    box: its inside is the region, or is ignored, or the box is left out; line_width_px, point_radius_px: lines and
    points are drawn so wide, round at the ends.
    """

    box: BoxPolicy = "region"
    line_width_px: float = 0
    point_radius_px: float = 0


@dataclass(frozen=True, slots=True)
class Task:
    """One image to check.

    class_of: the class that each category which counts is drawn as; keep_empty: a record without objects is
    background; shapes: what boxes, lines and points become; leave: takes the decoded photograph, for rasterize.
    """

    root: Path
    image: Image
    instances: tuple[Instance, ...]
    class_of: Mapping[str, str]
    crowd: CrowdPolicy
    keep_empty: bool
    shapes: ShapePolicies = ShapePolicies()
    leave: Leave | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """A photograph that decodes. frame: which pixels are used; undecidable: both frames fit the declared size.

    width, height: in that frame; sha256: of the file; phash: `looks.hashes` of those pixels;
    background: its record has no object, and that is taken as the truth.
    """

    key: str
    file: str
    split: str | None
    width: int
    height: int
    frame: Frame
    orientation: int
    undecidable: bool
    sha256: str
    phash: str
    background: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one image: its photo unless it is left out, its drawable instances, and a ledger row for each.

    findings: what is worth knowing of those instances.
    """

    photo: Photo | None
    instances: tuple[Instance, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    """One annotation's ledger row, and itself as it will be drawn, if it will be."""

    row: Row
    drawn: Drawn | None = None


def check(task: Task) -> Checked:
    """Decode the photograph once and judge it and every annotation on it; bad files never raise."""
    image = task.image
    matching = any(instance.category in task.class_of for instance in task.instances)
    try:
        photo = _photo(task, matching)
    except AnnotationError as error:
        row = _image_row(image, ledger.DROPPED, error.reason, str(error))
        lost = (_classed(_row_of_lost(i, task), task.class_of) for i in task.instances)
        return Checked(None, (), (row, *lost))
    judged = [_judge(instance, photo, task) for instance in task.instances]
    rows = tuple(_classed(one.row, task.class_of) for one in judged)
    if not matching and not photo.background:
        return Checked(None, (), (_skipped(image), *map(_of_skipped, rows)))
    drawn = [replace(one.drawn, instance=_as_class(one.drawn.instance, task.class_of)) for one in judged if one.drawn]
    found = inspection.findings(drawn, (photo.height, photo.width))
    rows = (_image_row(image, ledger.KEPT), *rows)
    return Checked(photo, tuple(one.instance for one in drawn), rows, tuple(found))


def rows_without_image(instances: Sequence[Instance], class_of: Mapping[str, str]) -> list[Row]:
    """Ledger rows of the annotations that name no image of the data set."""
    rows = (_refusal(i, class_of) or _row(i, ledger.DROPPED, "unknown_image", i.detail) for i in instances)
    return [_classed(row, class_of) for row in rows]


def _classed(row: Row, class_of: Mapping[str, str]) -> Row:
    return replace(row, class_name=class_of.get(row.category, ""))


def _as_class(instance: Instance, class_of: Mapping[str, str]) -> Instance:
    return replace(instance, category=class_of.get(instance.category, instance.category))


def _photo(task: Task, matching: bool) -> Photo:
    image = task.image
    if image.problem:
        raise AnnotationError(image.detail, image.problem)
    path = task.root / image.file
    stored_hw, orientation = photos.read_size(path)
    frame, undecidable = _frame(image, stored_hw, orientation)
    picture, sha256 = photos.read(path, frame), sha256_of(path)
    background = task.keep_empty and image.annotated and not matching
    if task.leave and (matching or background):
        task.leave(picture, sha256, frame)
    return Photo(
        key=image.key,
        file=image.file,
        split=image.split,
        width=picture.width,
        height=picture.height,
        frame=frame,
        orientation=orientation,
        undecidable=undecidable,
        sha256=sha256,
        phash=looks.hashes(picture),
        background=background,
    )


def _frame(image: Image, stored_hw: tuple[int, int], orientation: int) -> tuple[Frame, bool]:
    """The frame whose size the annotation declares: as viewed if that fits, else as stored; and whether both fit."""
    viewed_hw = photos.viewed_hw(stored_hw, orientation)
    declared = (image.height, image.width)
    if None in declared or declared == viewed_hw:
        return "viewed", orientation != 1 and None not in declared and viewed_hw == stored_hw
    if declared == stored_hw:
        return "stored", False
    problem = f"the annotation declares {image.width} x {image.height} pixels, {image.file} has"
    raise AnnotationError(
        f"{problem} {viewed_hw[1]} x {viewed_hw[0]}; export the annotation for this file", "size_mismatch"
    )


def _judge(instance: Instance, photo: Photo, task: Task) -> _Judged:
    if _is_unnamed_value(instance):
        return _unnamed_value(instance, photo, task.root)
    refusal = _refusal(instance, task.class_of)
    if refusal:
        return _Judged(refusal)
    if instance.role == "crowd" and task.crowd == "drop":
        return _Judged(_row(instance, ledger.DISCARDED, "crowd", "validate.crowd is drop"))
    if instance.kind == "box" and task.shapes.box == "drop":
        return _Judged(_row(instance, ledger.DISCARDED, "box", "validate.box is drop"))
    try:
        resolved = _role_resolved(instance, task.crowd)
        judged = _drawable(_as_region(resolved, task.shapes), photo, task.root)
    except AnnotationError as error:
        return _Judged(_row(instance, ledger.DROPPED, error.reason, str(error)))
    return replace(judged, row=_with_note(judged.row, instance, task.shapes))


def _is_unnamed_value(instance: Instance) -> bool:
    """Whether it is pixels of a mask whose class is not known."""
    return instance.problem == "unknown_category" and (instance.mask_value is not None or instance.rle is not None)


def _unnamed_value(instance: Instance, photo: Photo, root: Path) -> _Judged:
    """Such pixels show something, so that they must not count as background: they are painted as ignore."""
    try:
        judged = _drawable(replace(instance, role="ignore", problem=""), photo, root)
    except AnnotationError as error:
        return _Judged(_row(instance, ledger.DROPPED, error.reason, str(error)))
    if judged.row.verdict != ledger.IGNORED:
        return judged
    detail = f"{instance.detail}; painted as ignore"
    return replace(judged, row=replace(judged.row, reason="unknown_category", detail=detail))


def _as_region(instance: Instance, shapes: ShapePolicies) -> Instance:
    """The instance with an outline. Raises AnnotationError (not_a_region) where no width is set for its kind."""
    if instance.kind == "region":
        return instance
    if instance.kind == "box":
        return replace(instance, role="ignore") if shapes.box == "ignore" else instance
    radius = shapes.line_width_px / 2 if instance.kind == "line" else shapes.point_radius_px
    if not radius:
        key = "line_width_px" if instance.kind == "line" else "point_radius_px"
        problem = f"a {instance.kind} has no area; set validate.{key} in params.yaml to draw it, or delete it"
        raise AnnotationError(problem, "not_a_region")
    rings, holes = geometry.widened(instance.rings, radius)
    return replace(instance, kind="region", rings=rings, holes=holes)


def _with_note(row: Row, instance: Instance, shapes: ShapePolicies) -> Row:
    """The row of a drawn instance, with what its kind has become."""
    if instance.kind == "region" or row.verdict not in ledger.DRAWN:
        return row
    said = {
        "box": f"a box; validate.box is {shapes.box}",
        "line": f"a line, drawn {shapes.line_width_px:g} px wide",
        "point": f"a point, drawn with a radius of {shapes.point_radius_px:g} px",
    }[instance.kind]
    detail = "; ".join(filter(None, [row.detail, said]))
    return replace(row, reason=row.reason or instance.kind, detail=detail)


def _refusal(instance: Instance, class_of: Mapping[str, str]) -> Row | None:
    if instance.problem:
        verdict = ledger.DISCARDED if instance.problem in _WITHDRAWN else ledger.DROPPED
        return _row(instance, verdict, instance.problem, instance.detail)
    if instance.category not in class_of and instance.role != "ignore":
        return _row(instance, ledger.DISCARDED, "class_not_selected", f"{instance.category} is not in ingest.classes")
    return None


def _role_resolved(instance: Instance, crowd: CrowdPolicy) -> Instance:
    return replace(instance, role="object") if instance.role == "crowd" and crowd == "object" else instance


def _drawable(instance: Instance, photo: Photo, root: Path) -> _Judged:
    size_hw = (photo.height, photo.width)
    shape = geometry.examine(instance.rings, size_hw, instance.holes)
    if instance.rings or instance.rings_refused:
        if not shape.rings:
            raise AnnotationError("no ring has three different points; draw it again or delete it", "bad_ring")
        instance = replace(instance, rings=shape.rings, holes=shape.holes)
    region = region_of(instance, size_hw, root)
    drawn = Drawn(
        instance=instance,
        region=region,
        px=rle.area_px(region),
        box=rle.bounds(region) or (0, 0, 0, 0),
        areas=(shape.area_drawn, shape.area_valid) if instance.rings else (),
    )
    row = _shape_row(drawn, shape)
    return _Judged(row, drawn if row.verdict in ledger.DRAWN else None)


def _shape_row(drawn: Drawn, shape: geometry.Shape) -> Row:
    left, top, right, bottom = drawn.box
    row = replace(
        _row(drawn.instance, *_shape_verdict(drawn.instance, shape, drawn.px)),
        px_before=drawn.px,
        px_wide=int(right - left),
        px_high=int(bottom - top),
    )
    if not drawn.areas:
        return row
    return replace(row, area_before=shape.area_drawn, area_after=shape.area_valid)


def _shape_verdict(instance: Instance, shape: geometry.Shape, pixels: int) -> tuple[str, str, str]:
    refused = shape.refused + instance.rings_refused
    if shape.outside:
        return ledger.DROPPED, "outside_frame", "no part of it lies in the picture; delete it"
    if not pixels:
        return ledger.DROPPED, "zero_area", "it covers no pixel; draw it again or delete it"
    if instance.role != "object":
        where = "over what comes before it" if instance.layered else "beneath the objects"
        return ledger.IGNORED, instance.role, f"painted as ignore {where}"
    if shape.crosses:
        return ledger.REPAIRED, "self_crossing", "a ring crosses itself"
    if refused:
        return ledger.REPAIRED, "ring_removed", f"{refused} rings that enclose nothing"
    if shape.past_border:
        return ledger.CLIPPED, "past_border", "cut at the picture's border"
    return ledger.KEPT, "", instance.detail


def _row_of_lost(instance: Instance, task: Task) -> Row:
    lost = _row(instance, ledger.DROPPED, "image_lost", f"its picture {task.image.file} cannot be used")
    return _refusal(instance, task.class_of) or lost


def _skipped(image: Image) -> Row:
    if image.annotated:
        return _image_row(image, ledger.SKIPPED, "no_matching_annotation", "no annotation of a selected class")
    return _image_row(image, ledger.SKIPPED, "not_annotated", "no annotation file names it")


def _of_skipped(row: Row) -> Row:
    """An ignored region of a picture that is skipped is not drawn either."""
    if row.verdict not in ledger.DRAWN:
        return row
    if row.reason == "unknown_category":  # a defect, skipped or not
        return replace(row, verdict=ledger.DROPPED)
    return replace(row, verdict=ledger.DISCARDED, reason="image_skipped", detail="its picture is skipped")


def _image_row(image: Image, verdict: str, reason: str = "", detail: str = "") -> Row:
    return Row(
        kind="image",
        id=image.key,
        image_key=image.key,
        place=image.place or image.file,
        verdict=verdict,
        reason=reason,
        detail=detail,
    )


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
