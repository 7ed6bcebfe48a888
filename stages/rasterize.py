"""rasterize: data/checked -> a label map PNG per image in data/masks, those at training size, and the ledger."""

from functools import partial
from pathlib import Path

from segpipe.core.command import run_stage
from segpipe.core.files import write_json, write_text
from segpipe.data.columns import Shards
from segpipe.ledger import findings, limits
from segpipe.params import load
from segpipe.rasterize import dataset
from segpipe.report import known


def main() -> None:
    """Draw every label map at its image's size and at training size; too many hidden or vanished objects stop it."""
    params = load()
    source, maximum = Path(params.ingest.source), params.validation.limits
    counts, hidden, drop_earlier = dataset.rasterize(
        Path("data/checked"),
        source,
        masks=Path("data/masks"),
        labels=Path("data/labels"),
        ledger=Path("data/ledger.parquet"),
        priority=params.rasterize.priority,
        fit=params.photos.preprocessing,
        workers=params.compute.workers,
        dask=params.compute.dask,
    )
    write_text(Path("metrics/overlaps.csv"), hidden)
    write_json(Path("metrics/rasterize.json"), counts)
    ledger = Shards(Path("data/ledger.parquet"))
    report = partial(known.write, "rasterize", source, maximum)
    limits.check("rasterize", maximum, ledger, findings.vanished(ledger), report)
    drop_earlier()


if __name__ == "__main__":
    run_stage("rasterize", main)
