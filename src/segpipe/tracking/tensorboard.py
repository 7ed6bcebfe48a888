"""Runs as TensorBoard event files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    SCALARS,
    EventAccumulator,
)
from torch.utils.tensorboard import SummaryWriter

from segpipe.tracking.interface import NoSuchRunError, RunFacts
from segpipe.tracking.names import flat_params


class TensorBoardTracker:
    """One folder of event files per run; the run's id is that folder."""

    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        """folder: where the runs' folders are."""
        self.place = folder.as_posix()
        self._folder = folder
        self._last_steps: dict[str, int] = {}

    def start(self, run: RunFacts, known_id: str | None) -> str:
        """Begin the run, or go on with the folder `known_id` after the steps it has already."""
        folder = Path(known_id) if known_id else self._folder / run.name
        self._last_steps = last_steps(folder) if folder.is_dir() else {}
        self._open(folder)
        if not self._last_steps:
            rows = "".join(f"| {name} | {text} |\n" for name, text in flat_params(run.params).items())
            self._writer.add_text("params", f"| param | value |\n|---|---|\n{rows}")
        self.set_tags(run.tags)
        return folder.as_posix()

    def find(self, model_md5: str, known_id: str | None) -> str:
        """Go on with the folder of the run."""
        if not known_id or not Path(known_id).is_dir():
            raise NoSuchRunError(f"{self.place} has no run that trained model {model_md5}")
        self._open(Path(known_id))
        return known_id

    def log_metrics(self, values: Mapping[str, float], step: int | None, time_ms: int) -> None:
        """Keep numbers; final ones stand at step 0."""
        for name, value in values.items():
            if step is None or step > self._last_steps.get(name, -1):
                self._writer.add_scalar(name, value, step or 0, walltime=time_ms / 1000)
        self._writer.flush()

    def log_file(self, path: Path, folder: str) -> None:
        """Show PNG pictures; TensorBoard keeps no other files."""
        for picture in sorted(path.glob("*.png")) if path.is_dir() else [path]:
            if picture.suffix == ".png":
                with Image.open(picture) as image:
                    pixels = np.asarray(image.convert("RGB"))
                self._writer.add_image("/".join(filter(None, (folder, picture.stem))), pixels, dataformats="HWC")
        self._writer.flush()

    def log_model(self, path: Path, md5: str) -> None:
        """Say which model came of it; TensorBoard keeps no models."""
        self.set_tags({"model_md5": md5})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Show tags as texts."""
        for name, text in tags.items():
            self._writer.add_text(f"tags/{name}", text)
        self._writer.flush()

    def end(self, status: str) -> None:
        """Close the files."""
        self._writer.close()

    def _open(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder))


def last_steps(folder: Path) -> dict[str, int]:
    """The newest step of every scalar in a folder of event files."""
    events = EventAccumulator(str(folder), size_guidance={SCALARS: 1}).Reload()
    return {name: events.Scalars(name)[-1].step for name in events.Tags()[SCALARS]}
