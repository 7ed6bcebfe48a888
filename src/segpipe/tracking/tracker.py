"""What a tracker is, and what it is told about a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """What is known of a training before its first epoch.

    name: short and readable, no path separators; inputs: the hash that names the checkpoint; params: nested
    settings, JSON values only; tags: where code and data come from; classes: class names by class_index; token: known
    before any tracker is told of the run, so that one which was killed meanwhile is found again.
    """

    name: str
    inputs: str
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    token: str = ""


class NoSuchRunError(LookupError):
    """No run has trained this model: there is nothing to add to."""


class Tracker(Protocol):
    """One place that keeps runs. Calls come from one thread, in order; any of them may raise or take its time."""

    name: str
    place: str  # where the runs are kept, as a person would look for them

    def start(self, run: RunFacts, known_id: str | None) -> str:
        """Begin the run, or go on with run `known_id` if it is still there; returns the run's id."""

    def find(self, model_md5: str, known_id: str | None) -> str:
        """Go on with the run that trained this model; returns its id. Raises NoSuchRunError if there is none."""

    def log_metrics(self, values: Mapping[str, float], step: int | None, time_ms: int) -> None:
        """Keep numbers by name; step: epoch, None for final ones; time_ms: milliseconds since 1970."""

    def log_steps(self, curves: Mapping[str, Sequence[float]], first: int, time_ms: int) -> None:
        """Keep curves by name, a number for each training step from `first` on; what is not finite is left out."""

    def log_picture(self, path: Path, name: str, step: int, time_ms: int) -> None:
        """Show a PNG as the picture `name` at that epoch."""

    def log_file(self, path: Path, folder: str) -> None:
        """Keep a file, or all files of a folder, under `folder` ("" is the top)."""

    def log_model(self, path: Path, md5: str) -> None:
        """Keep the model file `path`, whose MD5 is `md5`."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set text tags by name."""

    def end(self, status: str) -> None:
        """Close the run; status: FINISHED, FAILED or KILLED."""
