"""What is remembered of each run beside the checkpoints: its id in each tracker, and its model."""

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
    """One run: its name, the hash of its inputs, its model's MD5 ("" before there is one), its id in each tracker.

    token: a name for it that no other run has, wherever it is kept.
    """

    run: str
    inputs: str = ""
    finished: bool = False
    model_md5: str = ""
    order: int = 0
    token: str = ""
    ids: dict[str, str] = field(default_factory=dict)


class RunRecords:
    """The notes in one folder, a JSON file per run. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def for_training(self, name: str, inputs: str, is_known: bool = False) -> RunRecord:
        """The unfinished run of these inputs, to go on with it, or a new one named after `name` and `inputs`.

        is_known: the training has begun before; then its run may be finished, and a kill came before anybody knew.
        """
        with self._lock:
            notes = self._all()
            going = [note for note in notes if note.inputs == inputs and (is_known or not note.finished)]
            if going:
                return going[-1]
            stem = f"{slug(name) or 'run'}-{slug(inputs)[:8]}"
            taken = {note.run for note in notes}
            names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
            run = next(name for name in names if name not in taken)
            return self._write(RunRecord(run=run, inputs=inputs, order=len(notes), token=uuid4().hex))

    def of_model(self, model_md5: str) -> RunRecord:
        """The newest run that trained this model, or a note of its own where none did."""
        with self._lock:
            found = [note for note in self._all() if note.model_md5 == model_md5]
            return found[-1] if found else RunRecord(run=f"model-{model_md5[:8]}", model_md5=model_md5, finished=True)

    def set_id(self, note: RunRecord, tracker: str, run_id: str) -> None:
        """Remember the run's id in a tracker."""
        with self._lock:
            note = self._newest(note)
            self._write(replace(note, ids=note.ids | {tracker: run_id}))

    def set_model(self, note: RunRecord, model_md5: str) -> None:
        """Remember which model the run trained."""
        with self._lock:
            self._write(replace(self._newest(note), model_md5=model_md5))

    def set_finished(self, note: RunRecord) -> None:
        """Remember that the next training of the same inputs is another run."""
        with self._lock:
            self._write(replace(self._newest(note), finished=True))

    def _newest(self, note: RunRecord) -> RunRecord:
        return self._read(self._path(note)) or note

    def _path(self, note: RunRecord) -> Path:
        return self.folder / f"{note.run}.json"

    def _all(self) -> list[RunRecord]:
        found = (self._read(path) for path in sorted(self.folder.glob("*.json")))
        return sorted((note for note in found if note), key=lambda note: note.order)

    def _read(self, path: Path) -> RunRecord | None:
        try:
            return RunRecord(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, note: RunRecord) -> RunRecord:
        try:
            files.write_json(self._path(note), asdict(note))
        except OSError as error:
            _log.warning("%s cannot be written (%s); a resumed training will be another run", self._path(note), error)
        return note
