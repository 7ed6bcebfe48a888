"""split: data/checked + the store's class counts -> data/splits.csv."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from segpipe.classes import ClassTable
from segpipe.dataset import splits, validation
from segpipe.dataset.splits import Candidate
from segpipe.files import write_json, write_text
from stages.params import load, run

logger = logging.getLogger(__name__)


def main() -> None:
    """Place every image on one side, its duplicates with it."""
    params = load()
    class_pixels = np.load("data/store/class_pixels.npy")
    photos = validation.read_photos(Path("data/checked/images.parquet"))
    scenes = splits.scenes([photo.file for photo in photos], params.split.scene)
    candidates = [
        Candidate(
            key=photo.key,
            sha256=photo.sha256,
            phash=photo.phash,
            scene=scene,
            source_split=photo.split,
            empty=not (photo.background or row[1:].any()),
        )
        for photo, scene, row in zip(photos, scenes, class_pixels, strict=True)
    ]
    near_bits = params.split.near_duplicate_bits
    keep_empty = params.split.empty_masks == "keep"
    if params.split.method == "source":
        roles, val = params.split.source_roles, params.split.val
        placed = splits.by_source(candidates, roles, params.seed, val, near_bits, keep_empty)
    else:
        val, test = params.split.val, params.split.test
        placed = splits.by_content(candidates, params.seed, val, test, near_bits, keep_empty)
    names = ClassTable.read(Path("data/masks/classes.json")).names
    for line in splits.warnings(placed, class_pixels, names):
        logger.warning(line)

    table = pd.DataFrame([asdict(row) for row in placed])
    write_text(Path("data/splits.csv"), table.to_csv(index=False, lineterminator="\n"))
    leaks = splits.leaks(candidates, placed, near_bits)
    write_json(Path("metrics/split.json"), splits.summary(placed, class_pixels, names) | {"leaks": leaks})


if __name__ == "__main__":
    run(main)
