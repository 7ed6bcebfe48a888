"""Stores for tests: photos and labels in shards, as the stages write them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segpipe.data import store
from segpipe.data.classes import ClassTable
from segpipe.data.preprocessing import Fit
from segpipe.data.store import Store

CLASSES = ClassTable(("background", "cat"))


def put(
    folder: Path,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    keys: Sequence[str] = (),
    boxes: Sequence[Sequence[int]] = (),
    row_pixels: Sequence[Sequence[int]] = (),
    shards: int = 3,
) -> Store:
    """The store of these rows in `folder`, opened.

    keys: of each row, in the order of the source; equal ones are the tiles of one image; boxes, row_pixels: as in
    Store. Neighbours are in different shards.
    """
    photos, drawn = folder / "photos", folder / "labels"
    count, hw = len(images), images.shape[1:3]
    keys = keys or [f"image{number}" for number in range(count)]
    boxes = boxes or [(0, 0, *hw)] * count
    shard_of = {key: number % shards for number, key in enumerate(dict.fromkeys(keys))}
    places = np.zeros((count, 2), np.int64)
    for shard in range(shards):
        mine = [row for row, key in enumerate(keys) if shard_of[key] == shard]
        places[mine] = [(shard, number) for number in range(len(mine))] or np.zeros((0, 2))
        for to, pixels in ((photos, images), (drawn, labels)):
            to.mkdir(parents=True, exist_ok=True)
            with store.row_writer(store.shard_file(to, shard), pixels.shape[1:]) as add:
                for row in mine:
                    add(pixels[row])
    store.write_index(photos, keys, places, np.array(boxes).reshape(-1, 4), Fit("stretch", hw))
    CLASSES.write(drawn / "classes.json")
    pixels = np.array(row_pixels or [(64, 0)] * count, np.int64).reshape(-1, len(CLASSES))
    store.write_pixels(drawn, pixels, pixels)
    return Store.open(photos, drawn)
