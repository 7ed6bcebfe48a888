"""A function mapped over items by several processes, on this machine or a cluster; results come in order."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Generic, Protocol, TypeVar

from segpipe.core import cluster
from segpipe.core.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)
_REPORT_SECONDS = 15.0
_IN_FLIGHT = 4  # jobs queued per worker: limits memory, and keeps workers busy when jobs differ in size
_MAX_CHUNK = 16
_BUSY = 0.75  # share of the workers' time; a worker also idles while earlier results are awaited


@dataclass(frozen=True, slots=True)
class _Done(Generic[Result]):
    """The results of one job, and the processor time that it took."""

    results: list[Result]
    busy_seconds: float


class Mapper(Protocol):
    """A function that maps a function over items in order, as `map` does; it may use processes."""

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterable[Result]: ...


def map_ordered(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    what: str,
    dask: str = "",
    sizes: Sequence[int] | None = None,
) -> Iterator[Result]:
    """Yield function(item) for each item, in order. `function` and items must pickle.

    workers: number of processes; 0: one per core; 1: no other process.
    what: the name of what is counted in the progress lines, which report the rate and what limits it.
    dask: address of a scheduler; its cluster then does the work.
    sizes: for large items, such as shards: how much the lines count for each (its images). A job is then one item.
    """
    if not items:
        return
    with _pool(min(workers or os.cpu_count() or 1, len(items)), dask) as (pool, count, result_of):
        length = 1 if sizes or not pool else max(1, min(_MAX_CHUNK, len(items) // (count * _IN_FLIGHT)))
        jobs = [items[i : i + length] for i in range(0, len(items), length)]
        yield from _reported(_spread(function, jobs, pool, count, result_of), sizes or [*map(len, jobs)], count, what)


@contextmanager
def _pool(workers: int, dask: str) -> Iterator[tuple[Executor | None, int, cluster.ResultOf]]:
    """The executor (None: this process runs the jobs), how many jobs run at the same time, and a future's result."""
    if dask:
        with cluster.connect(dask) as remote:
            yield remote
    elif workers == 1:
        yield None, 1, Future.result
    else:
        context = multiprocessing.get_context("forkserver")  # fork is unsafe with threads, spawn takes more work
        stage_lives, stage = context.Pipe(duplex=False)  # no other process has the second end: it closes if this ends
        pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(stage_lives,))
        try:
            yield pool, workers, Future.result
        except BrokenProcessPool as error:
            problem = "the system ended a worker process, most often because memory ran out"
            raise UserError(f"{problem}; lower compute.workers in params.yaml and run `dvc repro` again") from error
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            stage.close()  # do not wait for the jobs in progress
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(stage_lives: Connection) -> None:
    """Ignore Ctrl-C, which a terminal sends to every process (the stage reports it), and end when the stage ends."""

    def end_with_stage() -> None:
        stage_lives.poll(None)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_stage, daemon=True).start()


def _spread(
    function: Callable[[Item], Result],
    jobs: Sequence[Sequence[Item]],
    pool: Executor | None,
    workers: int,
    result_of: cluster.ResultOf,
) -> Iterator[_Done[Result]]:
    if pool is None:
        yield from (_each(function, job) for job in jobs)
        return
    waiting: deque[Future[_Done[Result]]] = deque()
    for job in jobs:
        waiting.append(pool.submit(_each, function, job))
        if len(waiting) > workers * _IN_FLIGHT:
            yield result_of(waiting.popleft())
    while waiting:
        yield result_of(waiting.popleft())


def _each(function: Callable[[Item], Result], job: Sequence[Item]) -> _Done[Result]:
    before = time.process_time()
    results = [function(item) for item in job]
    return _Done(results, time.process_time() - before)


def _reported(jobs: Iterator[_Done[Result]], sizes: Sequence[int], workers: int, what: str) -> Iterator[Result]:
    start = last = time.monotonic()
    done, total, busy = 0, sum(sizes), 0.0
    for number, (job, size) in enumerate(zip(jobs, sizes, strict=True), 1):
        done, busy, now = done + size, busy + job.busy_seconds, time.monotonic()
        seconds = max(now - start, 1e-9)
        if number == len(sizes):
            logger.info(pace(total, what, seconds, min(1.0, busy / (seconds * workers))))
        elif now - last > _REPORT_SECONDS:
            last = now
            logger.info("%d of %d %s, %.1f per second", done, total, what, done / seconds)
        yield from job.results


def pace(count: int, what: str, seconds: float, busy: float) -> str:
    """A line on items per second and what limits them. busy: share of the workers' time spent computing, 0..1.

    >>> pace(90, "masks", 3.0, 0.9)
    '90 masks in 3.0 s, 30.0 per second; 90% of the time computing: limited by the processors'
    """
    limit = "the processors" if busy >= _BUSY else "reading, writing or other work"
    items = f"{count} {what}" if count != 1 else f"1 of 1 {what}"  # `what` is a plural
    rate = f"{items} in {seconds:.1f} s, {count / seconds:.1f} per second"
    return f"{rate}; {busy:.0%} of the time computing: limited by {limit}"
