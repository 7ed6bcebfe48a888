"""validate: data/records + every photograph -> data/checked with the ledger's first page and the findings."""

import gc
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from segpipe.core import memory, parallel
from segpipe.core.command import run
from segpipe.core.files import write_json
from segpipe.data import fitted, rgb, tables
from segpipe.data.classes import TaskKind, class_indices, class_names, class_table, select
from segpipe.data.records import Dataset
from segpipe.ledger import findings, limits, policies, rows
from segpipe.ledger.codes import CHANGES, VALIDATE_FINDINGS
from segpipe.ledger.policies import Policies
from segpipe.params import Params, load
from segpipe.report import collect
from segpipe.validate import conflicts, image, rechecking
from segpipe.validate import dataset as validation
from segpipe.validate.dataset import Validated
from segpipe.validate.judge import Rules

logger = logging.getLogger(__name__)


def main() -> None:
    """Judge every image and annotation; a defect becomes a row of the ledger, too many of them end the stage."""
    params = load()
    earlier = memory.FOLDER / "validate.pickle"
    if not earlier.exists():  # else there may be little to do
        parallel.warm_up(params.compute.workers, params.compute.dask)
    dataset = tables.read_dataset(Path("data/records"))
    used = {instance.category for instance in dataset.instances if instance.category}
    class_of = select(params.ingest.classes, dataset.categories, used)
    conflicts.refuse(dataset.conflicts, None if params.ingest.classes == "auto" else class_of)
    selected = class_names(class_of)
    spread = partial(
        parallel.ordered,
        image.check,
        workers=params.compute.workers,
        dask=params.compute.dask,
        what="photographs checked",
    )
    checked = rechecking.check_all(_tasks(params, dataset, class_of), earlier, spread)
    validated = validation.collect(dataset, class_of, checked)
    _write(validated, selected, params.ingest.task)
    changed = [(found.image_key, found.code, found.detail) for found in validated.findings if found.code in CHANGES]
    for line in (*rows.warnings(validated.rows), *rgb.lines(changed)):
        logger.warning(line)
    report = partial(
        collect.write_known,
        "validate",
        Path(params.ingest.source),
        params.validation.limits,
        params.split.near_duplicate_bits,
    )
    limits.check("validate", params.validation.limits, validated.rows, validated.findings, report)


def _tasks(params: Params, dataset: Dataset, class_of: Mapping[str, str]) -> list[image.Task]:
    own = params.validation
    chosen = Policies(
        crowd=own.crowd,
        box=own.box,
        line_width_px=own.line_width_px,
        point_radius_px=own.point_radius_px,
        holes=own.holes,
        difficult=own.difficult,
        occluded=own.occluded,
        unknown_class=own.unknown_class,
    )
    return validation.tasks(
        dataset,
        Path(params.ingest.source),
        Rules(class_of, chosen),
        keep_empty=own.unannotated == "keep",
        leave=fitted.begin(params.photos.preprocessing),  # what rasterize takes if it asks for the same then
    )


def _write(validated: Validated, selected: tuple[str, ...], task: TaskKind) -> None:
    folder = Path("data/checked")
    tables.write_photos(folder / "images.parquet", validated.photos)
    tables.write_instances(folder / "instances.parquet", validated.instances)
    rows.write(folder / "ledger.parquet", validated.rows)
    findings.write(folder / "findings.parquet", validated.findings)
    class_table(selected, task).write(folder / "classes.json")
    write_json(folder / "class_indices.json", class_indices(selected, task))
    counts = {
        "policies": policies.counts(validated.rows),
        "findings": findings.counts(validated.findings, VALIDATE_FINDINGS),
    }
    write_json(Path("metrics/validate.json"), rows.summary(validated.rows) | counts)


if __name__ == "__main__":
    gc.disable()  # hundreds of thousands of records, none in a circle: looking for circles takes a fifth of its time
    run(main)
