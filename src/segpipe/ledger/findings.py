"""Findings: facts worth knowing about an image or annotation that do not exclude it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow as pa

from segpipe.data import tables
from segpipe.data.columns import counts, numbers
from segpipe.data.tables import POSITION, column
from segpipe.ledger.reasons import OF_PAIR
from segpipe.ledger.rows import RecordKind, Row, is_vanished


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
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


def to_table(findings: Sequence[Finding]) -> pa.Table:
    """The findings as a table, without the column `position`."""
    return tables.table_of(findings, _SCHEMA)


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write findings in the order of the source as a table of one shard."""
    tables.write(path, tables.numbered(to_table(findings)))


def read_findings(path: Path) -> list[Finding]:
    """All findings of a table, in the order of the source."""
    return tables.read_records(path, Finding)


def finding_counts(findings: Iterable[pa.Table]) -> Counter[tuple[str, ...]]:
    """The number of findings by kind of record and code. findings: the shards of their table."""
    total = Counter[tuple[str, ...]]()
    for shard in findings:
        total += counts(shard.column("kind"), shard.column("code"))
    return total


def code_counts(findings: Iterable[pa.Table], codes: Sequence[str]) -> dict[str, int]:
    """The number of findings with each of `codes`, 0 included. findings: the shards of their table."""
    count_of = Counter[str]()
    for (_, code), count in finding_counts(findings).items():
        count_of[code] += count
    return {code: count_of[code] for code in codes}


def vanished(ledger: Iterable[pa.Table]) -> list[pa.Table]:
    """Findings about the objects that are visible in the label map but have no pixel left at training size.

    ledger: the shards of the table that rasterize wrote. Returns a table for each of them, with its positions.
    """
    return [_vanished(tables.where(shard, is_vanished(shard))) for shard in ledger]


def _vanished(rows: pa.Table) -> pa.Table:
    details = [f"{px:,} visible px in the mask, none at training size" for px in numbers(rows.column("px_after"))]
    made = {
        "code": ["vanished_at_training_size"] * len(details),
        "detail": details,
        "twin": [""] * len(details),
    }
    columns = [column(made[name], pa.string()) if name in made else rows.column(name) for name in _SCHEMA.names]
    return pa.Table.from_arrays(columns, schema=_SCHEMA).append_column(POSITION, rows.column(POSITION))


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
