"""validate: data/records + every photo -> data/checked, with the ledger after this stage and the findings."""

from functools import partial
from pathlib import Path

from segpipe.core.command import run_stage
from segpipe.core.files import write_json
from segpipe.data.columns import Shards
from segpipe.ledger import limits
from segpipe.params import load
from segpipe.report import collect
from segpipe.validate import dataset


def main() -> None:
    """Decode every image and judge every annotation; too many defects stop the stage."""
    params = load()
    source, section = Path(params.ingest.source), params.validation
    checked = Path("data/checked")
    validated = dataset.validate(
        Path("data/records"),
        source,
        classes=params.ingest.classes,
        policies=section,
        keep_empty=section.unannotated == "keep",
        fit=params.photos.preprocessing,
        workers=params.compute.workers,
        dask=params.compute.dask,
    )
    validated.write(checked, params.ingest.task)
    write_json(Path("metrics/validate.json"), validated.summary())
    report = partial(collect.write_known, "validate", source, section.limits)
    ledger, findings = Shards(checked / "ledger.parquet"), Shards(checked / "findings.parquet")
    limits.check("validate", section.limits, ledger, findings, report)


if __name__ == "__main__":
    run_stage("validate", main)
