"""The ledger: one row for each image and each annotation of the source, with its verdict and the reason for it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from segpipe.core.errors import check_total
from segpipe.core.plurals import counted
from segpipe.data import tables
from segpipe.data.columns import has, numbers
from segpipe.ledger.reasons import OF_PAIR

RecordKind = Literal["image", "annotation"]

KEPT = "kept"  # used unchanged
REPAIRED = "repaired"  # drawn after a correction
CLIPPED = "clipped"  # drawn, but cut at the image border
HIDDEN = "hidden"  # entirely under other objects
IGNORED = "ignored"  # painted as ignore: a crowd, or a region that the source excludes
DROPPED = "dropped"  # unusable because of a defect
DISCARDED = "discarded"  # left out by choice, such as an annotation of a class that is not selected
SKIPPED = "skipped"  # an image without a matching annotation
VERDICTS = (KEPT, REPAIRED, CLIPPED, HIDDEN, IGNORED, DROPPED, DISCARDED, SKIPPED)
DRAWN = (KEPT, REPAIRED, CLIPPED, IGNORED)
# Verdict, reason and detail of an object without a visible pixel
COVERED = (HIDDEN, "covered", "all of its pixels are under other objects; see rasterize.priority")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The outcome of one image or one annotation. The reason must be in the vocabulary (reasons.toml)."""

    kind: RecordKind
    id: str  # the image's key, or the annotation's id
    image_key: str
    place: str  # the position of the record in its file
    category: str = ""  # as the source names it
    class_name: str = ""  # the class that the category counts as, "" if it is not selected
    verdict: str = KEPT
    reason: str = ""
    detail: str = ""
    policies: str = ""  # those of policies.POLICIES that apply, joined by commas
    # image: SHA-256 of its photo's bytes; annotation: `content.content_of`; "" if it could not be read
    content: str = ""

    px_before: int | None = None  # pixels that the annotation covers, also under other objects
    px_wide: int | None = None  # width of the box around these pixels
    px_high: int | None = None  # its height
    px_after: int | None = None  # pixels that are visible in the label map
    px_store: int | None = None  # pixels that are visible at training size
    px_nested: int | None = None  # pixels inside an even number of its rings
    area_before: float | None = None  # square pixels inside the polygon as drawn
    area_after: float | None = None  # square pixels inside the corrected polygon

    def __post_init__(self) -> None:
        assert not self.reason or (self.verdict, self.reason) in OF_PAIR, f"unknown reason {self.verdict} {self.reason}"


_SCHEMA = pa.schema(
    [
        (
            f.name,
            pa.int64() if f.name.startswith("px_") else pa.float64() if f.name.startswith("area_") else pa.string(),
        )
        for f in fields(Row)
    ]
)


def to_table(rows: Sequence[Row]) -> pa.Table:
    """The rows as a table, without the column `position`."""
    return tables.table_of(rows, _SCHEMA)


def one_shard(rows: Sequence[Row]) -> pa.Table:
    """All rows of a ledger as its only shard. rows: in the order of the source."""
    return tables.numbered(to_table(rows))


def write_ledger(path: Path, rows: Sequence[Row]) -> None:
    """Write a ledger of one shard. rows: in the order of the source."""
    tables.write(path, one_shard(rows))


def read_ledger(path: Path) -> list[Row]:
    """All rows of a ledger, in the order of the source."""
    return tables.read_records(path, Row)


def is_vanished(ledger: pa.Table) -> np.ndarray:
    """Whether each row is an object that is visible in the label map but has no pixel at training size, bool (N,)."""
    is_visible = numbers(ledger.column("px_after")) > 0
    is_gone = numbers(ledger.column("px_store"), absent=-1) == 0
    return is_visible & is_gone & ~has(ledger, verdict=[IGNORED])


def with_visible_px(row: Row, px_after: int) -> Row:
    """The row of a drawn annotation with its visible pixels; an object without any gets the verdict `hidden`.

    px_after: pixels in the label map.
    """
    row = replace(row, px_after=px_after)
    if px_after or row.verdict == IGNORED:
        return row
    verdict, reason, detail = COVERED
    return replace(row, verdict=verdict, reason=reason, detail=detail)


def check_totals(rows: Sequence[Row], images_in: int, annotations_in: int) -> None:
    """Check that the ledger has each record of the source exactly once, with a known verdict.

    images_in, annotations_in: the numbers of records in the source. Raises LedgerError.
    """
    for kind, count_in in (("image", images_in), ("annotation", annotations_in)):
        ids = [row.id for row in rows if row.kind == kind]
        check_total(len(ids) == count_in, f"the source has {count_in} {kind} records, the ledger has {len(ids)}")
        check_total(len(set(ids)) == len(ids), f"some {kind} ids are in the ledger more than once")
    unknown = sorted({row.verdict for row in rows} - set(VERDICTS))
    check_total(not unknown, f"unknown verdicts in the ledger: {unknown}")


def check_kept(rows: Iterable[Row], images: Iterable[str], annotations: Iterable[str]) -> None:
    """Check that a stage passes on exactly the images that the ledger keeps and the annotations that it draws.

    images: keys; annotations: ids. Raises LedgerError.
    """
    verdicts = {"image": (KEPT,), "annotation": DRAWN}
    kept = Counter(f"{row.kind} {row.id}" for row in rows if row.verdict in verdicts[row.kind])
    passed_on = Counter([*(f"image {key}" for key in images), *(f"annotation {id_}" for id_ in annotations)])
    first = min((kept - passed_on) + (passed_on - kept), default="none")
    check_total(
        kept == passed_on,
        f"the ledger keeps {counted(kept.total(), 'record')}, the stage passes on {passed_on.total()}; "
        f"first difference: {first}",
    )
