"""validate: data/records + every photo -> data/checked, with the ledger and findings so far, and data/photos."""

from functools import partial
from pathlib import Path

from segpipe.core.command import run_stage
from segpipe.core.files import write_json
from segpipe.data.columns import Shards
from segpipe.ledger import limits
from segpipe.params import load
from segpipe.report import known
from segpipe.validate import dataset


def main() -> None:
    """Decode and pack every photo and judge every annotation; too many defects stop the stage."""
    params = load()
    source, section, checked = Path(params.ingest.source), params.validation, Path("data/checked")
    counts, drop_earlier = dataset.validate(
        Path("data/records"),
        source,
        checked=checked,
        photos=Path("data/photos"),
        classes=params.ingest.classes,
        task=params.ingest.task,
        policies=section,
        keep_empty=section.unannotated == "keep",
        fit=params.photos.preprocessing,
        workers=params.compute.workers,
        dask=params.compute.dask,
    )
    write_json(Path("metrics/validate.json"), counts)
    ledger, findings = Shards(checked / "ledger.parquet"), Shards(checked / "findings.parquet")
    report = partial(known.write, "validate", source, section.limits)
    limits.check("validate", section.limits, ledger, findings, report)
    drop_earlier()


if __name__ == "__main__":
    run_stage("validate", main)
