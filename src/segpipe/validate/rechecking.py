"""Reuse of an earlier run's checks, for images whose file, records and settings have not changed.

The position of a record in its file decides nothing, since deleting an annotation moves all later ones: results get the
positions of this run.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from segpipe.core import memory
from segpipe.data import photos
from segpipe.data.records import without_place
from segpipe.validate.image import CheckedImage, CheckTask

Spread = Callable[[Sequence[CheckTask]], Iterator[CheckedImage]]


def check_all(tasks: Sequence[CheckTask], path: Path, spread: Spread) -> list[CheckedImage]:
    """The result of every task, in order; unchanged results come from `path`, which is then rewritten.

    spread: checks tasks and returns their results in order (parallel.map_ordered over image.check).
    """
    kept: dict[str, CheckedImage] = memory.load(path)
    if kept:
        keys = keys_of(tasks, map(content, tasks))
        checked = list(memory.recalled(keys, kept, lambda new: spread([tasks[i] for i in new])))
    else:  # the check has read each photo, so its hash needs no second reading
        checked = list(spread(tasks))
        keys = keys_of(tasks, map(_content_seen, tasks, checked))
    memory.save(path, dict(zip(keys, checked, strict=True)))
    return [
        _with_places(result, task) if key in kept else result
        for key, result, task in zip(keys, checked, tasks, strict=True)
    ]


def _with_places(checked: CheckedImage, task: CheckTask) -> CheckedImage:
    places = {("annotation", instance.id): instance.place for instance in task.instances}
    places["image", task.image.key] = task.image.place or task.image.file
    return replace(
        checked,
        rows=tuple(replace(row, place=places[row.kind, row.id]) for row in checked.rows),
        instances=tuple(replace(i, place=places["annotation", i.id]) for i in checked.instances),
    )


def content(task: CheckTask) -> str:
    """The hash of the photo's file; "" for a record with a problem: it may name any path, so nothing is opened."""
    return "" if task.image.problem else memory.content(task.root / task.image.file)


def _content_seen(task: CheckTask, checked: CheckedImage) -> str:
    """`content` of a task that was just checked, without reading the file again if it holds nothing but the photo."""
    photo = checked.photo
    return photo.sha256 if photo and not photos.is_embedded(Path(photo.file)) else content(task)


def keys_of(tasks: Sequence[CheckTask], contents: Iterable[str]) -> list[str]:
    """A key for each task over everything that decides its result: files, records, settings, code.

    contents: the hash of each task's photo, as `content` returns it.
    """
    code = memory.version()
    return [
        memory.key_of(
            code,
            photo_hash,
            memory.contents(task.root, {i.mask_file for i in task.instances if i.mask_file}),
            without_place(task.image),
            [without_place(instance) for instance in task.instances],
            sorted(task.rules.class_of.items()),
            task.rules.policies.key(),
            task.keep_empty,
        )
        for task, photo_hash in zip(tasks, contents, strict=True)
    ]
