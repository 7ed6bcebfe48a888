"""Findings: facts worth knowing about an image or annotation that do not exclude it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa

from segpipe.data.records import Record
from segpipe.data.tables import read_records, write_records
from segpipe.ledger.reasons import OF_PAIR
from segpipe.ledger.rows import RecordKind, Row


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding(Record):
    """One finding about one image or annotation. A record may have several."""

    code: str  # of a finding in reasons.toml
    kind: RecordKind
    id: str  # the image's key, or the annotation's id
    image_key: str
    detail: str = ""
    twin: str = ""  # the id of the other image or annotation, if the finding is about two

    def __post_init__(self) -> None:
        assert ("", self.code) in OF_PAIR, f"unknown finding {self.code}"


_SCHEMA = pa.schema([(f.name, pa.string()) for f in fields(Finding)])


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write findings as parquet."""
    write_records(path, findings, _SCHEMA)


def read_findings(path: Path) -> list[Finding]:
    """Read findings that write_findings wrote."""
    return read_records(path, Finding)


def finding_counts(findings: Iterable[Finding], codes: Sequence[str]) -> dict[str, int]:
    """The number of records with each of `codes`, 0 included."""
    count_of = Counter(finding.code for finding in findings)
    return {code: count_of[code] for code in codes}


def vanished(rows: Iterable[Row]) -> list[Finding]:
    """One finding for each object that is visible in the label map but has no pixel left at training size.

    rows: a ledger that rasterize wrote.
    """
    return [
        Finding(
            code="vanished_at_training_size",
            kind="annotation",
            id=row.id,
            image_key=row.image_key,
            detail=f"{row.px_after:,} visible px in the mask, none at training size",
        )
        for row in rows
        if row.vanished
    ]


def as_rows(findings: Iterable[Finding], rows: Iterable[Row]) -> list[Row]:
    """Findings in the form of ledger rows: the code as reason, the place and category from the record's row."""
    row_of = {(row.kind, row.id): row for row in rows}
    return [
        Row(
            kind=finding.kind,
            id=finding.id,
            image_key=finding.image_key,
            place=row_of[finding.kind, finding.id].place,
            category=row_of[finding.kind, finding.id].category,
            verdict="",
            reason=finding.code,
            detail=finding.detail,
        )
        for finding in findings
    ]
