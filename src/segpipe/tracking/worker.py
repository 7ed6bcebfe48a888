"""A thread for each tracker: the caller neither waits for the tracker nor gets its errors.

Written by hand because the queue of MLflow's asynchronous logging is in memory only: a kill, or a server that is down
when the process ends, loses it. Here a message that cannot be sent is written to the spool file, and sent later.
"""

import logging
import queue
import re
import threading
import time
from collections.abc import Callable

from segpipe.tracking import messages
from segpipe.tracking.messages import End, File, Find, Message, Model, Picture, Spool, Start
from segpipe.tracking.run_ids import RunRecord, RunRecords
from segpipe.tracking.tracker import NoSuchRunError, Tracker

_log = logging.getLogger(__name__)
_MAX_ERROR = 200  # characters of an error that a warning shows
_THREADS = "tracking-"  # prefix of the names of these threads
_GIVE_UP = 2  # failures in a row that mean "the tracker is down", not "it refuses this message"
_FILES = (File, Model, Picture)  # the store of files may fail while the tracker works: these failures do not count

Entry = tuple[int, Message]


class Worker(threading.Thread):
    """A thread that sends messages in order; unsent ones are in the spool and are tried again every `retry_s` seconds.

    A message that fails while the next one succeeds is refused: it stays in the spool, and this process does not try
    it again. `ended` is set when the thread is done: after a signal interrupted `join`, Python 3.11 reports a running
    thread as dead (bpo-45274, Lib/threading.py).
    """

    def __init__(
        self,
        tracker: Tracker,
        first: Start | Find,
        spool: Spool,
        records: RunRecords,
        record: RunRecord,
        retry_s: float,
        *,
        slow_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        """slow_s: `close` does not repeat a round of failures that took longer than this; clock: time in seconds."""
        super().__init__(name=f"{_THREADS}{tracker.name}", daemon=True)
        self._tracker, self._spool, self._records, self._record = tracker, spool, records, record
        self._retry_s, self._slow_s, self._clock = retry_s, slow_s, clock
        self._pause_until = clock()
        self._is_slow = self._is_warned = self._has_no_run = False
        self._unsent: list[Entry] = self._left_over(first)
        self._inbox: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self.ended = threading.Event()
        logging.getLogger("urllib3.connectionpool").addFilter(_is_of_another_thread)

    def put(self, message: Message) -> None:
        """Queue a message; returns immediately."""
        self._inbox.put((self._spool.number(), message))

    def close(self) -> None:
        """End the thread after the queued messages and one more attempt at unsent ones, if attempts are not slow."""
        self._inbox.put(None)

    def run(self) -> None:
        """Send queued messages until `close`."""
        try:
            self._send_all()
        finally:
            self.ended.set()

    def _send_all(self) -> None:
        self._send_unsent()
        while (entry := self._inbox.get()) is not None:
            if self._has_no_run:
                continue
            self._unsent.append(entry)
            if self._clock() >= self._pause_until:
                self._send_unsent()
            else:
                self._spool_all([entry])
        if not self._is_slow:
            self._send_unsent()

    def give_up(self, waited_s: float) -> None:
        """Write every unsent message to the spool, also the one that is being sent now; end the thread."""
        entries = list(self._unsent)
        while not self._inbox.empty():
            entry = self._inbox.get()
            entries += [entry] if entry else []
        self.close()
        self._spool_all(entries)
        self._warn(f"no answer in {waited_s:g} s")

    def _left_over(self, first: Start | Find) -> list[Entry]:
        """`first`, then the unsent messages of an earlier process; if it could not start the run, only its messages."""
        older = self._spool.of(self._tracker.name)
        has_start = isinstance(first, Find) and any(isinstance(message, Start) for _, message in older)
        outdated = (Find, End) if has_start else (Find, End, Start)
        self._spool.drop({number for number, message in older if isinstance(message, outdated)})
        left_over = [entry for entry in older if not isinstance(entry[1], outdated)]
        left_over.sort(key=lambda entry: not isinstance(entry[1], Start))
        return left_over if has_start else [(self._spool.number(), first), *left_over]

    def _send_unsent(self) -> None:
        """Send the unsent messages in order, until the tracker seems to be down."""
        sent: set[int] = set()
        failed: list[Entry] = []
        began = self._clock()
        while self._unsent and sum(not isinstance(message, _FILES) for _, message in failed) < _GIVE_UP:
            entry = self._unsent[0]
            if self._try(entry):
                sent.add(entry[0])
                failed.clear()
            else:
                failed.append(entry)
            del self._unsent[:1]
            if failed and isinstance(entry[1], (Start, Find)):
                break
        if failed:
            self._unsent[:0] = failed
            now = self._clock()
            self._pause_until, self._is_slow = now + self._retry_s, now - began > self._slow_s
        elif sent and self._is_warned:
            _log.info("tracking: %s answers again", self._tracker.name)
        self._spool_all(self._unsent)
        self._spool.drop(sent)

    def _try(self, entry: Entry) -> bool:
        known_id = self._record.ids.get(self._tracker.name)
        try:
            run_id = messages.send(entry[1], self._tracker, known_id)
        except Exception as error:
            if isinstance(entry[1], Find) and isinstance(error, NoSuchRunError):
                self._drop_all(error)
                return True
            self._spool_all([entry])
            self._warn(_short(error))
            return False
        if run_id is not None:
            self._records.set_id(self._record, self._tracker.name, run_id)
        return True

    def _drop_all(self, error: NoSuchRunError) -> None:
        _log.warning("tracking: %s; nothing is added to %s", error, self._tracker.name)
        self._has_no_run = True
        self._spool.drop({number for number, _ in self._unsent})
        self._unsent.clear()

    def _spool_all(self, entries: list[Entry]) -> None:
        try:
            for number, message in entries:
                self._spool.add(number, self._tracker.name, message)
        except OSError as error:
            _log.warning("tracking: %s cannot be written: %s", self._spool.path, error)

    def _warn(self, problem: str) -> None:
        if not self._is_warned:
            _log.warning(
                "tracking: %s at %s fails (%s); the run goes on; unsent data is in %s and will be sent later",
                *(self._tracker.name, _no_password(self._tracker.place), problem, self._spool.path),
            )
        self._is_warned = True


def _is_of_another_thread(record: logging.LogRecord) -> bool:
    """Filter out urllib3's line for each retry: the one warning of the failure is enough."""
    return not (record.threadName or "").startswith(_THREADS)


def _short(error: Exception) -> str:
    text = _no_password(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= _MAX_ERROR else text[: _MAX_ERROR - 3] + "..."


def _no_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)
