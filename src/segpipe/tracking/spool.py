"""The file of what could not be sent to a tracker: nothing is lost, and the next start sends it."""

import itertools
import logging
import threading
from pathlib import Path

from segpipe.core import files
from segpipe.tracking import messages
from segpipe.tracking.messages import Message

_log = logging.getLogger(__name__)


class Spool:
    """JSON lines, one per unsent message and tracker, in the order they were meant to be sent.

    Safe to use from several threads. The file exists only while something is in it.
    """

    def __init__(self, path: Path) -> None:
        """Open the spool at `path` with what an earlier process left in it; a line cut short by a kill is dropped."""
        self.path = path
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._lines: dict[int, tuple[str, Message]] = {}
        self._absent: set[int] = set()
        if path.is_file():
            self._read()

    def number(self) -> int:
        """A new number to know a message by."""
        return next(self._numbers)

    def of(self, tracker: str) -> list[tuple[int, Message]]:
        """What waits for `tracker`, in order, with numbers."""
        with self._lock:
            return [(number, message) for number, (name, message) in self._lines.items() if name == tracker]

    def add(self, number: int, tracker: str, message: Message) -> None:
        """Keep a message, unless it is kept already or was dropped meanwhile. Raises OSError."""
        with self._lock:
            if number in self._lines or number in self._absent:
                return
            self._lines[number] = tracker, message
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(messages.to_line(tracker, message) + "\n")

    def drop(self, numbers: set[int]) -> None:
        """Forget messages that need not be kept (any more)."""
        with self._lock:
            self._absent |= numbers
            if not numbers & self._lines.keys():
                return
            self._lines = {number: line for number, line in self._lines.items() if number not in numbers}
            self._write()

    def _read(self) -> None:
        whole = True
        for line in filter(None, self.path.read_text(encoding="utf-8", errors="replace").split("\n")):
            try:
                self._lines[self.number()] = messages.from_line(line)
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("%s: a line cannot be read and is dropped (%s)", self.path, error)
                whole = False
        if not whole:
            self._write()

    def _write(self) -> None:
        lines = [messages.to_line(name, message) + "\n" for name, message in self._lines.values()]
        try:
            if lines:
                files.write_text(self.path, "".join(lines))
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:  # then it holds too much: better sent twice than not at all
            _log.warning("tracking: %s cannot be written: %s", self.path, error)
