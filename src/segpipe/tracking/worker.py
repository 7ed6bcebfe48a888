"""One tracker on a thread of its own: whatever it raises or however long it takes, the caller does not notice."""

import logging
import queue
import re
import threading
import time

from segpipe.tracking import messages
from segpipe.tracking.messages import End, File, Find, Message, Model, Picture, Spool, Start
from segpipe.tracking.run_ids import RunRecord, RunRecords
from segpipe.tracking.tracker import NoSuchRunError, Tracker

_log = logging.getLogger(__name__)
_TEXT = 200  # characters of an error that a warning shows
_SLOW_S = 2.0  # a failure that takes longer is not asked for again at the end: somebody waits
_THREADS = "tracking-"  # how the names of these threads begin
_GIVE_UP = 2  # failures in a row that mean "it is down", not "it refuses this one message"
_FILES = (File, Model, Picture)  # where these go may be out of order by itself: that means nothing

Entry = tuple[int, Message]


class Worker(threading.Thread):
    """Sends messages in order; those that fail wait in the spool and are tried again every `retry_s` seconds.

    A message that fails while its successor goes through is refused: it stays in the spool and is not tried again
    by this process. `ended` is set when all is done: Python 3.11 believes that a thread is dead once a signal has cut a
    `join` short (bpo-45274, Lib/threading.py).
    """

    def __init__(
        self, tracker: Tracker, first: Start | Find, spool: Spool, notes: RunRecords, note: RunRecord, retry_s: float
    ):
        super().__init__(name=f"{_THREADS}{tracker.name}", daemon=True)
        self._tracker, self._spool, self._notes, self._note = tracker, spool, notes, note
        self._retry_s = retry_s
        self._rest_until = 0.0
        self._slow = False
        self._warned = self._absent = False
        self._held: list[Entry] = self._left_over(first)
        self._inbox: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self.ended = threading.Event()
        logging.getLogger("urllib3.connectionpool").addFilter(_is_not_ours)

    def put(self, message: Message) -> None:
        """Take a message; returns at once."""
        self._inbox.put((self._spool.number(), message))

    def close(self) -> None:
        """No more messages: try once more what waits, unless that takes long, then end."""
        self._inbox.put(None)

    def run(self) -> None:
        """Send what comes until `close`."""
        try:
            self._send_all()
        finally:
            self.ended.set()

    def _send_all(self) -> None:
        self._round()
        while (entry := self._inbox.get()) is not None:
            if self._absent:
                continue
            self._held.append(entry)
            if time.monotonic() >= self._rest_until:
                self._round()
            else:
                self._keep([entry])
        if not self._slow:
            self._round()

    def give_up(self, waited_s: float) -> None:
        """Keep in the spool whatever has not been sent yet, this very moment's message included."""
        entries = list(self._held)
        while not self._inbox.empty():
            entry = self._inbox.get()
            entries += [entry] if entry else []
        self.close()
        self._keep(entries)
        self._warn(f"no answer in {waited_s:g} s")

    def _left_over(self, first: Start | Find) -> list[Entry]:
        """What an earlier process could not send, after `first`; if it could not even start the run, its Start."""
        older = self._spool.of(self._tracker.name)
        restart = isinstance(first, Find) and any(isinstance(message, Start) for _, message in older)
        outdated = (Find, End) if restart else (Find, End, Start)
        self._spool.drop({number for number, message in older if isinstance(message, outdated)})
        kept = [entry for entry in older if not isinstance(entry[1], outdated)]
        kept.sort(key=lambda entry: not isinstance(entry[1], Start))
        return kept if restart else [(self._spool.number(), first), *kept]

    def _round(self) -> None:
        """Send what is held, in order, until the tracker seems to be down."""
        sent: set[int] = set()
        failed: list[Entry] = []
        began = time.monotonic()
        while self._held and sum(not isinstance(message, _FILES) for _, message in failed) < _GIVE_UP:
            entry = self._held[0]
            if self._sent(entry):
                sent.add(entry[0])
                failed.clear()
            else:
                failed.append(entry)
            del self._held[:1]
            if failed and isinstance(entry[1], (Start, Find)):
                break
        if failed:
            self._held[:0] = failed
            self._rest_until = time.monotonic() + self._retry_s
            self._slow = self._rest_until - self._retry_s - began > _SLOW_S
        elif sent and self._warned:
            _log.info("tracking: %s answers again", self._tracker.name)
        self._keep(self._held)
        self._spool.drop(sent)

    def _sent(self, entry: Entry) -> bool:
        known_id = self._note.ids.get(self._tracker.name)
        try:
            run_id = messages.send(entry[1], self._tracker, known_id)
        except Exception as error:
            if isinstance(entry[1], Find) and isinstance(error, NoSuchRunError):
                return self._nobody_to_tell(error)
            self._keep([entry])
            self._warn(_short(error))
            return False
        if run_id is not None:
            self._notes.set_id(self._note, self._tracker.name, run_id)
        return True

    def _nobody_to_tell(self, error: Exception) -> bool:
        _log.warning("tracking: %s; nothing is added to %s", error, self._tracker.name)
        self._absent = True
        self._spool.drop({number for number, _ in self._held})
        self._held.clear()
        return True

    def _keep(self, entries: list[Entry]) -> None:
        try:
            for number, message in entries:
                self._spool.add(number, self._tracker.name, message)
        except OSError as error:
            _log.warning("tracking: %s cannot be written: %s", self._spool.path, error)

    def _warn(self, problem: str) -> None:
        if not self._warned:
            _log.warning(
                "tracking: %s at %s fails (%s); work goes on, what is not sent is kept in %s until it can be",
                *(self._tracker.name, _no_password(self._tracker.place), problem, self._spool.path),
            )
        self._warned = True


def _is_not_ours(record: logging.LogRecord) -> bool:
    """Leave out the line of each retry: the one warning of the failure says it all."""
    return not (record.threadName or "").startswith(_THREADS)


def _short(error: Exception) -> str:
    text = _no_password(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= _TEXT else text[: _TEXT - 3] + "..."


def _no_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)
