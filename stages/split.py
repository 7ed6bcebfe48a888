"""split: data/checked + class pixels of the label maps + pins and scenes -> data/splits.csv and the data report."""

from pathlib import Path

import numpy as np

from segpipe.core.command import run_stage
from segpipe.core.files import write_json, write_text
from segpipe.data import split_table, tables
from segpipe.data.classes import ClassTable
from segpipe.ledger import findings, limits, rows
from segpipe.params import load
from segpipe.report import collect
from segpipe.split import dataset


def main() -> None:
    """Assign every image to train, val or test; an empty split or too many leaks stop the stage."""
    params = load()
    checked = Path("data/checked/images.parquet")
    photos, fingerprints = tables.read_photos(checked), tables.read_fingerprints(checked)
    class_pixels = np.load("data/labels/class_pixels.npy")
    all_files = tables.read_files(Path("data/records"))
    names = ClassTable.read(Path("data/masks/classes.json")).names
    ledger = rows.read_ledger(Path("data/ledger.parquet"))
    split = dataset.split(photos, fingerprints, class_pixels, all_files, names, ledger, params.split, params.seed)
    split_table.write(Path("data/splits.csv"), split.rows)
    write_text(Path("metrics/plots/split/classes.csv"), split.class_csv())
    write_json(Path("metrics/split.json"), split.metrics())
    split.log()
    source, maximum = Path(params.ingest.source), params.validation.limits
    report = collect.read("split", source, maximum, split.findings(photos))
    collect.write(report)
    found = tables.numbered(findings.to_table(report.findings))
    limits.check("split", maximum, [rows.one_shard(report.rows)], [found], lambda: None)
    split.check()


if __name__ == "__main__":
    run_stage("split", main)
