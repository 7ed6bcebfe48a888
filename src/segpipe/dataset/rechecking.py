"""Check only what changed: verdicts are taken over where the file, its records and the settings are equal."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from segpipe.dataset import memory
from segpipe.dataset.checks import Checked, Task
from segpipe.files import sha256_of

Spread = Callable[[Sequence[Task]], Iterator[Checked]]


def check_all(tasks: Sequence[Task], path: Path, spread: Spread) -> list[Checked]:
    """Check every task, or take it over from an earlier run's `path`, which is written anew; in order.

    spread: checks tasks and gives their results in order (parallel.ordered over checks.check).
    """
    known: dict[str, Checked] = memory.load(path)
    keys = keys_of(tasks)
    checked = list(memory.recalled(keys, known, lambda new: spread([tasks[i] for i in new])))
    memory.save(path, dict(zip(keys, checked, strict=True)))
    return checked


def keys_of(tasks: Sequence[Task]) -> list[str]:
    """For each task a key of all that decides its result: the files' bytes, the records, the settings, the code."""
    code = memory.version()
    return [
        memory.key_of(
            code,
            _content(task.root / task.image.file) if task.image.file else None,
            sorted((file, _content(task.root / file)) for file in {i.mask_file for i in task.instances if i.mask_file}),
            task.image,
            task.instances,
            sorted(task.class_of.items()),
            task.crowd,
            task.keep_empty,
            task.shapes,
        )
        for task in tasks
    ]


def _content(path: Path) -> str:
    """The file's hash, or what keeps it from being read."""
    try:
        return sha256_of(path)
    except OSError as error:
        return type(error).__name__
