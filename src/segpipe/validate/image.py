"""One image and its annotations: the photo is decoded, and every annotation judged against it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.core.errors import AnnotationError
from segpipe.data.records import Image, Instance, Photo
from segpipe.data.rgb import Change
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import DISCARDED, DRAWN, DROPPED, KEPT, SKIPPED, Row
from segpipe.validate import findings, judge
from segpipe.validate.judge import Rules
from segpipe.validate.photo import Look, decode


@dataclass(frozen=True, slots=True)
class CheckTask:
    """One image to check."""

    root: Path  # the source folder
    image: Image
    instances: tuple[Instance, ...]
    rules: Rules  # which classes are selected, and the policies
    keep_empty: bool  # whether a record without objects means background


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """The result for one image."""

    photo: Photo | None  # None if the image is left out
    instances: tuple[Instance, ...]  # those that will be drawn
    rows: tuple[Row, ...]  # of the ledger: the image's, then one for each annotation
    findings: tuple[Finding, ...]
    fingerprint: bytes = b""  # `duplicates.fingerprint` of the photo


def check(task: CheckTask, look: Look | None = None) -> CheckedImage:
    """Look at the photo and judge every annotation on it. A bad file or record results in rows, not in an error.

    look: the facts about the photo; without it, the photo is decoded.
    """
    image, class_of = task.image, task.rules.class_of
    of_records = _of_records(image, task.instances)
    matching = any(instance.category in class_of for instance in task.instances)
    background = task.keep_empty and image.annotated and not matching
    is_used = matching or background
    try:
        if image.problem:
            raise AnnotationError(image.detail, image.problem)
        seen = look(image, is_used) if look else decode(task.root, image, with_fingerprint=False)[0]
    except AnnotationError as error:
        row = _image_row(image, DROPPED, error.reason, str(error))
        detail = f"its image {image.file} cannot be used"
        lost = (judge.lost(instance, class_of, "image_lost", detail) for instance in task.instances)
        return CheckedImage(None, (), (row, *lost), tuple(of_records))
    photo = replace(seen.photo, background=background)
    size_hw = (photo.height, photo.width)
    judged = judge.judge(task.instances, size_hw, task.root, task.rules)
    rows = tuple(row for row, _ in judged)
    if not is_used:
        return CheckedImage(None, (), (_skipped(image, photo.sha256), *map(_of_skipped_image, rows)), tuple(of_records))
    drawn = [item for _, item in judged if item]
    return CheckedImage(
        photo=photo,
        instances=tuple(item.instance for item in drawn),
        rows=(_image_row(image, KEPT, detail=_reader_notes(image), content=photo.sha256), *rows),
        findings=(*_of_photo(photo, seen.changes), *of_records, *findings.find(drawn, size_hw)),
        fingerprint=seen.fingerprint,
    )


def rows_without_image(instances: Sequence[Instance], class_of: Mapping[str, str]) -> list[Row]:
    """The ledger rows of annotations that name no image of the data set."""
    return [judge.lost(instance, class_of, "unknown_image", instance.detail) for instance in instances]


def _of_photo(photo: Photo, changes: Iterable[Change]) -> Iterator[Finding]:
    """The findings about a photo that is used."""
    turn = f"EXIF orientation {photo.orientation}, used at {photo.width} x {photo.height} pixels"
    if photo.orientation != 1 and photo.frame == "viewed":
        yield _of_image(photo.key, "turned_by_exif", turn)
    if photo.frame == "stored":
        yield _of_image(photo.key, "annotated_as_stored", turn)
    if photo.undecidable:
        yield _of_image(photo.key, "orientation_undecidable", turn)
    if photo.background:
        yield _of_image(photo.key, "background_only")
    for change in changes:
        yield _of_image(photo.key, change.code, change.detail)


def _of_records(image: Image, instances: Sequence[Instance]) -> list[Finding]:
    """The findings that only the reader of the source can make."""
    of_image = [_of_image(image.key, code, detail) for code, detail in image.notes]
    return [*of_image, *(finding for instance in instances for finding in of_instance(instance))]


def of_instance(instance: Instance) -> list[Finding]:
    """The finding that only the reader of the source can make about an annotation, if it has made one."""
    if not instance.note:
        return []
    detail = f"here its id is {instance.id}"
    return [Finding(code=instance.note, kind="annotation", id=instance.id, image_key=instance.image_key, detail=detail)]


def _of_image(key: str, code: str, detail: str = "") -> Finding:
    return Finding(code=code, kind="image", id=key, image_key=key, detail=detail)


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
