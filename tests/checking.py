"""A data set checked in this process, without files: what validate finds in all shards together."""

from dataclasses import dataclass
from pathlib import Path

from segpipe.data import tables
from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.data.records import Dataset, Instance, Photo, by_image
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import Row, check_kept, check_totals
from segpipe.validate.dataset import equal_files
from segpipe.validate.image import CheckTask, check, of_instance, rows_without_image
from segpipe.validate.judge import Rules


@dataclass(frozen=True, slots=True)
class Checked:
    """The records that are used, the ledger and the findings."""

    photos: tuple[Photo, ...]
    instances: tuple[Instance, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


def check_all(dataset: Dataset, root: Path, rules: Rules, keep_empty: bool = False) -> Checked:
    """Check every image and annotation. Raises LedgerError unless each record has exactly one row."""
    of_image = by_image(dataset.instances)
    results = [
        check(CheckTask(root, image, tuple(of_image.get(image.key, ())), rules, keep_empty)) for image in dataset.images
    ]
    keys = {image.key for image in dataset.images}
    lost = [instance for instance in dataset.instances if instance.image_key not in keys]
    rows = [row for result in results for row in result.rows] + rows_without_image(lost, rules.class_of)
    photos = tuple(result.photo for result in results if result.photo)
    instances = tuple(instance for result in results for instance in result.instances)
    check_totals(rows, len(dataset.images), len(dataset.instances))
    check_kept(rows, (photo.key for photo in photos), (instance.id for instance in instances))
    used = tables.table_of_photos([(photo, bytes(FINGERPRINT_BYTES)) for photo in photos])
    equal = equal_files(tables.numbered(used))
    findings = [
        *(finding for result in results for finding in result.findings),
        *(finding for instance in lost for finding in of_instance(instance)),
        *tables.records_in([equal], Finding),
    ]
    return Checked(photos, instances, tuple(rows), tuple(findings))
