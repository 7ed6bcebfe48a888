"""ingest: the source folder -> data/records/*.parquet."""

from functools import partial
from pathlib import Path

from segpipe.core import parallel
from segpipe.core.command import run
from segpipe.core.files import write_json
from segpipe.data import tables
from segpipe.ingest.colour_classes import parsed_colour
from segpipe.ingest.detect import MaskOptions, read_source
from segpipe.ingest.inventory import inventory
from segpipe.params import load


def main() -> None:
    """Read every annotation of the source, whatever its format, into one table of records."""
    params = load()
    masks = MaskOptions(
        values={int(value): name for value, name in params.ingest.mask_values.items() if "," not in value} or None,
        colours={parsed_colour(c): name for c, name in params.ingest.mask_values.items() if "," in c} or None,
        image_pattern=params.ingest.image_pattern,
        mask_pattern=params.ingest.mask_pattern,
        mapper=partial(parallel.ordered, workers=params.compute.workers, dask=params.compute.dask, what="masks read"),
    )
    dataset = read_source(Path(params.ingest.source), params.ingest.format, masks)
    tables.write_dataset(Path("data/records"), dataset)
    write_json(Path("metrics/ingest.json"), inventory(dataset))


if __name__ == "__main__":
    run(main)
