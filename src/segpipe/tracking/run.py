"""Begin a run or go on with one, in all trackers that are switched on at once."""

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from segpipe.core import files
from segpipe.core.errors import StoppedError
from segpipe.tracking import naming, provenance
from segpipe.tracking.messages import End, File, Find, Message, Metrics, Model, Picture, Spool, Start, StepMetrics, Tags
from segpipe.tracking.run_ids import RunRecord, RunRecords
from segpipe.tracking.tracker import RunFacts, Tracker
from segpipe.tracking.worker import Worker

_log = logging.getLogger(__name__)
_WAIT_KILLED_S = 5.0  # who presses Ctrl-C does not want to wait


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingSettings:
    """Which trackers are on, and how patient to be with them.

    experiment: the name under which runs are grouped; wait_s: how long the end of a run waits for what is still to
    be sent; retry_s: pause after a failure; folder: notes on runs and what could not be sent.
    """

    experiment: str
    mlflow: bool = True
    tensorboard: bool = False
    wandb: Literal["off", "offline", "online"] = "off"
    wait_s: float = 60.0
    retry_s: float = 60.0
    folder: Path = Path(".segpipe/tracking")


class Run:
    """A run in all its trackers. No method waits for a tracker or raises what one raises; only `end` waits, for a
    bounded time.

    As a context manager it ends the run: FINISHED, KILLED on a signal or exit, FAILED on any other exception.
    """

    def __init__(
        self, note: RunRecord, workers: list[Worker], notes: RunRecords, classes: tuple[str, ...], wait_s: float
    ) -> None:
        self.name = note.run
        self._note, self._workers, self._notes, self._wait_s = note, workers, notes, wait_s
        self._slug_of = naming.slugs(classes)

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.end("FINISHED", self._wait_s)
        elif issubclass(kind, Exception) and not issubclass(kind, StoppedError):
            self.end("FAILED", self._wait_s)
        else:
            self.end("KILLED", min(self._wait_s, _WAIT_KILLED_S))

    def log_metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Keep numbers, nested or flat, class names as keys welcome; step: epoch, None for final scores."""
        flat = naming.flat_metrics(values, self._slug_of)
        if flat:
            self._put(Metrics(values=flat, step=step, time_ms=_now_ms()))

    def log_steps(self, curves: Mapping[str, Sequence[float]], first: int) -> None:
        """Keep curves by name, a number for each training step from `first` on; steps told before change nothing."""
        self._put(
            StepMetrics(curves={name: list(curve) for name, curve in curves.items()}, first=first, time_ms=_now_ms())
        )

    def log_picture(self, path: Path, name: str, step: int) -> None:
        """Show a PNG as the picture `name` at that epoch; the file must stay as it is until `end`."""
        self._put(Picture(path=path.as_posix(), name=name, step=step, time_ms=_now_ms()))

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keep a file, or all files of a folder, under `folder`; it must stay as it is until `end`."""
        if not path.exists():
            _log.warning("tracking: %s is not there, so no run can keep it", path)
            return
        self._put(File(path=path.as_posix(), folder=folder))

    def log_model(self, path: Path) -> None:
        """Keep the trained model; by its MD5 `open_trained` finds this run again. Raises OSError if unreadable."""
        md5 = provenance.md5_of(path)
        self._notes.set_model(self._note, md5)
        self._put(Model(path=path.as_posix(), md5=md5))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set text tags by name."""
        self._put(Tags(tags=dict(tags)))

    def end(self, status: Literal["FINISHED", "FAILED", "KILLED"], wait_s: float) -> None:
        """Close the run; after `wait_s` seconds what is not sent yet goes to the spool file."""
        if status == "FINISHED":
            self._notes.set_finished(self._note)
        self._put(End(status=status))
        for worker in self._workers:
            worker.close()
        began = time.monotonic()
        try:
            for worker in self._workers:
                worker.ended.wait(max(0.0, began + wait_s - time.monotonic()))
        finally:  # a second Ctrl-C ends the wait, and loses nothing
            waited_s = min(wait_s, round(time.monotonic() - began, 1))
            for worker in self._workers:
                if not worker.ended.is_set():
                    worker.give_up(waited_s)

    def _put(self, message: Message) -> None:
        for worker in self._workers:
            worker.put(message)


def open_training(facts: RunFacts, settings: TrackingSettings, is_known: bool = False) -> Run:
    """Begin the run of a training, or go on with the unfinished run of the same inputs.

    is_known: the training has begun before (it has a checkpoint), so a finished run is gone on with as well. Raises
    UserError if a tracker is asked for that is not installed or not set up.
    """
    trackers = _trackers(settings)
    notes = RunRecords(settings.folder)
    note = notes.for_training(facts.name, facts.inputs, is_known)
    start = Start(run=replace(facts, name=note.run, token=note.token))
    run = _run(trackers, start, notes, note, facts.classes, settings)
    slugs = settings.folder / note.run / "class_slugs.json"
    with contextlib.suppress(OSError):  # log_file says that it is not there
        files.write_json(slugs, naming.slugs(facts.classes))
    run.log_file(slugs)
    return run


def open_trained(model: Path, classes: tuple[str, ...], settings: TrackingSettings) -> Run:
    """Go on with the run that trained `model`; a tracker without one says so and takes nothing.

    classes: class names by class_index. Raises OSError if `model` cannot be read, and UserError as `open_training`.
    """
    trackers = _trackers(settings)
    notes = RunRecords(settings.folder)
    md5 = provenance.md5_of(model)
    return _run(trackers, Find(model_md5=md5), notes, notes.of_model(md5), classes, settings)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _run(
    trackers: list[Tracker],
    first: Start | Find,
    notes: RunRecords,
    note: RunRecord,
    classes: tuple[str, ...],
    settings: TrackingSettings,
) -> Run:
    spool = Spool(settings.folder / f"{note.run}.jsonl")
    workers = [Worker(tracker, first, spool, notes, note, settings.retry_s) for tracker in trackers]
    for worker in workers:
        worker.start()
    return Run(note, workers, notes, classes, settings.wait_s)


def _trackers(settings: TrackingSettings) -> list[Tracker]:
    """The trackers that are on. Each library is imported here, on the caller's thread, and only if it is used."""
    trackers: list[Tracker] = []
    if settings.mlflow:
        from segpipe.tracking import mlflow_setup

        mlflow_setup.prepare()
        from segpipe.tracking.mlflow_tracker import MlflowTracker

        trackers.append(MlflowTracker(settings.experiment))
    if settings.tensorboard:
        from segpipe.tracking.tensorboard_tracker import TensorBoardTracker

        trackers.append(TensorBoardTracker(Path("runs")))
    if settings.wandb != "off":
        from segpipe.tracking.wandb_tracker import WandbTracker

        trackers.append(WandbTracker(settings.experiment, settings.wandb))
    return trackers
