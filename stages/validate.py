"""validate: data/records + every photograph -> data/checked, the ledger's first page and the data report."""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from segpipe.dataset import (
    checks,
    data_report,
    findings,
    fitted,
    ledger,
    limits,
    memory,
    parallel,
    rechecking,
    selection,
    tables,
    validation,
)
from segpipe.dataset.codes import VALIDATE_FINDINGS
from segpipe.dataset.data_report import DataReport
from segpipe.dataset.transforms import Fit
from segpipe.files import write_json, write_text
from segpipe.records import Dataset
from stages.params import Params, load, run

logger = logging.getLogger(__name__)


def main() -> None:
    """Judge every image and annotation; a defect becomes a row of the ledger, too many of them end the stage."""
    params = load()
    dataset = tables.read_dataset(Path("data/records"))
    used = {instance.category for instance in dataset.instances if instance.category}
    class_of = selection.select(params.ingest.classes, dataset.categories, used)
    selected = selection.names(class_of)
    spread = partial(
        parallel.ordered,
        checks.check,
        workers=params.compute.workers,
        dask=params.compute.dask,
        what="photographs checked",
    )
    checked = rechecking.check_all(_tasks(params, dataset, class_of), memory.FOLDER / "validate.pickle", spread)
    validated = validation.collect(dataset, class_of, checked)
    report = DataReport(
        root=Path(params.ingest.source),
        dataset=dataset,
        validated=validated,
        classes=selection.class_table(selected, params.ingest.task),
        indices=selection.class_indices(selected, params.ingest.task),
        limits=params.validation.limits,
    )
    write_text(Path("results/data_report.html"), data_report.html(report))
    for line in ledger.warnings(validated.rows):
        logger.warning(line)
    logger.info("results/data_report.html shows what was found")
    # after the report: who runs into a limit needs it most
    limits.enforce(limits.shares(params.validation.limits, validated.rows, validated.findings))
    _write(report)


def _tasks(params: Params, dataset: Dataset, class_of: Mapping[str, str]) -> list[checks.Task]:
    tiles = params.rasterize.tiles  # rasterize takes what is left for it if it still asks for the same: no result here
    fit = Fit(params.rasterize.fit, params.rasterize.size, tiles.side, tiles.overlap)
    return validation.tasks(
        dataset,
        Path(params.ingest.source),
        class_of,
        crowd=params.validation.crowd,
        keep_empty=params.validation.unannotated == "keep",
        shapes=checks.ShapePolicies(
            box=params.validation.box,
            line_width_px=params.validation.line_width_px,
            point_radius_px=params.validation.point_radius_px,
        ),
        leave=fitted.begin(fit).put,
    )


def _write(report: DataReport) -> None:
    folder, validated = Path("data/checked"), report.validated
    validation.write_photos(folder / "images.parquet", validated.photos)
    tables.write_instances(folder / "instances.parquet", validated.instances)
    ledger.write(folder / "ledger.parquet", validated.rows)
    report.classes.write(folder / "classes.json")
    write_json(folder / "class_indices.json", report.indices)
    findings.write(folder / "findings.parquet", validated.findings)
    counts = {"findings": findings.counts(validated.findings, VALIDATE_FINDINGS)}
    write_json(Path("metrics/validate.json"), ledger.summary(validated.rows) | counts)


if __name__ == "__main__":
    run(main)
