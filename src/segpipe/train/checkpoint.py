"""Where a training stands, in one file: what a killed run needs to go on as if nothing had happened."""

import logging
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from segpipe.core import files, machine
from segpipe.models import sealed
from segpipe.models.segmenter import Segmenter
from segpipe.train import history
from segpipe.train.epoch import StepResult
from segpipe.train.history import EpochRecord

FORMAT = "segpipe checkpoint 4"
KEPT = 3  # checkpoints of other inputs that stay, the youngest
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sums:
    """What has been counted in the epoch under way; step: steps done, seconds: of training."""

    step: int = 0
    loss: float = 0.0
    pictures: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    all_ignore_batches: int = 0
    redrawn_crops: int = 0

    def count(self, result: StepResult) -> None:
        """Add one step."""
        self.step += 1
        self.loss += result.loss
        self.pictures += result.pictures
        self.seconds += result.seconds
        self.waited += result.waited
        self.all_ignore_batches += result.is_all_ignored
        self.redrawn_crops += result.redrawn_crops

    @property
    def mean_loss(self) -> float | None:
        """Over the steps that showed a label; None where none did."""
        labelled = self.step - self.all_ignore_batches
        return self.loss / labelled if labelled else None


@dataclass(slots=True)
class State:
    """Where a training stands, beside the network's and the optimiser's own state.

    epoch: the one under way, from 1; losses, lrs: of each step so far, as in events.Steps; shipped: the weights to ship
    so far, on the CPU; best_miou: the highest val_miou so far; average: the running average of the weights, None
    without one; used_seconds, validation_seconds, saving_seconds: as in Budget.
    """

    epoch: int = 1
    sums: Sums = field(default_factory=Sums)
    records: list[EpochRecord] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    shipped: dict[str, Tensor] | None = None
    best_miou: float = -1.0
    average: dict[str, Tensor] | None = None
    used_seconds: float = 0.0
    validation_seconds: float = 0.0
    saving_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a training is: epochs done, and seconds used of its budget."""

    epochs: int = 0
    seconds: float = 0.0


NOTHING = Reached()


def path_of(folder: Path, inputs: str) -> Path:
    """The checkpoint file for the inputs with that hash."""
    return folder / f"{inputs}.pt"


def note_of(path: Path) -> Path:
    """Where the plan of the training with that checkpoint is noted."""
    return path.with_suffix(".json")


def sheets_of(path: Path) -> Path:
    """The folder for pictures of the training with that checkpoint."""
    return path.with_suffix("")


def save(path: Path, segmenter: Segmenter, optimizer: Optimizer, state: State) -> None:
    """Write the checkpoint, whole or not at all. Raises OSError."""
    document = {
        "format": FORMAT,
        "inputs": path.stem,
        "segmenter": segmenter.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": state.epoch,
        "sums": asdict(state.sums),
        "records": history.as_json(state.records),
        "losses": torch.tensor(state.losses, dtype=torch.float64),
        "lrs": torch.tensor(state.lrs, dtype=torch.float64),
        "shipped": state.shipped,
        "best_miou": state.best_miou,
        "average": state.average,
        "used_seconds": state.used_seconds,
        "validation_seconds": state.validation_seconds,
        "saving_seconds": state.saving_seconds,
    }
    files.write_bytes(path, sealed.packed(document))


def restore(path: Path, segmenter: Segmenter, optimizer: Optimizer) -> State | None:
    """Put the checkpoint's state into `segmenter` and `optimizer` and return the rest.

    None, and nothing changed, if there is no checkpoint or a damaged one (a warning names it). Raises UserError or
    MemoryError where the machine is at fault: the checkpoint may be sound.
    """
    files.remove_parts(path)
    if not path.is_file():
        return None
    try:
        document = sealed.read(path, FORMAT)
        _check(document, path, segmenter)
        state = _state(document)
        optimizer.load_state_dict(document["optimizer"])
    except (OSError, *sealed.UNREADABLE) as error:
        machine.raise_if_machine_fault(error, f"checkpoint {path}")
        _log.warning("checkpoint %s cannot be used (%s): training starts afresh", path, error)
        return None
    segmenter.load_state_dict(document["segmenter"])
    return state


def reached(path: Path) -> Reached:
    """How far the training with that checkpoint is; not begun where there is none that can be read."""
    try:
        document = sealed.read(path, FORMAT)
        return Reached(document["epoch"] - 1, document["used_seconds"])
    except (OSError, *sealed.UNREADABLE):
        return NOTHING


def keep_few(path: Path) -> None:
    """Remove the oldest checkpoints beside `path` until KEPT others are left."""
    others = sorted((p for p in path.parent.glob("*.pt") if p != path), key=lambda p: (p.stat().st_mtime, p.name))
    for old in others[: max(0, len(others) - KEPT)]:
        old.unlink(missing_ok=True)
        note_of(old).unlink(missing_ok=True)
        shutil.rmtree(sheets_of(old), ignore_errors=True)


def _check(document: dict[str, Any], path: Path, segmenter: Segmenter) -> None:
    if document["inputs"] != path.stem:
        raise ValueError("it belongs to another training")
    shapes = {name: tensor.shape for name, tensor in segmenter.state_dict().items()}
    if {name: tensor.shape for name, tensor in document["segmenter"].items()} != shapes:
        raise ValueError("it holds another network")


def _state(document: dict[str, Any]) -> State:
    return State(
        epoch=document["epoch"],
        sums=Sums(**document["sums"]),
        records=history.from_json(document["records"]),
        losses=document["losses"].tolist(),
        lrs=document["lrs"].tolist(),
        shipped=document["shipped"],
        best_miou=document["best_miou"],
        average=document["average"],
        used_seconds=document["used_seconds"],
        validation_seconds=document["validation_seconds"],
        saving_seconds=document["saving_seconds"],
    )
