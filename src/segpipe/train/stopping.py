"""The end of a training before its last epoch: by a signal (Ctrl-C, SIGTERM) or by the time budget."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MARGIN = 1.2  # a validation or a checkpoint may take longer than the last one by this factor
_VALIDATION_SHARE = 0.5  # first guess: validation of an image takes this share of its training time
T = TypeVar("T")


class StopRequested(Exception):  # noqa: N818  # a request, not an error
    """A signal asks for the end of the training. The text is the name of the signal."""


class StopSignals:
    """A context manager that turns the first SIGINT or SIGTERM into StopRequested between two steps.

    The state of a training is complete between two steps and can be saved. A second signal has its usual effect.
    Python delivers signals to the main thread only: in another thread this class does nothing.
    agree: a function that makes the flag of one process the flag of all (Group.any). With it, the training also stops
    when the process that launched it has ended.
    """

    def __init__(self, agree: Callable[[bool], bool] | None = None) -> None:
        self._received: str | None = None
        self._agree, self._parent = agree, os.getppid()
        self._handlers_before: dict[int, Any] = {}

    def check(self) -> None:
        """Raise StopRequested if a signal was received."""
        if self._agree is None and self._received is None:
            return
        if self._agree is None or self._agree(self._received is not None or os.getppid() != self._parent):
            raise StopRequested(self._received or "another process")

    def checked(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, and raise StopRequested instead of the next item after a signal."""
        for item in items:
            self.check()
            yield item

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self._handlers_before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        self._handlers_before = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number).name
        for each in _SIGNALS:
            signal.signal(each, self._handlers_before[each])


class Budget:
    """The wall-clock time that a training may use, with time reserved for a last validation and a last checkpoint.

    limit: seconds, None for no limit; used: seconds of earlier processes; validation, saving: seconds of the last
    validation and the last checkpoint, 0 before the first; clock: returns seconds that only rise.

    >>> Budget(100, used=80, validation=10, clock=lambda: 0.0).is_spent()    # 80 + 1.2 * 10 < 100
    False
    >>> Budget(100, used=90, validation=10, clock=lambda: 0.0).is_spent()
    True
    """

    def __init__(
        self,
        limit: float | None,
        used: float = 0.0,
        validation: float = 0.0,
        saving: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.validation, self.saving = validation, saving
        self._used_before = used
        self._clock, self._start = clock, clock()

    @property
    def used(self) -> float:
        """Seconds used by this process and the earlier ones."""
        return self._used_before + self._clock() - self._start

    def guess_validation(self, seconds_per_image: float, images: int) -> None:
        """Estimate the time of the first validation from the training steps."""
        self.validation = _VALIDATION_SHARE * seconds_per_image * images

    def is_spent(self) -> bool:
        """Whether the training has to stop now, so that a validation and a checkpoint still fit into the limit."""
        return self.limit is not None and self.used + _MARGIN * (self.validation + self.saving) >= self.limit
