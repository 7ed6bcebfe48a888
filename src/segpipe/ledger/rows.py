"""The account of every image and every annotation: one row each, what became of it and why. Its sums must close."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from segpipe.core.errors import closes
from segpipe.data.records import Record
from segpipe.data.tables import read_records, write_records

Kind = Literal["image", "annotation"]

KEPT = "kept"
REPAIRED = "repaired"  # drawn, after a correction
CLIPPED = "clipped"  # drawn, cut at the border
HIDDEN = "hidden"  # wholly beneath other objects
IGNORED = "ignored"  # painted as ignore: a crowd, or what the source excludes
DROPPED = "dropped"  # a defect: it cannot be used
DISCARDED = "discarded"  # by choice: a class not selected, crowd: drop
SKIPPED = "skipped"  # an image without a matching annotation
VERDICTS = (KEPT, REPAIRED, CLIPPED, HIDDEN, IGNORED, DROPPED, DISCARDED, SKIPPED)
DRAWN = (KEPT, REPAIRED, CLIPPED, IGNORED)
_DEFECTS_IGNORED = ("unknown_category",)  # painted as ignore for want of anything better


@dataclass(frozen=True, kw_only=True, slots=True)
class Row(Record):
    """One image (id: its key) or one annotation (id: Instance.id).

    category: as the source names it; class_name: what it counts as, "" if it is not selected; policies: of those in
    policies.POLICIES, the ones it falls under, with commas between them; px_before: pixels the annotation covers by
    itself; px_wide, px_high: of the box around them; px_nested: those that an even number of its rings hold; px_after:
    those that show in the label map; px_store: those left at training size; area_before, area_after: square pixels of
    a corrected polygon before and after.
    """

    kind: Kind
    id: str
    image_key: str
    place: str
    category: str = ""
    class_name: str = ""
    verdict: str = KEPT
    reason: str = ""
    detail: str = ""
    policies: str = ""
    px_before: int | None = None
    px_wide: int | None = None
    px_high: int | None = None
    px_after: int | None = None
    px_store: int | None = None
    px_nested: int | None = None
    area_before: float | None = None
    area_after: float | None = None


_SCHEMA = pa.schema(
    [
        (
            f.name,
            pa.int64() if f.name.startswith("px_") else pa.float64() if f.name.startswith("area_") else pa.string(),
        )
        for f in fields(Row)
    ]
)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the ledger as parquet."""
    write_records(path, rows, _SCHEMA)


def read(path: Path) -> list[Row]:
    """Read what `write` wrote."""
    return read_records(path, Row)


def close(rows: Sequence[Row], images_in: int, annotations_in: int) -> None:
    """Hold the ledger against what came in: each record once, each with a verdict.

    Raises AccountError.
    """
    for kind, count_in in (("image", images_in), ("annotation", annotations_in)):
        ids = [row.id for row in rows if row.kind == kind]
        closes(len(ids) == count_in, f"{count_in} {kind} records came in, {len(ids)} are in the ledger")
        closes(len(set(ids)) == len(ids), f"{kind} ids stand in the ledger more than once")
    strangers = sorted({row.verdict for row in rows} - set(VERDICTS))
    closes(not strangers, f"verdicts {strangers} are not in the vocabulary")


def close_on(rows: Iterable[Row], images: Iterable[str], annotations: Iterable[str]) -> None:
    """Hold what goes on against the ledger: the images that it keeps, the annotations that it draws, each once.

    images: keys; annotations: ids. Raises AccountError.
    """
    kept = {"image": (KEPT,), "annotation": DRAWN}
    own = Counter(f"{row.kind} {row.id}" for row in rows if row.verdict in kept[row.kind])
    on = Counter([*(f"image {key}" for key in images), *(f"annotation {id_}" for id_ in annotations)])
    first = min((own - on) + (on - own), default="none")
    closes(
        own == on, f"{own.total()} records of the ledger go on, {on.total()} are handed on; first that differs: {first}"
    )


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts for a metrics file: in, by verdict, and by reason, for images and annotations."""
    return {f"{kind}s": _counts([row for row in rows if row.kind == kind]) for kind in ("image", "annotation")}


def warnings(rows: Iterable[Row]) -> list[str]:
    """A line for each reason why images or annotations are not used as they stand, with the first case."""
    cases: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.reason and (row.verdict not in (KEPT, IGNORED) or row.reason in _DEFECTS_IGNORED):
            cases.setdefault((row.kind, row.verdict, row.reason), []).append(row)
    return [
        f"{len(own)} {kind}s {verdict}: {reason} (first: {own[0].place or own[0].id}: {own[0].detail})"
        for (kind, verdict, reason), own in sorted(cases.items())
    ]


def _counts(rows: Sequence[Row]) -> dict[str, Any]:
    verdicts = Counter(row.verdict for row in rows)
    reasons = Counter(row.reason for row in rows if row.reason)
    return {"in": len(rows), "verdicts": {v: verdicts[v] for v in VERDICTS if verdicts[v]}, "reasons": dict(reasons)}
