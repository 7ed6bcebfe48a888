"""ingest: the source folder -> data/records/*.parquet."""

from functools import partial
from pathlib import Path

from segpipe.annotations import detect
from segpipe.dataset import parallel, tables
from segpipe.files import write_json
from stages.params import load, run


def main() -> None:
    """Read every annotation of the source, whatever its format, into one table of records."""
    params = load()
    dataset = detect.read_source(
        Path(params.ingest.source),
        params.ingest.format,
        mask_values=params.ingest.mask_values,
        patterns=params.ingest.patterns,
        mapper=partial(parallel.ordered, workers=params.compute.workers, what="masks read"),
    )
    tables.write_dataset(Path("data/records"), dataset)
    write_json(Path("metrics/ingest.json"), detect.summary(dataset))


if __name__ == "__main__":
    run(main)
