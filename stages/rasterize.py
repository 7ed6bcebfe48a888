"""rasterize: data/checked + photos -> a label map PNG per image in data/masks, the store, and the ledger."""

from functools import partial
from pathlib import Path

from segpipe.core.command import run_stage
from segpipe.core.files import write_json, write_text
from segpipe.data.columns import Shards
from segpipe.ledger import findings, limits
from segpipe.ledger.rows import write_ledger
from segpipe.params import load
from segpipe.rasterize import dataset, overlaps
from segpipe.report import collect


def main() -> None:
    """Draw every label map at its image's size, and pack image and label map at training size."""
    params = load()
    source, maximum = Path(params.ingest.source), params.validation.limits
    drawn = dataset.rasterize(
        Path("data/checked"),
        source,
        masks=Path("data/masks"),
        packed=Path("data/store"),
        priority=params.rasterize.priority,
        fit=params.photos.preprocessing,
        workers=params.compute.workers,
        dask=params.compute.dask,
    )
    write_text(Path("metrics/overlaps.csv"), overlaps.csv_text(drawn.overlaps, drawn.classes.names))
    ledger = Shards(Path("data/ledger.parquet"))
    write_ledger(ledger.path, drawn.rows)
    write_json(Path("metrics/rasterize.json"), drawn.summary)
    report = partial(collect.write_known, "rasterize", source, maximum)
    limits.check("rasterize", maximum, ledger, findings.vanished(ledger), report)


if __name__ == "__main__":
    run_stage("rasterize", main)
