"""A run in all trackers that are switched on: begun by a training, continued by the stages after it."""

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
from segpipe.tracking.messages import (
    End,
    File,
    Find,
    Message,
    Metrics,
    Model,
    Picture,
    Spool,
    Start,
    StepMetrics,
    Tags,
)
from segpipe.tracking.run_ids import RunRecord, RunRecords
from segpipe.tracking.settings import Tracking
from segpipe.tracking.tracker import RunFacts, Tracker
from segpipe.tracking.worker import Worker

_log = logging.getLogger(__name__)


_FOLDER = Path(".segpipe/tracking")  # for the records of runs and for unsent messages


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """Waiting times for trackers, in seconds."""

    end_s: float = 60.0  # at the end of a run, for unsent messages
    killed_s: float = 5.0  # the same after Ctrl-C or another signal: the user does not want to wait
    retry_s: float = 60.0  # pause after a failure


class Run:
    """A run in all its trackers. Only `end` waits for them, for a limited time; no method raises a tracker's error.

    As a context manager it ends the run: FINISHED, KILLED on a signal or exit, FAILED on any other exception.
    """

    def __init__(
        self,
        record: RunRecord,
        workers: list[Worker],
        records: RunRecords,
        classes: tuple[str, ...],
        timeouts: Timeouts,
    ) -> None:
        self.name = record.run
        self._record, self._workers, self._records, self._patience = record, workers, records, timeouts
        self._slug_of = naming.slugs(classes)

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wait_s = self._patience.end_s
        if kind is None:
            self.end("FINISHED", wait_s)
        elif issubclass(kind, Exception) and not issubclass(kind, StoppedError):
            self.end("FAILED", wait_s)
        else:
            self.end("KILLED", min(wait_s, self._patience.killed_s))

    def log_metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Store numbers, nested or flat; keys may be class names; step: epoch, None for final scores."""
        flat = naming.flat_metrics(values, self._slug_of)
        if flat:
            self._put(Metrics(values=flat, step=step, time_ms=_now_ms()))

    def log_steps(self, curves: Mapping[str, Sequence[float]], first: int) -> None:
        """Store curves by name, one number per training step from `first` on; steps stored before are not changed."""
        copies = {name: list(curve) for name, curve in curves.items()}
        self._put(StepMetrics(curves=copies, first=first, time_ms=_now_ms()))

    def log_picture(self, path: Path, name: str, step: int) -> None:
        """Show a PNG as the picture `name` at an epoch; the file must not change until `end`."""
        self._put(Picture(path=path.as_posix(), name=name, step=step, time_ms=_now_ms()))

    def log_file(self, path: Path, folder: str = "") -> None:
        """Store a file, or all files of a folder, under `folder`; it must not change until `end`."""
        if not path.exists():
            _log.warning("tracking: %s does not exist, so it is not stored with the run", path)
            return
        self._put(File(path=path.as_posix(), folder=folder))

    def log_model(self, path: Path) -> None:
        """Store the trained model; `open_trained` finds this run by its MD5. Raises OSError if it cannot be read."""
        md5 = provenance.md5_of(path)
        self._records.set_model(self._record, md5)
        self._put(Model(path=path.as_posix(), md5=md5))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set text tags by name."""
        self._put(Tags(tags=dict(tags)))

    def end(self, status: Literal["FINISHED", "FAILED", "KILLED"], wait_s: float) -> None:
        """Close the run; messages that are unsent after `wait_s` seconds go to the spool file."""
        if status == "FINISHED":
            self._records.set_finished(self._record)
        self._put(End(status=status))
        for worker in self._workers:
            worker.close()
        began = time.monotonic()
        try:
            for worker in self._workers:
                worker.ended.wait(max(0.0, began + wait_s - time.monotonic()))
        finally:  # a second Ctrl-C ends the waiting, and nothing is lost
            waited_s = min(wait_s, round(time.monotonic() - began, 1))
            for worker in self._workers:
                if not worker.ended.is_set():
                    worker.give_up(waited_s)

    def _put(self, message: Message) -> None:
        for worker in self._workers:
            worker.put(message)


def open_training(facts: RunFacts, settings: Tracking, is_known: bool = False, timeouts: Timeouts | None = None) -> Run:
    """Begin the run of a training, or continue the unfinished run of equal inputs.

    is_known: the training has a checkpoint; then a finished run is continued too.
    Raises UserError for a tracker that is switched on but not installed or not set up.
    """
    trackers = _trackers(settings)
    records = RunRecords(_FOLDER)
    record = records.for_training(facts.name, facts.inputs, is_known)
    start = Start(run=replace(facts, name=record.run, token=record.token))
    run = _run(trackers, start, records, record, facts.classes, timeouts or Timeouts())
    slugs = _FOLDER / record.run / "class_slugs.json"
    with contextlib.suppress(OSError):  # log_file then reports that the file does not exist
        files.write_json(slugs, naming.slugs(facts.classes))
    run.log_file(slugs)
    return run


def open_trained(model: Path, classes: tuple[str, ...], settings: Tracking) -> Run:
    """Continue the run that trained `model`; a tracker that does not have it logs a warning and stores nothing.

    classes: class names by class_index.
    Raises OSError if `model` cannot be read, and UserError as `open_training`.
    """
    trackers = _trackers(settings)
    records = RunRecords(_FOLDER)
    md5 = provenance.md5_of(model)
    return _run(trackers, Find(model_md5=md5), records, records.of_model(md5), classes, Timeouts())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _run(
    trackers: list[Tracker],
    first: Start | Find,
    records: RunRecords,
    record: RunRecord,
    classes: tuple[str, ...],
    timeouts: Timeouts,
) -> Run:
    spool = Spool(_FOLDER / f"{record.run}.jsonl")
    workers = [Worker(tracker, first, spool, records, record, timeouts.retry_s) for tracker in trackers]
    for worker in workers:
        worker.start()
    return Run(record, workers, records, classes, timeouts)


def _trackers(settings: Tracking) -> list[Tracker]:
    """The trackers that are switched on. Each library is imported here, in the caller's thread, only if it is used."""
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
