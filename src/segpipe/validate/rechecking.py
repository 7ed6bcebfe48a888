"""Check only what changed: verdicts are taken over where the file, its records and the settings are equal.

Where a record stands in its file decides nothing and is put into what is taken over: an annotation taken out of a list
moves all that come after it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from segpipe.core import memory
from segpipe.data import photos
from segpipe.data.records import without_place
from segpipe.validate.image import Checked, Task

Spread = Callable[[Sequence[Task]], Iterator[Checked]]


def check_all(tasks: Sequence[Task], path: Path, spread: Spread) -> list[Checked]:
    """Check every task, or take it over from an earlier run's `path`, which is written anew; in order.

    spread: checks tasks and gives their results in order (parallel.ordered over checks.check).
    """
    known: dict[str, Checked] = memory.load(path)
    if known:
        keys = keys_of(tasks, map(content, tasks))
        checked = list(memory.recalled(keys, known, lambda new: spread([tasks[i] for i in new])))
    else:  # nothing to be looked up, so that a photograph that is checked need not be read for its key as well
        checked = list(spread(tasks))
        keys = keys_of(tasks, map(_content_seen, tasks, checked))
    memory.save(path, dict(zip(keys, checked, strict=True)))
    return [
        _with_places(result, task) if key in known else result
        for key, result, task in zip(keys, checked, tasks, strict=True)
    ]


def _with_places(checked: Checked, task: Task) -> Checked:
    places = {("annotation", instance.id): instance.place for instance in task.instances}
    places["image", task.image.key] = task.image.place or task.image.file
    return replace(
        checked,
        rows=tuple(replace(row, place=places[row.kind, row.id]) for row in checked.rows),
        instances=tuple(replace(i, place=places["annotation", i.id]) for i in checked.instances),
    )


def content(task: Task) -> str:
    """The hash of its photograph's file; "" for a record with a problem, which may name any path, so none is opened."""
    return "" if task.image.problem else memory.content(task.root / task.image.file)


def _content_seen(task: Task, checked: Checked) -> str:
    """The same, known from the check of a photograph that is a file of its own."""
    photo = checked.photo
    return photo.sha256 if photo and not photos.is_embedded(Path(photo.file)) else content(task)


def keys_of(tasks: Sequence[Task], contents: Iterable[str]) -> list[str]:
    """For each task a key of all that decides its result: the files' bytes, the records, the settings, the code.

    contents: the hash of each photograph's file.
    """
    code = memory.version()
    return [
        memory.key_of(
            code,
            own,
            memory.contents(task.root, {i.mask_file for i in task.instances if i.mask_file}),
            without_place(task.image),
            [without_place(instance) for instance in task.instances],
            sorted(task.rules.class_of.items()),
            repr(task.rules.policies),
            task.keep_empty,
        )
        for task, own in zip(tasks, contents, strict=True)
    ]
