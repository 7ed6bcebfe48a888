"""A function mapped over items by several processes, on this machine or a cluster; results come in order."""

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
_IN_FLIGHT = 4  # chunks queued per worker: limits memory, and keeps workers busy when items differ in size
_MAX_CHUNK = 16
_BUSY = 0.75  # share of the workers' time; a worker also idles while earlier results are awaited


@dataclass(frozen=True, slots=True)
class _Chunk(Generic[Result]):
    """The results of some items, and the processor time that they took."""

    results: list[Result]
    busy_seconds: float


class Mapper(Protocol):
    """A function that maps a function over items in order, as `map` does; it may use processes."""

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterable[Result]: ...


def map_ordered(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, what: str, dask: str = ""
) -> Iterator[Result]:
    """Yield function(item) for each item, in order. `function` and items must pickle.

    workers: number of processes; 0: one per core; 1: no other process.
    what: the items' name in the progress lines, which report items per second and what limits them.
    dask: address of a scheduler; its cluster then does the work.
    """
    if not items:
        return
    with _pool(min(workers or os.cpu_count() or 1, len(items)), dask) as (pool, count):
        yield from _reported(_spread(function, items, pool, count), len(items), count, what)


@contextmanager
def _pool(workers: int, dask: str) -> Iterator[tuple[Executor | None, int]]:
    """The executor, and how many tasks it runs at the same time. None: this process runs them."""
    if dask:
        with cluster.connect(dask) as executor:
            yield executor
    elif workers == 1:
        yield None, 1
    else:
        # fork is unsafe with threads, spawn starts slowly; forkserver is safe and imports once for all workers
        warm_up(workers)
        context = multiprocessing.get_context("forkserver")
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_ctrl_c)
        try:
            yield pool, workers
        except BrokenProcessPool as error:
            problem = "the system ended a worker process, most often because memory ran out"
            raise UserError(f"{problem}; lower compute.workers in params.yaml and run `dvc repro` again") from error
        finally:
            pool.shutdown(cancel_futures=True)


def warm_up(workers: int, dask: str = "") -> None:
    """Start the server process that workers are forked from, so that it imports while the caller reads its inputs."""
    if workers != 1 and not dask:
        multiprocessing.set_forkserver_preload(_imported())
        forkserver.ensure_running()


def _ignore_ctrl_c() -> None:
    """A terminal sends Ctrl-C to every process; the stage alone reports it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _imported() -> list[str]:
    """The project's modules that this process has imported, for workers to find imported, without the main module.

    Each worker runs the main module itself, and Python warns if it is imported already.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    packages = {name.partition(".")[0] for name in (__name__, spec.name if spec else __name__)}
    return sorted(name for name in sys.modules if name.partition(".")[0] in packages)


def _spread(
    function: Callable[[Item], Result], items: Sequence[Item], pool: Executor | None, workers: int
) -> Iterator[_Chunk[Result]]:
    if pool is None:
        yield from (_each(function, [item]) for item in items)
        return
    size = max(1, min(_MAX_CHUNK, len(items) // (workers * _IN_FLIGHT)))
    chunks = [items[i : i + size] for i in range(0, len(items), size)]
    waiting: deque[Future[_Chunk[Result]]] = deque()
    for chunk in chunks:
        waiting.append(pool.submit(_each, function, chunk))
        if len(waiting) > workers * _IN_FLIGHT:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _each(function: Callable[[Item], Result], chunk: Sequence[Item]) -> _Chunk[Result]:
    before = time.process_time()
    results = [function(item) for item in chunk]
    return _Chunk(results, time.process_time() - before)


def _reported(chunks: Iterator[_Chunk[Result]], total: int, workers: int, what: str) -> Iterator[Result]:
    start = last = time.monotonic()
    done, busy = 0, 0.0
    for chunk in chunks:
        done, busy, now = done + len(chunk.results), busy + chunk.busy_seconds, time.monotonic()
        seconds = max(now - start, 1e-9)
        if done == total:
            logger.info(pace(total, what, seconds, min(1.0, busy / (seconds * workers))))
        elif now - last > _REPORT_SECONDS:
            last = now
            logger.info("%d of %d %s, %.1f per second", done, total, what, done / seconds)
        yield from chunk.results


def pace(count: int, what: str, seconds: float, busy: float) -> str:
    """A line on items per second and what limits them. busy: share of the workers' time spent computing, 0..1.

    >>> pace(90, "masks", 3.0, 0.9)
    '90 masks in 3.0 s, 30.0 per second; 90% of the time computing: limited by the processors'
    """
    limit = "the processors" if busy >= _BUSY else "reading, writing or other work"
    items = f"{count} {what}" if count != 1 else f"1 of 1 {what}"  # `what` is a plural
    rate = f"{items} in {seconds:.1f} s, {count / seconds:.1f} per second"
    return f"{rate}; {busy:.0%} of the time computing: limited by {limit}"
