"""Runs as TensorBoard event files."""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    IMAGES,
    SCALARS,
    EventAccumulator,
)
from torch.utils.tensorboard import SummaryWriter

from segpipe.tracking.naming import flat_params
from segpipe.tracking.tracker import NoSuchRunError, RunFacts

logging.getLogger("tensorboard").setLevel(logging.WARNING)  # it logs a line for each file that it opens


class TensorBoardTracker:
    """One folder of event files per run; the run's id is that folder."""

    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        """folder: it contains one folder per run."""
        self.place = folder.as_posix()
        self._folder = folder
        self._newest: dict[str, int] = {}  # the newest step of each curve or picture

    def start(self, run: RunFacts, known_id: str | None) -> str:
        """Begin the run, or continue in the folder `known_id` after the steps that it has."""
        folder = Path(known_id) if known_id else self._folder / run.name
        is_new = not folder.is_dir()
        self._open(folder)
        if is_new:
            rows = "".join(f"| {name} | {_cell(text)} |\n" for name, text in flat_params(run.params).items())
            self._writer.add_text("params", f"| param | value |\n|---|---|\n{rows}")
        self.set_tags(run.tags)
        return folder.as_posix()

    def find(self, model_md5: str, known_id: str | None) -> str:
        """Continue in the folder of the run."""
        if not known_id or not Path(known_id).is_dir():
            raise NoSuchRunError(f"{self.place} has no run that trained model {model_md5}")
        self._open(Path(known_id))
        return known_id

    def log_metrics(self, values: Mapping[str, float], step: int | None, time_ms: int) -> None:
        """Store numbers, final ones at step 0."""
        for name, value in values.items():
            if step is None:
                self._writer.add_scalar(name, value, 0, walltime=time_ms / 1000)
            else:
                self._add_new(name, value, step, time_ms)
        self._writer.flush()

    def log_steps(self, curves: Mapping[str, Sequence[float]], first: int, time_ms: int) -> None:
        """Store curves."""
        for name, curve in curves.items():
            for step, value in enumerate(curve, first):
                if math.isfinite(value):
                    self._add_new(name, value, step, time_ms)
        self._writer.flush()

    def log_picture(self, path: Path, name: str, step: int, time_ms: int) -> None:
        """Show a picture with a slider over its steps."""
        if step > self._newest.get(name, -1):
            self._writer.add_image(name, _pixels(path), step, walltime=time_ms / 1000, dataformats="HWC")
            self._newest[name] = step
            self._writer.flush()

    def log_file(self, path: Path, folder: str) -> None:
        """Show PNG pictures; TensorBoard does not store other files."""
        for picture in sorted(path.glob("*.png")) if path.is_dir() else [path]:
            if picture.suffix == ".png":
                name = "/".join(filter(None, (folder, picture.stem)))
                self._writer.add_image(name, _pixels(picture), dataformats="HWC")
        self._writer.flush()

    def log_model(self, path: Path, md5: str) -> None:
        """Store the MD5 of the model as a tag; TensorBoard does not store models."""
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
        self._newest = newest_steps(folder) if folder.is_dir() else {}
        self._writer = SummaryWriter(str(folder))

    def _add_new(self, name: str, value: float, step: int, time_ms: int) -> None:
        if step > self._newest.get(name, -1):
            self._writer.add_scalar(name, value, step, walltime=time_ms / 1000)
            self._newest[name] = step


def newest_steps(folder: Path) -> dict[str, int]:
    """The newest step of each curve and picture in a folder of event files."""
    events = EventAccumulator(str(folder), size_guidance={SCALARS: 1, IMAGES: 1}).Reload()
    names = events.Tags()
    curves = {name: events.Scalars(name)[-1].step for name in names[SCALARS]}
    return curves | {name: events.Images(name)[-1].step for name in names[IMAGES]}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")  # in a table of Markdown


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
