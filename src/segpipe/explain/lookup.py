"""What the stages wrote about every record, looked up by id and key, and the one record that a name means."""

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
from segpipe.ledger import findings
from segpipe.ledger.findings import Finding
from segpipe.ledger.rows import Row, read_ledger

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Account:
    """What the stages wrote, by id and key. rows: of the last stage that ran; checked: validate's verdicts.

    splits: rows of data/splits.csv; None where the stage has not run; findings: what else is worth knowing.
    """

    rows: Mapping[tuple[str, str], Row]
    checked: Mapping[tuple[str, str], Row]
    rasterized: bool
    images: Mapping[str, Image]
    instances: Mapping[str, Instance]
    photos: Mapping[str, Photo]
    drawn: Mapping[str, tuple[Instance, ...]]
    classes: ClassTable
    indices: Mapping[str, int]
    splits: Mapping[str, Assignment] | None
    findings: Mapping[tuple[str, str], Sequence[Finding]]


def read(data: Path) -> Account:
    """Read what the stages left in `data`. Raises UserError, naming `dvc repro`, where they must run first."""
    first = data / "checked/ledger.parquet"
    if not first.is_file() or not (data / "records/images.parquet").is_file():
        raise UserError(f"{first}: no such file; run `dvc repro` first, from the project's top folder")
    try:
        account = _read(data)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{data}: cannot be read ({error}); run `dvc repro`, its files are of another version"
        ) from error
    known = {("image", key) for key in account.images} | {("annotation", id_) for id_ in account.instances}
    if account.checked.keys() != known:
        raise UserError(f"{first}: is not of the records in {data / 'records'}; run `dvc repro`")
    return account


def _read(data: Path) -> Account:
    records = tables.read_dataset(data / "records")
    drawn = by_image(tables.read_instances(data / "checked/instances.parquet"))
    checked = _by_id(read_ledger(data / "checked/ledger.parquet"))
    final = data / "ledger.parquet"
    rows = _by_id(read_ledger(final)) if final.is_file() else {}
    rasterized = rows.keys() == checked.keys()  # else rasterize has not followed validate yet
    return Account(
        rows=rows if rasterized else checked,
        checked=checked,
        rasterized=rasterized,
        images={image.key: image for image in records.images},
        instances={instance.id: instance for instance in records.instances},
        photos={photo.key: photo for photo in tables.read_photos(data / "checked/images.parquet")},
        drawn={key: tuple(own) for key, own in drawn.items()},
        classes=ClassTable.read(data / "checked/classes.json"),
        indices=json.loads((data / "checked/class_indices.json").read_text(encoding="utf-8")),
        splits=_splits(data / "splits.csv"),
        findings=_by_record(findings.read_findings(data / "checked/findings.parquet")),
    )


def _by_id(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    return {(row.kind, row.id): row for row in rows}


def _by_record(found: Iterable[Finding]) -> dict[tuple[str, str], list[Finding]]:
    of_record: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        of_record.setdefault((finding.kind, finding.id), []).append(finding)
    return of_record


def _splits(path: Path) -> dict[str, Assignment] | None:
    return {row.key: row for row in split_table.read(path)} if path.is_file() else None


def find(account: Account, asked: str) -> Row:
    """The one row that `asked` names, in full if any does, else in part. Raises UserError if none or several do."""
    names = {row: _names(account, row) for row in account.rows.values()}
    found = [row for row, (full, _) in names.items() if asked in full]
    found = found or [row for row, (_, parts) in names.items() if asked in parts]
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        several = ", ".join(f"{_kind(row)} {row.id}" for row in found[:_SHOWN])
        raise UserError(f"{asked!r} names {len(found)} records: {several}{more}; give one of these in full")
    known = sorted({name for full, parts in names.values() for name in [*full, *parts]})
    close = difflib.get_close_matches(asked, known, n=3)
    hint = f"; close to it: {', '.join(close)}" if close else "; data/records has the ids and keys"
    raise UserError(f"no annotation or photograph is named {asked!r}{hint}")


def _names(account: Account, row: Row) -> tuple[list[str], list[str]]:
    """The full names of a record and those that stand for it if no other has them."""
    if row.kind == "annotation":
        return [row.id], list(filter(None, [row.id.rpartition("#")[2], row.id.rpartition("/")[2]]))
    file = PurePosixPath(account.images[row.id].file)
    number = re.search(r"\(id (.+)\)$", row.place)
    parts = [file.name, file.stem, number[1] if number else ""]
    return [row.id, *([str(file)] if file.name else [])], list(filter(None, parts))


def _kind(row: Row) -> str:
    return "photograph" if row.kind == "image" else "annotation"
