"""A Dask cluster as the executor of jobs. Its workers see the project's folder on a shared disk.

If a worker ends, Dask gives its jobs to the others; a job at which four workers ended is not tried again.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from segpipe.core import versions
from segpipe.core.errors import UserError

_SHARED = Path(".segpipe")
_PACKAGES = ("core", "data", "masks", "ledger", "ingest", "validate", "rasterize")  # whose functions the workers run
_CHECK_SECONDS = 15.0
_WAIT_SECONDS = 60  # for a worker, when all have ended: Dask often starts them again

ResultOf = Callable[[Future[Any]], Any]


@contextmanager
def connect(scheduler: str, timeout: str = "10s") -> Iterator[tuple[Executor, int, ResultOf]]:
    """An executor over the cluster of a scheduler, how many jobs it runs at the same time, and a future's result.

    scheduler: host:port or tcp://host:port; timeout: how long to wait for its answer, as Dask writes durations.
    Raises UserError if no scheduler answers, if it has no worker, if a worker runs outside the project's folder (paths
    in jobs are relative to it) or with other code or libraries, or if the cluster is lost before the end.
    """
    from distributed import Client, KilledWorker  # importing it takes a second, and only a cluster needs it

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
        try:
            yield client.get_executor(pure=False), sum(threads.values()), partial(_result, client, scheduler)
        except KilledWorker as error:
            problem = f"the workers of {scheduler} ended one after the other at the same job"
            remedy = "give them more memory (Dask's log has the reason), then run `dvc repro` again"
            raise UserError(f"compute.dask: {problem}; {remedy}") from error
        except CancelledError as error:
            problem = f"the scheduler {scheduler} has ended"
            raise UserError(f"compute.dask: {problem}; start it again, then run `dvc repro` again") from error


def _result(client: Any, scheduler: str, future: Future[Any]) -> Any:
    """The result of a job. Without any worker Dask itself would wait for it without end."""
    while not wait([future], _CHECK_SECONDS).done:
        try:
            client.wait_for_workers(1, timeout=_WAIT_SECONDS)
        except TimeoutError as error:
            problem = f"all workers of {scheduler} have ended"
            raise UserError(f"compute.dask: {problem}; start them again, then run `dvc repro` again") from error
    return future.result()


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
    this = versions.version_of(*_PACKAGES)
    try:
        client.run_on_scheduler(versions.version_of)  # it reads the jobs
        of_worker = client.run(versions.version_of, *_PACKAGES)
        others = sorted(worker for worker, version in of_worker.items() if version != this)
    except (ImportError, AttributeError) as error:  # it has no segpipe, or an old one
        others = [f"the scheduler or a worker ({error})"]
    if others:
        raise UserError(
            f"compute.dask: {others[0]} has other code or other libraries than this project; start scheduler and "
            f"workers with PYTHONPATH={Path('src').absolute()} and the versions in requirements.txt"
        )
