"""What trackers are told, as records that can wait in a queue or in the spool, the file of what is not sent yet."""

import itertools
import json
import logging
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segpipe.core import files
from segpipe.tracking.tracker import RunFacts, Tracker

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A training begins or goes on."""

    run: RunFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class Find:
    """More is to come about the run that trained this model."""

    model_md5: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """Numbers by name, at an epoch or (None) final; time_ms: when, in milliseconds since 1970."""

    values: Mapping[str, float]
    step: int | None
    time_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StepMetrics:
    """A number for each training step from `first` on, by name."""

    curves: Mapping[str, Sequence[float]]
    first: int
    time_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A PNG to show as the picture `name` at an epoch."""

    path: str
    name: str
    step: int
    time_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file or folder to keep under `folder`."""

    path: str
    folder: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The trained model."""

    path: str
    md5: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    """Text by name."""

    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """The training is over."""

    status: str


Message = Start | Find | Metrics | StepMetrics | Picture | File | Model | Tags | End
_KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (Start, Find, Metrics, StepMetrics, Picture, File, Model, Tags, End)
}


def send(message: Message, tracker: Tracker, known_id: str | None) -> str | None:
    """Tell `tracker`; returns the run's id where the message begins or finds a run. Raises what the tracker raises."""
    match message:
        case Start():
            return tracker.start(message.run, known_id)
        case Find():
            return tracker.find(message.model_md5, known_id)
        case Metrics():
            tracker.log_metrics(message.values, message.step, message.time_ms)
        case StepMetrics():
            tracker.log_steps(message.curves, message.first, message.time_ms)
        case Picture():
            tracker.log_picture(Path(message.path), message.name, message.step, message.time_ms)
        case File():
            tracker.log_file(Path(message.path), message.folder)
        case Model():
            tracker.log_model(Path(message.path), message.md5)
        case Tags():
            tracker.set_tags(message.tags)
        case End():
            tracker.end(message.status)
    return None


def to_line(tracker: str, message: Message) -> str:
    """One line of ASCII JSON; a number that JSON has no word for is written as text ("nan", "inf")."""
    document = {"tracker": tracker, "kind": type(message).__name__, **asdict(message)}
    if isinstance(message, Metrics):
        document["values"] = {name: _word(value) for name, value in message.values.items()}
    if isinstance(message, StepMetrics):
        document["curves"] = {name: [_word(value) for value in curve] for name, curve in message.curves.items()}
    return json.dumps(document, allow_nan=False)


def from_line(line: str) -> tuple[str, Message]:
    """Read what `to_line` wrote: the tracker's name and the message. Raises ValueError, KeyError, TypeError."""
    document: dict[str, Any] = json.loads(line)
    tracker, kind = document.pop("tracker"), document.pop("kind")
    if kind == "Metrics":
        document["values"] = {name: float(value) for name, value in document["values"].items()}
    if kind == "StepMetrics":
        document["curves"] = {name: [float(value) for value in curve] for name, curve in document["curves"].items()}
    if kind == "Start":
        run = document["run"]
        document["run"] = RunFacts(**run | {"classes": tuple(run["classes"])})
    return tracker, _KINDS[kind](**document)


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
                file.write(to_line(tracker, message) + "\n")

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
                self._lines[self.number()] = from_line(line)
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("%s: a line cannot be read and is dropped (%s)", self.path, error)
                whole = False
        if not whole:
            self._write()

    def _write(self) -> None:
        lines = [to_line(name, message) + "\n" for name, message in self._lines.values()]
        try:
            if lines:
                files.write_text(self.path, "".join(lines))
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:  # then it holds too much: better sent twice than not at all
            _log.warning("tracking: %s cannot be written: %s", self.path, error)


def _word(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
