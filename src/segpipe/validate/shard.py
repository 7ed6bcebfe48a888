"""The job of validate for one shard: its photos are decoded and packed, its annotations judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from segpipe.core import shards
from segpipe.core.shards import Kept, Result
from segpipe.data import tables
from segpipe.data.preprocessing import Fit
from segpipe.data.records import Image, Instance, by_image
from segpipe.ledger import findings, rows
from segpipe.ledger.rows import check_kept, check_totals
from segpipe.masks import mask_files
from segpipe.validate import packing
from segpipe.validate.image import CheckedImage, CheckTask, check, of_instance, rows_without_image
from segpipe.validate.judge import Rules
from segpipe.validate.order import ANNOTATION, IMAGE
from segpipe.validate.photo import Seen

TABLES = ("images", "instances", "ledger", "findings")  # in the folder of a result, as name.parquet
_UNDECISIVE = ("place", tables.POSITION)  # columns of ingest: a deleted record moves all later ones


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckJob:
    """What all shards of a run have in common."""

    records: Path  # the folder with the tables of ingest
    root: Path  # the source folder
    rules: Rules
    keep_empty: bool  # whether an image without an object is background, if it has a record
    fit: Fit
    kept: Kept
    count: int  # of shards
    version: str  # hash of the code that decides results
    photo_version: str  # and of the part of it that decides packed photos


@dataclass(frozen=True, slots=True)
class _Records:
    """The records of one shard."""

    images: list[Image]
    instances: list[Instance]
    photo_of: dict[str, str]  # packing.content_of, by image key; a record with a problem may name any path: not opened
    masks: list[tuple[str, str]]  # mask_files.hashes


def check_shard(job: CheckJob, shard: int) -> Result:
    """The result of a shard: the one of an earlier run if all that decides it is unchanged."""
    images, instances = (_columns(job.records / f"{name}.parquet", shard) for name in ("images", "instances"))
    of_images, of_instances = tables.images_of(images), tables.instances_of(instances)
    photo_of = {image.key: packing.content_of(job.root / image.file) for image in of_images if not image.problem}
    masks = mask_files.hashes(job.root, {instance.mask_file for instance in of_instances if instance.mask_file})
    records = _Records(of_images, of_instances, photo_of, masks)
    settings = sorted(job.rules.class_of.items()), job.rules.policies.key(), job.keep_empty, repr(job.fit)
    key = shards.key_of(job.version, job.photo_version, settings, images, instances, photo_of, masks)
    return job.kept.result(shard, job.count, key, lambda folder: _write(folder, job, shard, records))


def _columns(path: Path, shard: int) -> tables.Columns:
    """The values of a table of ingest without the places of its records, which are joined at the end."""
    columns = tables.values_of(tables.read_shard(path, shard))
    return {name: values for name, values in columns.items() if name not in _UNDECISIVE}


def _write(folder: Path, job: CheckJob, shard: int, records: _Records) -> None:
    """Check the images of a shard, and write their packed photos and the TABLES into `folder`."""
    of_image, earlier = by_image(records.instances), job.kept.related(shard, job.count)
    with packing.packer(folder, job.root, job.fit, job.photo_version, earlier) as pack:

        def look(image: Image, is_used: bool) -> Seen:
            return pack(image, records.photo_of[image.key], is_used)

        tasks = (
            CheckTask(job.root, image, tuple(of_image.get(image.key, ())), job.rules, job.keep_empty)
            for image in records.images
        )
        checked = [check(task, look) for task in tasks]
    mask_files.require_unchanged(job.root, records.masks)
    for name, table in _tables(checked, records, job).items():
        tables.write(folder / f"{name}.parquet", table, durable=False)


def _tables(checked: Sequence[CheckedImage], records: _Records, job: CheckJob) -> dict[str, pa.Table]:
    """The TABLES of a shard. Raises LedgerError unless each record has exactly one row."""
    number = {image.key: position for position, image in enumerate(records.images)}
    number_of = {instance.id: position for position, instance in enumerate(records.instances)}
    without_image = [instance for instance in records.instances if instance.image_key not in number]
    all_rows = [row for each in checked for row in each.rows] + rows_without_image(without_image, job.rules.class_of)
    all_findings = [finding for each in checked for finding in each.findings]
    all_findings += [finding for instance in without_image for finding in of_instance(instance)]
    used = [(each.photo, each.fingerprint) for each in checked if each.photo]
    drawn = [instance for each in checked for instance in each.instances]
    check_totals(all_rows, len(records.images), len(records.instances))
    check_kept(all_rows, (photo.key for photo, _ in used), (instance.id for instance in drawn))
    annotation = [number_of[row.id] if row.kind == "annotation" else -1 for row in all_rows]
    return {
        "images": _with(tables.table_of_photos(used), {IMAGE: [number[photo.key] for photo, _ in used]}),
        "instances": tables.table_of_instances(drawn),
        "ledger": _with(
            rows.to_table(all_rows),
            {IMAGE: [number.get(row.image_key, -1) for row in all_rows], ANNOTATION: annotation},
        ),
        "findings": _with(
            findings.to_table(all_findings), {IMAGE: [number.get(each.image_key, -1) for each in all_findings]}
        ),
    }


def _with(table: pa.Table, positions: Mapping[str, Sequence[int]]) -> pa.Table:
    for name, values in positions.items():
        table = table.append_column(name, tables.column(values, pa.int32()))
    return table
