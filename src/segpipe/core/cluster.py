"""A Dask cluster as the executor of per-image work. Its workers see the project's folder on a shared disk."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from segpipe.core import memory
from segpipe.core.errors import UserError

_SHARED = Path(".segpipe")


@contextmanager
def connect(scheduler: str, timeout: str = "10s") -> Iterator[tuple[Executor, int]]:
    """An executor over the cluster of a scheduler, and how many tasks it runs at the same time.

    scheduler: host:port or tcp://host:port; timeout: how long to wait for its answer, as Dask writes durations.
    Raises UserError if no scheduler answers, if it has no worker, or if a worker runs outside the project's folder
    (paths in tasks are relative to it) or with other code or libraries.
    """
    from distributed import Client  # importing it takes a second, and only a cluster needs it

    try:
        client = Client(scheduler, timeout=timeout, set_as_default=False)
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
    _SHARED.mkdir(exist_ok=True)
    with NamedTemporaryFile(dir=_SHARED, prefix="seen-by-") as token:
        is_seen = client.run(os.path.isfile, os.path.relpath(token.name))
    elsewhere = sorted(worker for worker, is_here in is_seen.items() if not is_here)
    if elsewhere:
        raise UserError(
            f"compute.dask: {elsewhere[0]} does not run in this folder; start its workers in {Path.cwd()}, "
            "on a disk that all machines share"
        )


def _require_this_code(client: Any) -> None:
    try:
        versions = client.run(memory.version)
        others = sorted(worker for worker, version in versions.items() if version != memory.version())
    except (ImportError, AttributeError) as error:  # the worker has no segpipe, or an old one
        others = [f"a worker ({error})"]
    if others:
        raise UserError(
            f"compute.dask: {others[0]} has other code or other libraries than this project; start its workers with "
            f"PYTHONPATH={Path('src').absolute()} and with the versions in requirements.txt"
        )
