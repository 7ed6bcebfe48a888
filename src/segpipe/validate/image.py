"""One image and its annotations: the photo is decoded, and every annotation judged against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.core.errors import AnnotationError
from segpipe.data import duplicates, photos
from segpipe.data.fitted import Fitted
from segpipe.data.records import Frame, Image, Instance, Photo, Record
from segpipe.data.rgb import Change
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import DISCARDED, DRAWN, DROPPED, KEPT, SKIPPED, Row
from segpipe.validate import findings, judge
from segpipe.validate.judge import Rules


@dataclass(frozen=True, slots=True)
class CheckTask(Record):
    """One image to check."""

    root: Path  # the source folder
    image: Image
    instances: tuple[Instance, ...]
    rules: Rules  # which classes are selected, and the policies
    keep_empty: bool  # whether a record without objects means background
    cache: Fitted | None = None  # for the decoded photo, which rasterize needs


@dataclass(frozen=True, slots=True)
class CheckedImage(Record):
    """The result for one image."""

    photo: Photo | None  # None if the image is left out
    instances: tuple[Instance, ...]  # those that will be drawn
    rows: tuple[Row, ...]  # of the ledger: the image's, then one for each annotation
    findings: tuple[Finding, ...] = ()
    fingerprint: bytes = b""  # `duplicates.fingerprint` of the used pixels; empty if the image is left out


def check(task: CheckTask) -> CheckedImage:
    """Decode the photo once and judge every annotation on it. A bad file or record results in rows, not in an error."""
    image = task.image
    class_of = task.rules.class_of
    matching = any(instance.category in class_of for instance in task.instances)
    try:
        photo, changes, fingerprint = _photo(task, matching)
    except AnnotationError as error:
        row = _image_row(image, DROPPED, error.reason, str(error))
        detail = f"its image {image.file} cannot be used"
        lost = (judge.lost(instance, class_of, "image_lost", detail) for instance in task.instances)
        return CheckedImage(None, (), (row, *lost))
    size_hw = (photo.height, photo.width)
    judged = judge.judge(task.instances, size_hw, task.root, task.rules)
    rows = tuple(row for row, _ in judged)
    if not matching and not photo.background:
        return CheckedImage(None, (), (_skipped(image, photo.sha256), *map(_of_skipped_image, rows)))
    drawn = [item for _, item in judged if item]
    of_image = [
        *(Finding(code=c.code, kind="image", id=photo.key, image_key=photo.key, detail=c.detail) for c in changes),
        *findings.find(drawn, size_hw),
    ]
    rows = (_image_row(image, KEPT, detail=_reader_notes(image), content=photo.sha256), *rows)
    return CheckedImage(photo, tuple(item.instance for item in drawn), rows, tuple(of_image), fingerprint)


def rows_without_image(instances: Sequence[Instance], class_of: Mapping[str, str]) -> list[Row]:
    """The ledger rows of annotations that name no image of the data set."""
    return [judge.lost(instance, class_of, "unknown_image", instance.detail) for instance in instances]


def _photo(task: CheckTask, matching: bool) -> tuple[Photo, tuple[Change, ...], bytes]:
    image = task.image
    if image.problem:
        raise AnnotationError(image.detail, image.problem)
    with photos.open_photo(task.root / image.file) as opened:
        frame, undecidable = _frame(image, opened.stored_hw, opened.orientation)
        seen, sha256 = opened.decode(frame), opened.sha256()
    background = task.keep_empty and image.annotated and not matching
    if task.cache and (matching or background):
        task.cache.put(seen.image, sha256, frame, opened.stamp)
    photo = Photo(
        key=image.key,
        file=image.file,
        split=image.split,
        width=seen.image.width,
        height=seen.image.height,
        frame=frame,
        orientation=opened.orientation,
        undecidable=undecidable,
        sha256=sha256,
        background=background,
    )
    return photo, seen.changes, duplicates.fingerprint(seen.image)


def _frame(image: Image, stored_hw: tuple[int, int], orientation: int) -> tuple[Frame, bool]:
    """The frame with the declared size (as viewed if both frames have it), and whether both have it."""
    viewed_hw = photos.viewed_hw(stored_hw, orientation)
    declared = (image.height, image.width)
    if None in declared or declared == viewed_hw:
        return "viewed", orientation != 1 and None not in declared and viewed_hw == stored_hw
    if declared == stored_hw:
        return "stored", False
    note = f" ({image.detail})" if image.detail else ""
    problem = f"the annotation declares {image.width} x {image.height} pixels, {image.file} has"
    raise AnnotationError(
        f"{problem} {viewed_hw[1]} x {viewed_hw[0]}{note}; export the annotation for this file", "size_mismatch"
    )


def _reader_notes(image: Image) -> str:
    """The reader's detail and notes about an image that is used."""
    return "; ".join(filter(None, [image.detail, *(f"{code}: {words}" for code, words in image.notes if words)]))


def _skipped(image: Image, content: str) -> Row:
    if image.annotated:
        return _image_row(image, SKIPPED, "no_matching_annotation", "no annotation of a selected class", content)
    return _image_row(image, SKIPPED, "not_annotated", "no annotation file names it", content)


def _of_skipped_image(row: Row) -> Row:
    """The row of an annotation on a skipped image: an ignored region is not drawn there."""
    if row.verdict not in DRAWN:
        return row
    if row.reason == "unknown_category":  # stays a defect
        return replace(row, verdict=DROPPED)
    return replace(row, verdict=DISCARDED, reason="image_skipped", detail="its image is skipped")


def _image_row(image: Image, verdict: str, reason: str = "", detail: str = "", content: str = "") -> Row:
    return Row(
        kind="image",
        id=image.key,
        image_key=image.key,
        place=image.place or image.file,
        verdict=verdict,
        reason=reason,
        detail=detail,
        content=content,
    )
