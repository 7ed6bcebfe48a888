"""Reuse of an earlier run's label maps and store rows, for images that have not changed."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from segpipe.core import memory
from segpipe.core.files import atomic_write, write_bytes
from segpipe.data import store
from segpipe.data.records import without_place
from segpipe.rasterize import image
from segpipe.rasterize.image import DrawnImage, DrawTask

_INDEX, _IMAGES, _LABELS, _MASKS = "index.pickle", "images.npy", "labels.npy", "masks.bin"
Spread = Callable[[Sequence[DrawTask]], Iterator[DrawnImage]]


@dataclass(frozen=True, slots=True)
class Kept:
    """One image of an earlier run. Its PNG is in a file of all masks: no process has all of them in memory."""

    row: int  # its first row in the kept store
    drawn: DrawnImage
    start: int  # of its PNG in the file of all masks
    size: int  # of its PNG in bytes
    sha256: bytes  # of its PNG


def draw_all(tasks: Sequence[DrawTask], keys: Sequence[str], folder: Path, spread: Spread) -> list[DrawnImage]:
    """Write the label map and rows of every task, and return the counts in order; unchanged ones come from `folder`.

    keys: as `keys_of` returns them; spread: draws tasks and returns their results in order (parallel.map_ordered over
    image.draw). Call `keep` after the store is finished.
    """
    drawn = _restored(tasks, keys, folder)
    return list(memory.recalled(keys, drawn, lambda new: spread([tasks[i] for i in new])))


def _restored(tasks: Sequence[DrawTask], keys: Sequence[str], folder: Path) -> dict[str, DrawnImage]:
    """Write the rows and PNGs of unchanged images; their results by key, without those whose PNG is damaged."""
    kept_images: dict[str, Kept] = memory.load(folder / _INDEX)
    drawn = {}
    try:
        images, labels = (np.load(folder / name, mmap_mode="r") for name in (_IMAGES, _LABELS))
        masks = (folder / _MASKS).open("rb")
    except (OSError, ValueError, EOFError):  # missing or cut short
        return {}
    with masks:
        for task, key in zip(tasks, keys, strict=True):
            if key not in kept_images or (png := _png(masks, kept_images[key])) is None:
                continue
            for row in range(len(kept_images[key].drawn.row_px)):
                old = kept_images[key].row + row
                store.put(task.store, task.position + row, images[old], labels[old])
            write_bytes(image.mask_path(task), png, durable=False)
            drawn[key] = kept_images[key].drawn
    return drawn


def _png(masks: BinaryIO, kept: Kept) -> bytes | None:
    masks.seek(kept.start)
    data = masks.read(kept.size)
    return data if hashlib.sha256(data).digest() == kept.sha256 else None


def keep(tasks: Sequence[DrawTask], keys: Sequence[str], drawn: Sequence[DrawnImage], folder: Path) -> None:
    """Keep the label maps and rows for the next run, and delete older ones. Kept rows are hard links to the store."""
    if not tasks:
        return
    (folder / _INDEX).unlink(missing_ok=True)  # an index must never describe the rows of another run
    for name in (_IMAGES, _LABELS):
        memory.keep_file(tasks[0].store / name, folder / name)
    kept = {}
    with atomic_write(folder / _MASKS, durable=False) as part, part.open("wb") as masks:
        for task, key, result in zip(tasks, keys, drawn, strict=True):
            png = image.mask_path(task).read_bytes()
            kept[key] = Kept(task.position, result, masks.tell(), len(png), hashlib.sha256(png).digest())
            masks.write(png)
    memory.save(folder / _INDEX, kept)


def keys_of(tasks: Sequence[DrawTask]) -> list[str]:
    """A key for each task over photo, instances, settings and code, but not over its position."""
    code = memory.version()
    return [
        memory.key_of(
            code,
            (task.photo.sha256, task.photo.frame, task.photo.height, task.photo.width),
            [without_place(instance) for instance in task.instances],
            memory.contents(task.root, {i.mask_file for i in task.instances if i.mask_file}),
            sorted(task.indices.items()),
            repr(task.classes),
            task.priority,
            task.fit.size_hw,
            repr(task.windows),
        )
        for task in tasks
    ]
