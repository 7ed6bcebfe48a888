"""One function mapped over images by local processes; results come in order, whatever the number of workers."""

import logging
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)
_REPORT_SECONDS = 15.0
_IN_FLIGHT = 4  # chunks a worker may have waiting: bounds memory, hides uneven items
_MAX_CHUNK = 16


def ordered(function: Callable[[Item], Result], items: Sequence[Item], workers: int, what: str) -> Iterator[Result]:
    """Yield function(item) for each item, in order. workers: processes; 0 means one for each core; 1 runs here.

    function and items must pickle; what names the items in the progress lines, which tell items a second.
    """
    workers = min(workers or os.cpu_count() or 1, max(1, len(items)))
    results = map(function, items) if workers == 1 else _spread(function, items, workers)
    yield from _reported(results, len(items), what)


def _spread(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    size = max(1, min(_MAX_CHUNK, len(items) // (workers * _IN_FLIGHT)))
    chunks = [items[i : i + size] for i in range(0, len(items), size)]
    # fork is unsafe beside threads and spawn starts slowly; forkserver is neither
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[list[Result]]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(_each, function, chunk))
            if len(waiting) > workers * _IN_FLIGHT:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _each(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def _reported(results: Iterator[Result], total: int, what: str) -> Iterator[Result]:
    start = last = time.monotonic()
    for done, result in enumerate(results, start=1):
        yield result
        now = time.monotonic()
        if now - last > _REPORT_SECONDS and done < total:
            last = now
            logger.info("%d of %d %s, %.1f a second", done, total, what, done / (now - start))
    seconds = max(time.monotonic() - start, 1e-9)
    logger.info("%d %s in %.1f s, %.1f a second", total, what, seconds, total / seconds)
