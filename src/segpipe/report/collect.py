"""The data report of everything that the stages have written so far."""

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from segpipe.core.files import write_text
from segpipe.data import split_table, tables
from segpipe.data.classes import ClassTable
from segpipe.data.columns import Shards
from segpipe.ledger import findings
from segpipe.ledger.findings import Finding
from segpipe.ledger.reasons import Stage
from segpipe.ledger.rows import read_ledger
from segpipe.rasterize import overlaps
from segpipe.report import data_report
from segpipe.report.data_report import DataReport
from segpipe.split.findings import with_reasons

logger = logging.getLogger(__name__)


def read(stage: Stage, source: Path, limits: Mapping[str, float], split_findings: Iterable[Finding] = ()) -> DataReport:
    """The outputs of the stages up to `stage`; outputs of later stages, left by an earlier run, are not read.

    limits: the section validate.limits; split_findings: those of the split, which are in no table.
    """
    checked = Path("data/checked")
    drawn = stage != "validate"
    ledger = Path("data/ledger.parquet") if drawn else checked / "ledger.parquet"
    rows = read_ledger(ledger)
    photos = tuple(tables.read_photos(checked / "images.parquet"))
    placed = split_table.read(Path("data/splits.csv")) if stage == "split" else ()
    all_findings = [
        *findings.read_findings(checked / "findings.parquet"),
        *(tables.records_in(findings.vanished(Shards(ledger)), Finding) if drawn else ()),
        *split_findings,
    ]
    indices: dict[str, int] = json.loads((checked / "class_indices.json").read_text(encoding="utf-8"))
    return DataReport(
        root=source,
        dataset=tables.read_dataset(Path("data/records")),
        photos=photos,
        instances=tuple(tables.read_instances(checked / "instances.parquet")),
        rows=tuple(with_reasons(rows, placed)),
        findings=tuple(all_findings),
        classes=ClassTable.read(checked / "classes.json"),
        indices=dict(sorted(indices.items(), key=lambda pair: pair[1])),
        limits=limits,
        placed=tuple(placed),
        overlaps=overlaps.read(Path("metrics/overlaps.csv")) if drawn else None,
    )


def write(report: DataReport) -> None:
    """Write results/data_report.html."""
    write_text(Path("results/data_report.html"), data_report.html(report))
    logger.info("results/data_report.html shows what was found")
