"""Records of runs in .segpipe/tracking: for each run its id in each tracker, and the model that it trained."""

import itertools
import json
import logging
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from segpipe.core import files
from segpipe.tracking.naming import slug

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """One run and how to find it again."""

    run: str  # its name
    inputs: str = ""  # the hash of its inputs
    finished: bool = False
    model_md5: str = ""  # "" before there is a model
    order: int = 0  # its place in the order in which runs began
    token: str = ""  # unique among all runs of all machines
    ids: dict[str, str] = field(default_factory=dict)  # its id by tracker


class RunRecords:
    """The records in one folder, a JSON file per run. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def for_training(self, name: str, inputs: str, is_known: bool = False) -> RunRecord:
        """The unfinished run of these inputs, or else a new run named after `name` and `inputs`.

        is_known: the training has a checkpoint; then a finished run is continued too, because a kill may have come
        between its end and the end of the stage.
        """
        with self._lock:
            records = self._all()
            candidates = [record for record in records if record.inputs == inputs and (is_known or not record.finished)]
            if candidates:
                return candidates[-1]
            stem = f"{slug(name) or 'run'}-{slug(inputs)[:8]}"
            used = {record.run for record in records}
            names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
            run = next(name for name in names if name not in used)
            return self._write(RunRecord(run=run, inputs=inputs, order=len(records), token=uuid4().hex))

    def of_model(self, model_md5: str) -> RunRecord:
        """The newest run that trained this model, or else a new record, which is not written yet."""
        with self._lock:
            records = [record for record in self._all() if record.model_md5 == model_md5]
            return (
                records[-1] if records else RunRecord(run=f"model-{model_md5[:8]}", model_md5=model_md5, finished=True)
            )

    def set_id(self, record: RunRecord, tracker: str, run_id: str) -> None:
        """Store the run's id in a tracker."""
        with self._lock:
            record = self._newest(record)
            self._write(replace(record, ids=record.ids | {tracker: run_id}))

    def set_model(self, record: RunRecord, model_md5: str) -> None:
        """Store which model the run trained."""
        with self._lock:
            self._write(replace(self._newest(record), model_md5=model_md5))

    def set_finished(self, record: RunRecord) -> None:
        """Mark the run as finished: the next training of equal inputs is another run."""
        with self._lock:
            self._write(replace(self._newest(record), finished=True))

    def _newest(self, record: RunRecord) -> RunRecord:
        return self._read(self._path(record)) or record

    def _path(self, record: RunRecord) -> Path:
        return self.folder / f"{record.run}.json"

    def _all(self) -> list[RunRecord]:
        records = (self._read(path) for path in sorted(self.folder.glob("*.json")))
        return sorted((record for record in records if record), key=lambda record: record.order)

    def _read(self, path: Path) -> RunRecord | None:
        try:
            return RunRecord(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, record: RunRecord) -> RunRecord:
        path = self._path(record)
        try:
            files.write_json(path, asdict(record))
        except OSError as error:
            _log.warning("%s cannot be written (%s); a resumed training will be another run", path, error)
        return record
