"""Reading the next pictures while the network works on the last ones; memory stays at a few batches or one picture."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Waiting = tuple[Item, int, Future[Result]]  # an item, the pixels of its result, and the result when it is there
PIXELS_AHEAD = 32_000_000  # so many pixels may wait, or one picture of more: 128 MB with its label map


def read_ahead(
    items: Iterable[Item],
    read: Callable[[Item], Result],
    ahead: int,
    pixels_of: Callable[[Item], int] = lambda _: 0,
    threads: int = 2,
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, read(item)) in order, with at most `ahead` results read beyond the one in use.

    pixels_of: how large a result will be; no more than one is read ahead where more would exceed PIXELS_AHEAD. What
    read raises is raised here, when its item's turn comes.
    """
    with ThreadPoolExecutor(threads) as pool:
        rest = ((item, pixels_of(item)) for item in items)
        following = next(rest, None)
        waiting: deque[Waiting[Item, Result]] = deque()
        try:
            while waiting or following:
                while following and len(waiting) < max(1, ahead) and _has_room(waiting, following[1]):
                    waiting.append((*following, pool.submit(read, following[0])))
                    following = next(rest, None)
                yield _done(waiting.popleft())
        finally:
            for *_, future in waiting:
                future.cancel()


def _has_room(waiting: deque[Waiting[Item, Result]], pixels: int) -> bool:
    return not waiting or sum(size for _, size, _ in waiting) + pixels <= PIXELS_AHEAD


def _done(waiting: Waiting[Item, Result]) -> tuple[Item, Result]:
    item, _, future = waiting
    return item, future.result()


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
