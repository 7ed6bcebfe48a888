"""One photograph and its annotations against each other: what can be used, what is corrected, what is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.core.errors import AnnotationError
from segpipe.data import duplicates, photos
from segpipe.data.fitted import Fitted
from segpipe.data.records import Frame, Image, Instance, Photo, Record
from segpipe.data.rgb import Change
from segpipe.ledger import rows as ledger
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import Row
from segpipe.validate import findings as inspection
from segpipe.validate import judge
from segpipe.validate.judge import Rules


@dataclass(frozen=True, slots=True)
class Task(Record):
    """One image to check.

    rules: which annotations count, and what they become; keep_empty: a record without objects is background; leave:
    where the decoded photograph is left for rasterize.
    """

    root: Path
    image: Image
    instances: tuple[Instance, ...]
    rules: Rules
    keep_empty: bool
    leave: Fitted | None = None


@dataclass(frozen=True, slots=True)
class Checked(Record):
    """What became of one image: its photo unless it is left out, its drawable instances, and a ledger row for each.

    findings: what is worth knowing of the photo and of those instances.
    """

    photo: Photo | None
    instances: tuple[Instance, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()


def check(task: Task) -> Checked:
    """Decode the photograph once and judge it and every annotation on it; bad files never raise."""
    image = task.image
    class_of = task.rules.class_of
    matching = any(instance.category in class_of for instance in task.instances)
    try:
        photo, changes = _photo(task, matching)
    except AnnotationError as error:
        row = _image_row(image, ledger.DROPPED, error.reason, str(error))
        said = f"its picture {image.file} cannot be used"
        lost = (judge.lost(instance, class_of, "image_lost", said) for instance in task.instances)
        return Checked(None, (), (row, *lost))
    size_hw = (photo.height, photo.width)
    judged = judge.judge(task.instances, size_hw, task.root, task.rules)
    rows = tuple(row for row, _ in judged)
    if not matching and not photo.background:
        return Checked(None, (), (_skipped(image), *map(_of_skipped, rows)))
    drawn = [one for _, one in judged if one]
    found = [
        *(Finding(code=c.code, kind="image", id=photo.key, image_key=photo.key, detail=c.detail) for c in changes),
        *inspection.findings(drawn, size_hw),
    ]
    rows = (_image_row(image, ledger.KEPT, detail=_noted(image)), *rows)
    return Checked(photo, tuple(one.instance for one in drawn), rows, tuple(found))


def rows_without_image(instances: Sequence[Instance], class_of: Mapping[str, str]) -> list[Row]:
    """Ledger rows of the annotations that name no image of the data set."""
    return [judge.lost(instance, class_of, "unknown_image", instance.detail) for instance in instances]


def _photo(task: Task, matching: bool) -> tuple[Photo, tuple[Change, ...]]:
    image = task.image
    if image.problem:
        raise AnnotationError(image.detail, image.problem)
    with photos.opened(task.root / image.file) as opened:
        frame, undecidable = _frame(image, opened.stored_hw, opened.orientation)
        seen, sha256 = opened.seen(frame), opened.sha256()
    picture = seen.picture
    background = task.keep_empty and image.annotated and not matching
    if task.leave and (matching or background):
        task.leave.put(picture, sha256, frame, opened.stamp)
    photo = Photo(
        key=image.key,
        file=image.file,
        split=image.split,
        width=picture.width,
        height=picture.height,
        frame=frame,
        orientation=opened.orientation,
        undecidable=undecidable,
        sha256=sha256,
        phash=duplicates.fingerprint(picture),
        background=background,
    )
    return photo, seen.changes


def _frame(image: Image, stored_hw: tuple[int, int], orientation: int) -> tuple[Frame, bool]:
    """The frame whose size the annotation declares: as viewed if that fits, else as stored; and whether both fit."""
    viewed_hw = photos.viewed_hw(stored_hw, orientation)
    declared = (image.height, image.width)
    if None in declared or declared == viewed_hw:
        return "viewed", orientation != 1 and None not in declared and viewed_hw == stored_hw
    if declared == stored_hw:
        return "stored", False
    told = f" ({image.detail})" if image.detail else ""
    problem = f"the annotation declares {image.width} x {image.height} pixels, {image.file} has"
    raise AnnotationError(
        f"{problem} {viewed_hw[1]} x {viewed_hw[0]}{told}; export the annotation for this file", "size_mismatch"
    )


def _noted(image: Image) -> str:
    """What its reader says of an image that is used, the codes of findings with their words."""
    return "; ".join(filter(None, [image.detail, *(f"{code}: {words}" for code, words in image.notes if words)]))


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
