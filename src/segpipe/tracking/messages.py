"""What trackers are told, as records that can wait in a queue or in a file."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segpipe.tracking.tracker import RunFacts, Tracker


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
class Steps:
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


Message = Start | Find | Metrics | Steps | Picture | File | Model | Tags | End
_KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (Start, Find, Metrics, Steps, Picture, File, Model, Tags, End)
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
        case Steps():
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
    if isinstance(message, Steps):
        document["curves"] = {name: [_word(value) for value in curve] for name, curve in message.curves.items()}
    return json.dumps(document, allow_nan=False)


def from_line(line: str) -> tuple[str, Message]:
    """Read what `to_line` wrote: the tracker's name and the message. Raises ValueError, KeyError, TypeError."""
    document: dict[str, Any] = json.loads(line)
    tracker, kind = document.pop("tracker"), document.pop("kind")
    if kind == "Metrics":
        document["values"] = {name: float(value) for name, value in document["values"].items()}
    if kind == "Steps":
        document["curves"] = {name: [float(value) for value in curve] for name, curve in document["curves"].items()}
    if kind == "Start":
        run = document["run"]
        document["run"] = RunFacts(**run | {"classes": tuple(run["classes"])})
    return tracker, _KINDS[kind](**document)


def _word(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
