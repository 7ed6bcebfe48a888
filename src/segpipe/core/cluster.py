"""A Dask cluster as the executor of per-image work; its workers see the project's folder on a disk that all share."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from segpipe.core import memory
from segpipe.core.errors import UserError

_HERE = Path(".segpipe")
_PATIENCE = "10s"


@contextmanager
def joined(scheduler: str) -> Iterator[tuple[Executor, int]]:
    """An executor over the cluster of a scheduler (host:port or tcp://host:port), and how many tasks it runs at once.

    Raises UserError if no scheduler answers, it has no worker, or a worker runs outside the project's folder (paths
    in tasks are relative to it) or with other code or libraries.
    """
    from distributed import Client  # a second of imports, for nothing where there is no cluster

    try:
        client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        problem = f"no scheduler answers at {scheduler} ({type(error).__name__})"
        raise UserError(f"compute.dask: {problem}; start one with `dask scheduler`, or leave it empty") from error
    with client:
        threads = client.nthreads()
        if not threads:
            start = f"`dask worker {scheduler}` in the project's folder"
            raise UserError(f"compute.dask: the cluster of {scheduler} has no workers; start them with {start}")
        _require_this_folder(client)
        _require_this_code(client)
        yield client.get_executor(pure=False), sum(threads.values())


def _require_this_folder(client: Any) -> None:
    _HERE.mkdir(exist_ok=True)
    with NamedTemporaryFile(dir=_HERE, prefix="seen-by-") as token:
        sees = client.run(os.path.isfile, os.path.relpath(token.name))
    strangers = sorted(worker for worker, it_does in sees.items() if not it_does)
    if strangers:
        raise UserError(
            f"compute.dask: {strangers[0]} does not run in this folder; start its workers in {Path.cwd()}, "
            "on a disk that all machines share"
        )


def _require_this_code(client: Any) -> None:
    try:
        others = sorted(worker for worker, theirs in client.run(memory.version).items() if theirs != memory.version())
    except (ImportError, AttributeError) as error:  # no segpipe there, or one that is too old
        others = [f"a worker ({error})"]
    if others:
        raise UserError(
            f"compute.dask: {others[0]} has other code or other libraries than this project; start its workers with "
            f"PYTHONPATH={Path('src').absolute()} and with what requirements.txt pins"
        )
