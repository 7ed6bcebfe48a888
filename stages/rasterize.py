"""rasterize: data/checked + photographs -> a label map PNG each in data/masks, the store, the ledger's second page."""

import json
from functools import partial
from pathlib import Path

from segpipe.classes import ClassTable
from segpipe.dataset import (
    drawing,
    findings,
    ledger,
    limits,
    memory,
    parallel,
    rasterizing,
    redrawing,
    selection,
    store,
    tables,
    validation,
)
from segpipe.dataset.codes import KNOWN_TO_RASTERIZE
from segpipe.dataset.transforms import Fit
from segpipe.files import write_json
from stages.params import load, run


def main() -> None:
    """Draw every label map at its photograph's size, and pack photo and map at training size."""
    params = load()
    checked, masks, packed = Path("data/checked"), Path("data/masks"), Path("data/store")
    photos = validation.read_photos(checked / "images.parquet")
    classes = ClassTable.read(checked / "classes.json")
    indices = json.loads((checked / "class_indices.json").read_text(encoding="utf-8"))
    selection.refuse_unknown(params.rasterize.priority, sorted(indices, key=lambda name: indices[name]))
    fit = Fit(params.rasterize.fit, params.rasterize.size)
    tasks = rasterizing.tasks(
        photos,
        tables.read_instances(checked / "instances.parquet"),
        Path(params.ingest.source),
        indices=indices,
        classes=classes,
        priority=params.rasterize.priority,
        fit=fit,
        masks=masks,
        store=packed,
    )
    store.begin(packed, len(tasks), fit)
    spread = partial(
        parallel.ordered,
        drawing.draw,
        workers=params.compute.workers,
        dask=params.compute.dask,
        what="label maps drawn",
    )
    keys, kept = redrawing.keys_of(tasks), memory.FOLDER / "rasterize"
    drawn = redrawing.draw_all(tasks, keys, kept, spread)
    rows = rasterizing.account(ledger.read(checked / "ledger.parquet"), tasks, drawn)
    class_pixels = rasterizing.class_pixels(drawn)

    store.finish(packed, [photo.key for photo in photos], classes, fit, class_pixels)
    classes.write(masks / "classes.json")
    ledger.write(Path("data/ledger.parquet"), rows)
    pixels = rasterizing.pixel_summary(drawn, classes.names)
    gone = {"vanished_at_training_size": rasterizing.vanished(rows)}
    write_json(Path("metrics/rasterize.json"), ledger.summary(rows) | pixels | gone)
    redrawing.keep(tasks, keys, drawn, kept)
    limits.enforce(limits.shares(params.validation.limits, rows, findings.vanished(rows), KNOWN_TO_RASTERIZE))


if __name__ == "__main__":
    run(main)
