"""validate: data/records + every photograph -> data/checked, the ledger's first page and the data report."""

import logging
from pathlib import Path

from segpipe.dataset import checks, ledger, parallel, selection, tables, validation
from segpipe.files import write_json
from stages.params import load, run

logger = logging.getLogger(__name__)


def main() -> None:
    """Judge every image and annotation; a defect becomes a row of the ledger, too many of them end the stage."""
    params = load()
    dataset = tables.read_dataset(Path("data/records"))
    used = {instance.category for instance in dataset.instances if instance.category}
    selected = selection.select(params.ingest.classes, dataset.categories, used)
    tasks = validation.tasks(
        dataset,
        Path(params.ingest.source),
        selected,
        crowd=params.validation.crowd,
        keep_empty=params.validation.unannotated == "keep",
        shapes=checks.ShapePolicies(
            box=params.validation.box,
            line_width_px=params.validation.line_width_px,
            point_radius_px=params.validation.point_radius_px,
        ),
    )
    checked = parallel.ordered(checks.check, tasks, params.compute.workers, "photographs checked")
    validated = validation.collect(dataset, selected, checked)
    ledger.enforce_limit(validated.rows, "image", params.validation.max_dropped_images)
    ledger.enforce_limit(validated.rows, "annotation", params.validation.max_dropped_annotations)
    for line in ledger.warnings(validated.rows):
        logger.warning(line)

    folder = Path("data/checked")
    validation.write_photos(folder / "images.parquet", validated.photos)
    tables.write_instances(folder / "instances.parquet", validated.instances)
    ledger.write(folder / "ledger.parquet", validated.rows)
    selection.class_table(selected, params.ingest.task).write(folder / "classes.json")
    write_json(folder / "class_indices.json", selection.class_indices(selected, params.ingest.task))
    findings = validation.findings(validated.photos)
    by_class = validation.by_class(validated.rows)
    counts = ledger.summary(validated.rows)
    write_json(Path("metrics/validate.json"), counts | {"findings": findings, "by_class": by_class})


if __name__ == "__main__":
    run(main)
