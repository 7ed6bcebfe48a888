"""The outputs of all stages, looked up by key and id, and the one record that a name means."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segpipe.core.errors import UserError
from segpipe.data import split_table, tables
from segpipe.data.classes import ClassTable
from segpipe.data.records import Image, Instance, Photo, by_image
from segpipe.data.split_table import Assignment
from segpipe.ledger.findings import Finding, read_findings
from segpipe.ledger.rows import Row, read_ledger

_MAX_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of the stages."""

    rows: Mapping[tuple[str, str], Row]  # the ledger after the last stage that ran, by kind and id
    checked: Mapping[tuple[str, str], Row]  # the ledger after validate, by kind and id
    rasterized: bool  # whether rasterize ran after validate
    images: Mapping[str, Image]  # by key
    instances: Mapping[str, Instance]  # by id, as ingest read them
    photos: Mapping[str, Photo]  # by key, of the images that are used
    drawn: Mapping[str, tuple[Instance, ...]]  # the instances that are drawn, by image key
    classes: ClassTable
    indices: Mapping[str, int]  # class_index by category
    splits: Mapping[str, Assignment] | None  # by image key; None if the stage has not run
    findings: Mapping[tuple[str, str], Sequence[Finding]]  # by kind and id


def read(data: Path) -> Outputs:
    """Read the outputs of the stages in the folder `data`. Raises UserError if a stage must run first."""
    ledger = data / "checked/ledger.parquet"
    if not ledger.is_file() or not (data / "records/images.parquet").is_file():
        raise UserError(f"{ledger}: no such file; run `dvc repro` first, from the project's top folder")
    try:
        outputs = _read(data)
    except (OSError, KeyError, TypeError, ValueError) as error:
        problem = f"cannot be read ({error}); another version wrote it: run `dvc repro`"
        raise UserError(f"{data}: {problem}") from error
    records = {("image", key) for key in outputs.images} | {("annotation", id_) for id_ in outputs.instances}
    if outputs.checked.keys() != records:
        raise UserError(f"{ledger}: does not match the records in {data / 'records'}; run `dvc repro`")
    return outputs


def _read(data: Path) -> Outputs:
    records = tables.read_dataset(data / "records")
    drawn = by_image(tables.read_instances(data / "checked/instances.parquet"))
    checked = _by_record(read_ledger(data / "checked/ledger.parquet"))
    final = data / "ledger.parquet"
    rows = _by_record(read_ledger(final)) if final.is_file() else {}
    rasterized = rows.keys() == checked.keys()  # otherwise rasterize has not run since validate
    return Outputs(
        rows=rows if rasterized else checked,
        checked=checked,
        rasterized=rasterized,
        images={image.key: image for image in records.images},
        instances={instance.id: instance for instance in records.instances},
        photos={photo.key: photo for photo in tables.read_photos(data / "checked/images.parquet")},
        drawn={key: tuple(instances) for key, instances in drawn.items()},
        classes=ClassTable.read(data / "checked/classes.json"),
        indices=json.loads((data / "checked/class_indices.json").read_text(encoding="utf-8")),
        splits=_splits(data / "splits.csv"),
        findings=_findings_by_record(read_findings(data / "checked/findings.parquet")),
    )


def _by_record(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    return {(row.kind, row.id): row for row in rows}


def _findings_by_record(findings: Iterable[Finding]) -> dict[tuple[str, str], list[Finding]]:
    of_record: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        of_record.setdefault((finding.kind, finding.id), []).append(finding)
    return of_record


def _splits(path: Path) -> dict[str, Assignment] | None:
    return {row.key: row for row in split_table.read(path)} if path.is_file() else None


def find(outputs: Outputs, name: str) -> Row:
    """The ledger row of the record that `name` means: a full name takes precedence over a short one.

    name: as for explain.explain. Raises UserError if it means no record or several.
    """
    names = {row: _names(outputs, row) for row in outputs.rows.values()}
    matches = [row for row, (full, _) in names.items() if name in full]
    matches = matches or [row for row, (_, short) in names.items() if name in short]
    if len(matches) == 1:
        return matches[0]
    if matches:
        more = f" and {len(matches) - _MAX_SHOWN} more" if len(matches) > _MAX_SHOWN else ""
        several = ", ".join(f"{row.kind} {row.id}" for row in matches[:_MAX_SHOWN])
        raise UserError(f"{name!r} means {len(matches)} records: {several}{more}; use the full name of one")
    all_names = sorted({each for full, short in names.values() for each in [*full, *short]})
    similar = difflib.get_close_matches(name, all_names, n=3)
    hint = f"; similar names: {', '.join(similar)}" if similar else "; data/records has the ids and keys"
    raise UserError(f"no annotation or image has the name {name!r}{hint}")


def _names(outputs: Outputs, row: Row) -> tuple[list[str], list[str]]:
    """The full names of a record, and the short ones, which other records may have, too."""
    if row.kind == "annotation":
        return [row.id], list(filter(None, [row.id.rpartition("#")[2], row.id.rpartition("/")[2]]))
    file = PurePosixPath(outputs.images[row.id].file)
    number = re.search(r"\(id (.+)\)$", row.place)
    short = [file.name, file.stem, number[1] if number else ""]
    return [row.id, *([str(file)] if file.name else [])], list(filter(None, short))
