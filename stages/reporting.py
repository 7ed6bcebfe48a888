"""The data report, and validate.limits: written by split, or by the stage that finds a limit crossed."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from segpipe.classes import ClassTable
from segpipe.dataset import data_report, findings, ledger, limits, overlaps, placing, tables, validation
from segpipe.dataset.codes import KNOWN_TO_RASTERIZE, KNOWN_TO_SPLIT, KNOWN_TO_VALIDATE
from segpipe.dataset.data_report import DataReport
from segpipe.dataset.findings import Finding
from segpipe.dataset.ledger import Row
from segpipe.errors import UserError
from segpipe.files import write_text
from stages.params import Params

Stage = Literal["validate", "rasterize", "split"]
_FIRST_KNOWN = {"validate": KNOWN_TO_VALIDATE, "rasterize": KNOWN_TO_RASTERIZE, "split": KNOWN_TO_SPLIT}


def hold_limits(params: Params, stage: Stage, rows: Sequence[Row], found: Iterable[Finding]) -> None:
    """Hold what `stage` is the first to know against validate.limits.

    Raises UserError if a limit is crossed, after the report of all that is known so far is written.
    """
    shares = limits.shares(params.validation.limits, rows, found, _FIRST_KNOWN[stage])
    crossed = [share for share in shares if share.crossed]
    if crossed:
        write(read(params, stage))
        raise UserError(limits.message(crossed))


def read(params: Params, stage: Stage) -> DataReport:
    """What the stages up to `stage` wrote, and nothing older of those after it."""
    checked = Path("data/checked")
    drawn = stage != "validate"
    rows = ledger.read(Path("data/ledger.parquet") if drawn else checked / "ledger.parquet")
    photos = tuple(validation.read_photos(checked / "images.parquet"))
    placed = placing.read(Path("data/splits.csv")) if stage == "split" else ()
    found = [
        *findings.read(checked / "findings.parquet"),
        *(findings.vanished(rows) if drawn else ()),
        *placing.findings(placed, photos, params.split.near_duplicate_bits),
    ]
    indices: dict[str, int] = json.loads((checked / "class_indices.json").read_text(encoding="utf-8"))
    return DataReport(
        root=Path(params.ingest.source),
        dataset=tables.read_dataset(Path("data/records")),
        photos=photos,
        instances=tuple(tables.read_instances(checked / "instances.parquet")),
        rows=tuple(placing.with_reasons(rows, placed)),
        findings=tuple(found),
        classes=ClassTable.read(checked / "classes.json"),
        indices=dict(sorted(indices.items(), key=lambda pair: pair[1])),
        limits=params.validation.limits,
        placed=tuple(placed),
        overlaps=overlaps.read(Path("metrics/overlaps.csv")) if drawn else None,
    )


def write(report: DataReport) -> None:
    """Write the page."""
    write_text(Path("results/data_report.html"), data_report.html(report))
