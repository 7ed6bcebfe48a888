"""Reading of the next images while the network works on the last ones, with limited memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Waiting = tuple[Item, int, Future[Result]]  # an item, the pixels of its result, and the result
PIXELS_AHEAD = 32_000_000  # pixels of the results that wait: 128 MB with label maps; a larger image waits alone


def read_ahead(
    items: Iterable[Item],
    read: Callable[[Item], Result],
    ahead: int,
    pixels_of: Callable[[Item], int] = lambda _: 0,
    threads: int = 2,
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, read(item)) in order, with at most `ahead` results read beyond the one in use.

    pixels_of: the size of an item's result; only one result is read ahead where more would exceed PIXELS_AHEAD.
    An error of `read` is raised at its item.

    >>> list(read_ahead([1, 2, 3], lambda n: n * n, ahead=2))
    [(1, 1), (2, 4), (3, 9)]
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
    """Yield lists of `size` items; the last list may be shorter.

    >>> list(in_batches("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
