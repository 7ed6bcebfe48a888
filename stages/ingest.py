"""ingest: the source folder -> data/records/*.parquet."""

from functools import partial
from pathlib import Path

from segpipe.core import parallel
from segpipe.core.command import run_stage
from segpipe.core.files import write_json
from segpipe.data import tables
from segpipe.ingest.mask_classes import by_number_and_colour
from segpipe.ingest.read import MaskOptions, inventory, read_source
from segpipe.params import load


def main() -> None:
    """Read every annotation of the source, in any supported format, into one table of records."""
    params = load()
    values, colours = by_number_and_colour(params.ingest.mask_values)
    masks = MaskOptions(
        values=values,
        colours=colours,
        image_pattern=params.ingest.image_pattern,
        mask_pattern=params.ingest.mask_pattern,
        mapper=partial(
            parallel.map_ordered, workers=params.compute.workers, dask=params.compute.dask, what="masks read"
        ),
    )
    dataset = read_source(Path(params.ingest.source), params.ingest.format, masks)
    tables.write_dataset(Path("data/records"), dataset)
    write_json(Path("metrics/ingest.json"), inventory(dataset))


if __name__ == "__main__":
    run_stage("ingest", main)
