"""Messages to trackers, and the spool: the file of messages that could not be sent yet."""

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
    """A training begins or continues."""

    run: RunFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class Find:
    """The following messages belong to the run that trained this model."""

    model_md5: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """Numbers by name, at an epoch or (step None) final; time_ms: milliseconds since 1970, as below."""

    values: Mapping[str, float]
    step: int | None
    time_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StepMetrics:
    """Curves by name: one number for each training step from `first` on."""

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
    """A file or folder to store under `folder`."""

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
    """Send a message to `tracker`; return the run's id if the message begins or finds a run.

    Errors of the tracker are not caught.
    """
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
    """One line of ASCII JSON; NaN and infinity, which JSON does not have, are written as text.

    >>> to_line("mlflow", Metrics(values={"loss": math.nan}, step=1, time_ms=0))
    '{"tracker": "mlflow", "kind": "Metrics", "values": {"loss": "nan"}, "step": 1, "time_ms": 0}'
    """
    document = {"tracker": tracker, "kind": type(message).__name__, **asdict(message)}
    if isinstance(message, Metrics):
        document["values"] = {name: _as_json(value) for name, value in message.values.items()}
    if isinstance(message, StepMetrics):
        document["curves"] = {name: [_as_json(value) for value in curve] for name, curve in message.curves.items()}
    return json.dumps(document, allow_nan=False)


def from_line(line: str) -> tuple[str, Message]:
    """Read a line of `to_line`: the tracker's name and the message. Raises ValueError, KeyError or TypeError."""
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


def _as_json(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


class Spool:
    """A file of JSON lines, one per unsent message and tracker, in the order of sending; the next start sends them.

    Safe to use from several threads. The file exists only while it has lines.
    """

    def __init__(self, path: Path) -> None:
        """Open the spool at `path` with the lines of an earlier process; a line cut short by a kill is dropped."""
        self.path = path
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._lines: dict[int, tuple[str, Message]] = {}
        self._dropped: set[int] = set()
        if path.is_file():
            self._read()

    def number(self) -> int:
        """A new number, which identifies a message."""
        return next(self._numbers)

    def of(self, tracker: str) -> list[tuple[int, Message]]:
        """The numbered messages that wait for `tracker`, in order."""
        with self._lock:
            return [(number, message) for number, (name, message) in self._lines.items() if name == tracker]

    def add(self, number: int, tracker: str, message: Message) -> None:
        """Write a message, unless its number is in the file already or was dropped. Raises OSError."""
        with self._lock:
            if number in self._lines or number in self._dropped:
                return
            self._lines[number] = tracker, message
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(to_line(tracker, message) + "\n")

    def drop(self, numbers: set[int]) -> None:
        """Remove messages, and refuse to write them later."""
        with self._lock:
            self._dropped |= numbers
            if not numbers & self._lines.keys():
                return
            self._lines = {number: line for number, line in self._lines.items() if number not in numbers}
            self._write()

    def _read(self) -> None:
        is_complete = True
        for line in filter(None, self.path.read_text(encoding="utf-8", errors="replace").split("\n")):
            try:
                self._lines[self.number()] = from_line(line)
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("%s: a line cannot be read and is dropped (%s)", self.path, error)
                is_complete = False
        if not is_complete:
            self._write()

    def _write(self) -> None:
        lines = [to_line(name, message) + "\n" for name, message in self._lines.values()]
        try:
            if lines:
                files.write_text(self.path, "".join(lines))
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:  # then the file has messages that were sent: to send them twice is better than never
            _log.warning("tracking: %s cannot be written: %s", self.path, error)
