"""Check only what changed: verdicts are taken over where the file, its records and the settings are equal."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from segpipe.dataset import memory
from segpipe.dataset.checks import Checked, Task

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
            # a record with a problem may name any path; only what ingest found in the source is ever opened
            memory.content(task.root / task.image.file) if not task.image.problem else None,
            memory.contents(task.root, {i.mask_file for i in task.instances if i.mask_file}),
            task.image,
            task.instances,
            sorted(task.class_of.items()),
            task.crowd,
            task.keep_empty,
            task.shapes,
        )
        for task in tasks
    ]
