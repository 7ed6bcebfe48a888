"""All images of a data set checked: the images and annotations that are used, the ledger, and the findings."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from segpipe.core import memory, parallel
from segpipe.core.errors import UserError
from segpipe.core.files import write_json
from segpipe.data import fitted, rgb, tables
from segpipe.data.classes import TaskKind, Wanted, class_indices, class_names, class_table, select
from segpipe.data.duplicates import equal_pairs
from segpipe.data.fitted import Fitted
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Dataset, Instance, Photo, by_image
from segpipe.ledger import findings
from segpipe.ledger.findings import Finding
from segpipe.ledger.policies import Policies
from segpipe.ledger.reasons import FINDINGS, codes_of
from segpipe.ledger.rows import Row, check_kept, check_totals, one_shard, write_ledger
from segpipe.ledger.totals import Totals
from segpipe.validate import conflicts, image, rechecking
from segpipe.validate.image import CheckedImage, CheckTask, rows_without_image
from segpipe.validate.judge import Rules

logger = logging.getLogger(__name__)
_LOGGED = tuple(finding.code for finding in FINDINGS if finding.logged)


@dataclass(frozen=True, slots=True)
class Validated:
    """The images that are used, their annotations that will be drawn, and the ledger and findings of all records."""

    photos: tuple[Photo, ...]
    fingerprints: tuple[bytes, ...]  # of the photos, `duplicates.fingerprint`
    instances: tuple[Instance, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    classes: tuple[str, ...]  # the selected ones, in their order

    def write(self, folder: Path, task: TaskKind) -> None:
        """Write the tables and the classes into `folder`."""
        tables.write_photos(folder / "images.parquet", self.photos, self.fingerprints)
        tables.write_instances(folder / "instances.parquet", self.instances)
        write_ledger(folder / "ledger.parquet", self.rows)
        findings.write_findings(folder / "findings.parquet", self.findings)
        class_table(self.classes, task).write(folder / "classes.json")
        write_json(folder / "class_indices.json", class_indices(self.classes, task))

    def summary(self) -> dict[str, Any]:
        """The counts for metrics/validate.json."""
        totals = self.totals()
        return totals.summary() | {
            "policies": totals.policies(),
            "findings": findings.code_counts([findings.to_table(self.findings)], codes_of("validate")),
        }

    def totals(self) -> Totals:
        """The counts of the ledger."""
        return Totals.of([one_shard(self.rows)])


def validate(
    records: Path,
    root: Path,
    *,
    classes: Wanted,
    policies: Policies,
    keep_empty: bool,
    fit: Fit,
    workers: int,
    dask: str,
) -> Validated:
    """Decode every image and judge every annotation of a data set, and log why records are left out.

    records: the folder with the tables of ingest; root: the source folder; classes: the setting ingest.classes;
    keep_empty: whether an image whose record has no object is background; fit: the size at which
    the photos are cached for rasterize; workers, dask: as for parallel.map_ordered.
    Raises UserError if no image is left, or the source contradicts itself about the selected classes.
    """
    earlier = memory.FOLDER / "validate.pickle"
    dataset = tables.read_dataset(records)
    used = {instance.category for instance in dataset.instances if instance.category}
    class_of = select(classes, dataset.categories, used)
    conflicts.refuse(dataset.conflicts, None if classes == "auto" else class_of)
    spread = partial(parallel.map_ordered, image.check, workers=workers, dask=dask, what="images checked")
    to_check = check_tasks(dataset, root, Rules(class_of, policies), keep_empty, cache=fitted.begin(fit))
    validated = collect(dataset, class_of, rechecking.check_all(to_check, earlier, spread))
    changed = [(item.image_key, item.code, item.detail) for item in validated.findings if item.code in _LOGGED]
    for line in (*validated.totals().warnings(), *rgb.summary_lines(changed)):
        logger.warning(line)
    return validated


def check_tasks(
    dataset: Dataset, root: Path, rules: Rules, keep_empty: bool, cache: Fitted | None = None
) -> list[CheckTask]:
    """One task per image, with the image's instances in the order of their records."""
    of_image = by_image(dataset.instances)
    return [
        CheckTask(root, record, tuple(of_image.get(record.key, ())), rules, keep_empty, cache)
        for record in dataset.images
    ]


def collect(dataset: Dataset, class_of: Mapping[str, str], checked: Iterable[CheckedImage]) -> Validated:
    """The results of all images together, proved to have every record of the data set.

    class_of: the class of each selected category. Raises UserError if no image is left, LedgerError if a record is
    missing.
    """
    results = list(checked)
    keys = {image.key for image in dataset.images}
    without_image = [instance for instance in dataset.instances if instance.image_key not in keys]
    rows = [row for result in results for row in result.rows] + rows_without_image(without_image, class_of)
    check_totals(rows, len(dataset.images), len(dataset.instances))
    photos = tuple(result.photo for result in results if result.photo)
    instances = tuple(instance for result in results for instance in result.instances)
    check_kept(rows, (photo.key for photo in photos), (instance.id for instance in instances))
    if not photos:
        lost = [row for row in rows if row.kind == "image"]
        counts = ", ".join(f"{count} {reason}" for reason, count in Counter(row.reason for row in lost).most_common())
        first = f"; first: {lost[0].place}: {lost[0].detail}" if lost else ""
        raise UserError(
            f"no image can be used ({counts}{first}); fix the source, or check ingest.classes in params.yaml"
        )
    found = (
        *_of_photos(photos),
        *_of_records(dataset),
        *(finding for result in results for finding in result.findings),
    )
    fingerprints = tuple(result.fingerprint for result in results if result.photo)
    return Validated(photos, fingerprints, instances, tuple(rows), found, class_names(class_of))


def _of_records(dataset: Dataset) -> Iterator[Finding]:
    """The findings that only the reader of the source can make."""
    for record in dataset.images:
        for code, detail in record.notes:
            yield Finding(code=code, kind="image", id=record.key, image_key=record.key, detail=detail)
    for instance in dataset.instances:
        if instance.note:
            yield Finding(
                code=instance.note, kind="annotation", id=instance.id, image_key=instance.image_key,
                detail=f"here its id is {instance.id}",
            )  # fmt: skip


def _of_photos(photos: Sequence[Photo]) -> Iterator[Finding]:
    """Findings about orientation, about images without an object, and about equal files."""
    for photo in photos:
        turn = f"EXIF orientation {photo.orientation}, used at {photo.width} x {photo.height} pixels"
        if photo.orientation != 1 and photo.frame == "viewed":
            yield _of_photo(photo, "turned_by_exif", turn)
        if photo.frame == "stored":
            yield _of_photo(photo, "annotated_as_stored", turn)
        if photo.undecidable:
            yield _of_photo(photo, "orientation_undecidable", turn)
        if photo.background:
            yield _of_photo(photo, "background_only")
    for first, later in equal_pairs([photo.sha256 for photo in photos]).tolist():
        yield _of_photo(photos[later], "equal_files", f"equal to {photos[first].file}", photos[first].key)


def _of_photo(photo: Photo, code: str, detail: str = "", twin: str = "") -> Finding:
    return Finding(code=code, kind="image", id=photo.key, image_key=photo.key, detail=detail, twin=twin)
