"""All images of a data set checked: what goes on, the ledger, and what was found."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segpipe.core.errors import UserError
from segpipe.data.duplicates import equal_pairs
from segpipe.data.fitted import Fitted
from segpipe.data.records import Dataset, Instance, Photo, by_image
from segpipe.ledger import rows as ledger
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import Row
from segpipe.validate.image import Checked, Task, rows_without_image
from segpipe.validate.judge import Rules


@dataclass(frozen=True, slots=True)
class Validated:
    """Photos that go on, the instances that will be drawn, the whole ledger, and what else is worth knowing."""

    photos: tuple[Photo, ...]
    instances: tuple[Instance, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


def tasks(dataset: Dataset, root: Path, rules: Rules, keep_empty: bool, leave: Fitted | None = None) -> list[Task]:
    """One task an image, with its instances in the order of their records."""
    of_image = by_image(dataset.instances)
    return [Task(root, image, tuple(of_image.get(image.key, ())), rules, keep_empty, leave) for image in dataset.images]


def collect(dataset: Dataset, class_of: Mapping[str, str], checked: Iterable[Checked]) -> Validated:
    """Put the images' results together and prove that no record is missing.

    Raises UserError if no image is left, AccountError if a record is missing.
    """
    results = list(checked)
    known = {image.key for image in dataset.images}
    homeless = [instance for instance in dataset.instances if instance.image_key not in known]
    rows = [row for result in results for row in result.rows] + rows_without_image(homeless, class_of)
    ledger.close(rows, len(dataset.images), len(dataset.instances))
    photos = tuple(result.photo for result in results if result.photo)
    instances = tuple(instance for result in results for instance in result.instances)
    ledger.close_on(rows, (photo.key for photo in photos), (instance.id for instance in instances))
    if not photos:
        lost = [row for row in rows if row.kind == "image"]
        counts = ", ".join(f"{count} {reason}" for reason, count in Counter(row.reason for row in lost).most_common())
        first = f"; the first: {lost[0].place}: {lost[0].detail}" if lost else ""
        raise UserError(
            f"no image is left to work on ({counts}{first}); correct the source, or check ingest.classes in params.yaml"
        )
    found = (
        *_of_photos(photos),
        *_of_records(dataset),
        *(finding for result in results for finding in result.findings),
    )
    return Validated(photos, instances, tuple(rows), found)


def _of_records(dataset: Dataset) -> Iterator[Finding]:
    """What only the reader could see."""
    for image in dataset.images:
        for code, detail in image.notes:
            yield Finding(code=code, kind="image", id=image.key, image_key=image.key, detail=detail)
    for instance in dataset.instances:
        if instance.note:
            yield Finding(
                code=instance.note, kind="annotation", id=instance.id, image_key=instance.image_key,
                detail=f"goes by {instance.id} here",
            )  # fmt: skip


def _of_photos(photos: Sequence[Photo]) -> Iterator[Finding]:
    """Turned and undecidable photographs, those equal to an earlier one, those without an object."""
    turn = "EXIF orientation {0.orientation}, used at {0.width} x {0.height} pixels"
    for photo in photos:
        if photo.orientation != 1 and photo.frame == "viewed":
            yield _of_photo(photo, "turned_by_exif", turn.format(photo))
        if photo.frame == "stored":
            yield _of_photo(photo, "annotated_as_stored", turn.format(photo))
        if photo.undecidable:
            yield _of_photo(photo, "orientation_undecidable", turn.format(photo))
        if photo.background:
            yield _of_photo(photo, "background_only")
    for first, later in equal_pairs([photo.sha256 for photo in photos]).tolist():
        yield _of_photo(photos[later], "equal_files", f"equal to {photos[first].file}", photos[first].key)


def _of_photo(photo: Photo, code: str, detail: str = "", twin: str = "") -> Finding:
    return Finding(code=code, kind="image", id=photo.key, image_key=photo.key, detail=detail, twin=twin)
