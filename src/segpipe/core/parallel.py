"""One function mapped over images by processes, here or on a cluster; results come in order, whoever works."""

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from typing import Generic, Protocol, TypeVar

from segpipe.core import cluster
from segpipe.core.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)
_REPORT_SECONDS = 15.0
_IN_FLIGHT = 4  # chunks a worker may have waiting: bounds memory, hides uneven items
_MAX_CHUNK = 16
_BUSY = 0.75  # of the workers' time; one that waits for others' results is not computing either


@dataclass(frozen=True, slots=True)
class Worked(Generic[Result]):
    """The results of a chunk of items and the processor time that they took."""

    results: list[Result]
    busy_seconds: float


class Mapper(Protocol):
    """A function that maps a function over items in order, as `map` does; it may use processes."""

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterable[Result]: ...


def ordered(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, what: str, dask: str = ""
) -> Iterator[Result]:
    """Yield function(item) for each item, in order. workers: processes; 0 means one for each core; 1 runs here.

    dask: the address of a scheduler whose cluster does the work instead. function and items must pickle; what names
    the items in the progress lines, which tell items a second and what limits them.
    """
    if not items:
        return
    with _pool(min(workers or os.cpu_count() or 1, len(items)), dask) as (pool, count):
        yield from _reported(_spread(function, items, pool, count), len(items), count, what)


@contextmanager
def _pool(workers: int, dask: str) -> Iterator[tuple[Executor | None, int]]:
    """What runs the tasks, and how many at once; None: this process."""
    if dask:
        with cluster.joined(dask) as joined:
            yield joined
    elif workers == 1:
        yield None, 1
    else:
        # fork is unsafe beside threads and spawn starts slowly; forkserver is neither, and imports once for all workers
        warm_up(workers)
        context = multiprocessing.get_context("forkserver")
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_ctrl_c_to_the_stage)
        try:
            yield pool, workers
        except BrokenProcessPool as error:
            problem = "a worker process was ended from outside, most often for want of memory"
            raise UserError(f"{problem}; lower compute.workers in params.yaml and run `dvc repro` again") from error
        finally:
            pool.shutdown(cancel_futures=True)


def warm_up(workers: int, dask: str = "") -> None:
    """Let the process that workers are forked from import what they need while the caller reads what they will do."""
    if workers != 1 and not dask:
        multiprocessing.set_forkserver_preload(_imported())
        forkserver.ensure_running()


def _leave_ctrl_c_to_the_stage() -> None:
    """A terminal sends it to every process; one of them says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _imported() -> list[str]:
    """What this process has imported of the project, so that workers find it there: all but the module that runs.

    Each worker runs that one anew, and Python warns of one that is imported already.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    packages = {name.partition(".")[0] for name in (__name__, spec.name if spec else __name__)}
    return sorted(name for name in sys.modules if name.partition(".")[0] in packages)


def _spread(
    function: Callable[[Item], Result], items: Sequence[Item], pool: Executor | None, workers: int
) -> Iterator[Worked[Result]]:
    if pool is None:
        yield from (_each(function, [item]) for item in items)
        return
    size = max(1, min(_MAX_CHUNK, len(items) // (workers * _IN_FLIGHT)))
    chunks = [items[i : i + size] for i in range(0, len(items), size)]
    waiting: deque[Future[Worked[Result]]] = deque()
    for chunk in chunks:
        waiting.append(pool.submit(_each, function, chunk))
        if len(waiting) > workers * _IN_FLIGHT:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _each(function: Callable[[Item], Result], chunk: Sequence[Item]) -> Worked[Result]:
    before = time.process_time()
    results = [function(item) for item in chunk]
    return Worked(results, time.process_time() - before)


def _reported(worked: Iterator[Worked[Result]], total: int, workers: int, what: str) -> Iterator[Result]:
    start = last = time.monotonic()
    done, busy = 0, 0.0
    for part in worked:
        done, busy, now = done + len(part.results), busy + part.busy_seconds, time.monotonic()
        seconds = max(now - start, 1e-9)
        if done == total:
            logger.info(pace(total, what, seconds, min(1.0, busy / (seconds * workers))))
        elif now - last > _REPORT_SECONDS:
            last = now
            logger.info("%d of %d %s, %.1f a second", done, total, what, done / seconds)
        yield from part.results


def pace(count: int, what: str, seconds: float, busy: float) -> str:
    """A line on how fast items went and what limits it. busy: the share of the workers' time spent computing, 0..1."""
    limit = "the processors limit it" if busy >= _BUSY else "reading, writing or other work limits it"
    return f"{count} {what} in {seconds:.1f} s, {count / seconds:.1f} a second; {busy:.0%} of it computing: {limit}"
