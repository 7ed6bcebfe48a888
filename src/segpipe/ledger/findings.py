"""What is no reason to leave a record out but worth knowing: one row for each record and code, beside the ledger."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa

from segpipe.data.records import Record
from segpipe.data.tables import read_records, write_records
from segpipe.ledger.rows import IGNORED, Kind, Row


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding(Record):
    """One code of FINDING_CODES for one image (id: its key) or annotation. twin: the id of the other one, if any."""

    code: str
    kind: Kind
    id: str
    image_key: str
    detail: str = ""
    twin: str = ""


_SCHEMA = pa.schema([(f.name, pa.string()) for f in fields(Finding)])


def write(path: Path, findings: Sequence[Finding]) -> None:
    """Write findings as parquet."""
    write_records(path, findings, _SCHEMA)


def read(path: Path) -> list[Finding]:
    """Read what `write` wrote."""
    return read_records(path, Finding)


def counts(findings: Iterable[Finding], codes: Sequence[str]) -> dict[str, int]:
    """How many records have each of `codes`; 0 for a code that none has."""
    counted = Counter(finding.code for finding in findings)
    return {code: counted[code] for code in codes}


def vanished(rows: Iterable[Row]) -> list[Finding]:
    """Objects that show in the label map and have no pixel left at training size, in a ledger that rasterize wrote."""
    return [
        Finding(
            code="vanished_at_training_size",
            kind="annotation",
            id=row.id,
            image_key=row.image_key,
            detail=f"{row.px_after:,} pixels show, none at training size",
        )
        for row in rows
        if row.px_after and row.px_store == 0 and row.verdict != IGNORED
    ]


def as_rows(findings: Iterable[Finding], rows: Iterable[Row]) -> list[Row]:
    """Findings in the form of ledger rows, their code as the reason, with the place and class of their record."""
    own = {(row.kind, row.id): row for row in rows}
    return [
        Row(
            kind=finding.kind,
            id=finding.id,
            image_key=finding.image_key,
            place=own[finding.kind, finding.id].place,
            category=own[finding.kind, finding.id].category,
            verdict="",
            reason=finding.code,
            detail=finding.detail,
        )
        for finding in findings
    ]
