"""The protocol of a tracker, and the facts about a run that every tracker receives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """The facts about a training that are known before its first epoch."""

    name: str  # short and readable, without path separators
    inputs: str  # hash of everything that decides the weights; it also names the checkpoint
    params: Mapping[str, Any] = field(default_factory=dict)  # nested settings, JSON values only
    tags: Mapping[str, str] = field(default_factory=dict)  # the versions of code and data
    classes: tuple[str, ...] = ()  # class names by class_index
    token: str = ""  # unique, chosen before any tracker is called: it finds a run whose start was interrupted


class NoSuchRunError(LookupError):
    """No run has trained this model, so nothing can be added to it."""


class Tracker(Protocol):
    """A place that stores runs. All calls come from one thread, in order; a call may raise or take long."""

    name: str
    place: str  # where a person finds the runs: a URI or a folder

    def start(self, run: RunFacts, known_id: str | None) -> str:
        """Begin the run, or continue run `known_id` if it still exists; return the run's id."""

    def find(self, model_md5: str, known_id: str | None) -> str:
        """Continue the run that trained this model; return its id. Raises NoSuchRunError if there is none."""

    def log_metrics(self, values: Mapping[str, float], step: int | None, time_ms: int) -> None:
        """Store numbers by name; step: epoch, None for final scores; time_ms: milliseconds since 1970."""

    def log_steps(self, curves: Mapping[str, Sequence[float]], first: int, time_ms: int) -> None:
        """Store curves by name, one number per training step from `first` on; NaN and infinity are left out."""

    def log_picture(self, path: Path, name: str, step: int, time_ms: int) -> None:
        """Show a PNG as the picture `name` at an epoch."""

    def log_file(self, path: Path, folder: str) -> None:
        """Store a file, or all files of a folder, under `folder` ("" is the top)."""

    def log_model(self, path: Path, md5: str) -> None:
        """Store the model file `path`, whose MD5 is `md5`."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set text tags by name."""

    def end(self, status: str) -> None:
        """Close the run; status: FINISHED, FAILED or KILLED."""
