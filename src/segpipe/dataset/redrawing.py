"""Rasterize only what changed: rows and PNGs of an earlier run are taken over where all that decides them is equal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segpipe.dataset import drawing, memory, store
from segpipe.dataset.drawing import Drawn, Task
from segpipe.files import write_bytes

_INDEX, _IMAGES, _LABELS = "index.pickle", "images.npy", "labels.npy"
Spread = Callable[[Sequence[Task]], Iterator[Drawn]]


@dataclass(frozen=True, slots=True)
class Kept:
    """One image as an earlier run drew it: its first row in the kept store, its PNG file's bytes, its counts."""

    row: int
    png: bytes
    drawn: Drawn


def draw_all(tasks: Sequence[Task], keys: Sequence[str], folder: Path, spread: Spread) -> list[Drawn]:
    """Draw every task into its masks and store folders, or take it over from `folder`; in order.

    keys: of `keys_of`; spread: draws tasks and gives their results in order (parallel.ordered over drawing.draw).
    Call `keep` after the store is finished.
    """
    known: dict[str, Kept] = memory.load(folder / _INDEX)
    try:
        images, labels = (np.load(folder / name, mmap_mode="r") for name in (_IMAGES, _LABELS))
    except (OSError, ValueError, EOFError):  # gone, or cut short
        known = {}
    for task, key in zip(tasks, keys, strict=True):
        if key in known:
            for row in range(len(known[key].drawn.row_px)):
                old = known[key].row + row
                store.put(task.store, task.position + row, images[old], labels[old])
            write_bytes(drawing.mask_path(task), known[key].png, durable=False)
    drawn = {key: kept.drawn for key, kept in known.items()}
    return list(memory.recalled(keys, drawn, lambda new: spread([tasks[i] for i in new])))


def keep(tasks: Sequence[Task], keys: Sequence[str], drawn: Sequence[Drawn], folder: Path) -> None:
    """Keep what was drawn for the next run, and nothing older. Kept files share their bytes with the store's."""
    if not tasks:
        return
    (folder / _INDEX).unlink(missing_ok=True)  # an index never speaks of another run's rows
    for name in (_IMAGES, _LABELS):
        memory.keep_file(tasks[0].store / name, folder / name)
    kept = {
        key: Kept(task.position, drawing.mask_path(task).read_bytes(), result)
        for task, key, result in zip(tasks, keys, drawn, strict=True)
    }
    memory.save(folder / _INDEX, kept)


def keys_of(tasks: Sequence[Task]) -> list[str]:
    """For each task a key of all that decides its result: pixels, instances, settings, code; not its position."""
    code = memory.version()
    return [
        memory.key_of(
            code,
            (task.photo.sha256, task.photo.frame, task.photo.height, task.photo.width),
            [replace(instance, place="") for instance in task.instances],
            memory.contents(task.root, {i.mask_file for i in task.instances if i.mask_file}),
            sorted(task.indices.items()),
            task.classes,
            task.priority,
            task.fit.size_hw,
            task.windows,
        )
        for task in tasks
    ]
