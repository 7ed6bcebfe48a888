"""rasterize: data/checked + photographs -> a label map PNG each in data/masks, the store, the ledger's second page."""

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from segpipe.core import memory, parallel
from segpipe.core.command import run
from segpipe.core.files import write_json, write_text
from segpipe.data import fitted, store, tables
from segpipe.data.classes import ClassTable, refuse_unknown
from segpipe.ledger import findings, limits
from segpipe.ledger import rows as ledger
from segpipe.params import load
from segpipe.rasterize import dataset, image, overlaps, redrawing
from segpipe.report import collect


def main() -> None:
    """Draw every label map at its photograph's size, and pack photo and map at training size."""
    params = load()
    earlier = memory.FOLDER / "rasterize"
    if not earlier.exists():  # else there may be little to do
        parallel.warm_up(params.compute.workers, params.compute.dask)
    checked, masks, packed = Path("data/checked"), Path("data/masks"), Path("data/store")
    photos = tables.read_photos(checked / "images.parquet")
    classes = ClassTable.read(checked / "classes.json")
    indices = json.loads((checked / "class_indices.json").read_text(encoding="utf-8"))
    refuse_unknown(params.rasterize.priority, sorted(indices, key=lambda name: indices[name]))
    fit = params.photos.preprocessing
    tasks = dataset.tasks(
        photos,
        tables.read_instances(checked / "instances.parquet"),
        Path(params.ingest.source),
        indices=indices,
        classes=classes,
        priority=params.rasterize.priority,
        fit=fit,
        masks=masks,
        store=packed,
        left=fitted.place(fit).found(),
    )
    store_rows = dataset.rows(tasks)
    store.begin(packed, len(store_rows), fit)
    spread = partial(
        parallel.ordered,
        image.draw,
        workers=params.compute.workers,
        dask=params.compute.dask,
        what="label maps drawn",
    )
    keys = redrawing.keys_of(tasks)
    drawn = redrawing.draw_all(tasks, keys, earlier, spread)
    with ThreadPoolExecutor() as disk:  # takes the store, and gives back what validate left, while the account is made
        flushed = disk.submit(store.flush, packed)
        disk.submit(fitted.forget)
        rows = dataset.account(ledger.read(checked / "ledger.parquet"), tasks, drawn)
        beneath = overlaps.total(result.overlaps for result in drawn)
        pixels = dataset.pixel_summary(drawn, classes.names)
        sizes = {"store_rows": dataset.row_summary(drawn), "vanished_at_training_size": dataset.vanished(rows)}
    flushed.result()
    store.finish(packed, store_rows, classes, fit, dataset.class_pixels(drawn), dataset.row_pixels(drawn))
    classes.write(masks / "classes.json")
    write_text(Path("metrics/overlaps.csv"), overlaps.csv_text(beneath, classes.names))
    ledger.write(Path("data/ledger.parquet"), rows)
    write_json(Path("metrics/rasterize.json"), ledger.summary(rows) | pixels | sizes)
    redrawing.keep(tasks, keys, drawn, earlier)
    report = partial(
        collect.write_known,
        "rasterize",
        Path(params.ingest.source),
        params.validation.limits,
        params.split.near_duplicate_bits,
    )
    limits.check("rasterize", params.validation.limits, rows, findings.vanished(rows), report)


if __name__ == "__main__":
    gc.disable()  # hundreds of thousands of records, none in a circle: looking for circles takes a fifth of its time
    run(main)
