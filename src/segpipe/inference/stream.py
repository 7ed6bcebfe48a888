"""Reading the next pictures while the network works on the last ones; memory stays at a few batches."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Result], ahead: int, threads: int = 2
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, read(item)) in order, with at most `ahead` results read beyond the one in use.

    What read raises is raised here, when its item's turn comes.
    """
    with ThreadPoolExecutor(threads) as pool:
        rest = iter(items)
        waiting: deque[tuple[Item, Future[Result]]] = deque(
            (item, pool.submit(read, item)) for item in islice(rest, ahead)
        )
        try:
            while waiting:
                item, future = waiting.popleft()
                result = future.result()
                waiting.extend((following, pool.submit(read, following)) for following in islice(rest, 1))
                yield item, result
        finally:
            for _, future in waiting:
                future.cancel()


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
