"""Ctrl-C and SIGTERM end a training between two of its steps, when its state is whole and can be saved."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
T = TypeVar("T")


class Stopped(Exception):  # noqa: N818  # nothing went wrong
    """Someone asked for the end; its text is the signal's name."""


class StopSignals:
    """A context manager in which the first signal is only noted; a second one ends the process as ever.

    Python tells signals to the main thread alone: in another one nothing is noted. agree: where several processes work
    together, makes one's flag everybody's; they also end when what launched them is gone.
    """

    def __init__(self, agree: Callable[[bool], bool] | None = None) -> None:
        self._noted: str | None = None
        self._agree, self._parent = agree, os.getppid()
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Raise Stopped if a signal came."""
        if self._agree is None and self._noted is None:
            return
        if self._agree is None or self._agree(self._noted is not None or os.getppid() != self._parent):
            raise Stopped(self._noted or "another process")

    def watched(self, items: Iterable[T]) -> Iterator[T]:
        """The items, until a signal comes: then Stopped is raised instead of giving the next one."""
        for item in items:
            self.check()
            yield item

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = signal.Signals(number).name
        for each in _SIGNALS:
            signal.signal(each, self._before[each])
