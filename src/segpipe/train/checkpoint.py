"""Checkpoints: all that a killed training needs to continue with the same results, in one file.

A checkpoint is named by `inputs_hash`, a hash of everything that decides the weights. A training therefore never
continues from a checkpoint of other data, settings or code.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from segpipe.core import files, machine
from segpipe.core.files import sha256_of
from segpipe.core.versions import code_hash
from segpipe.models import sealed
from segpipe.models.segmenter import Segmenter
from segpipe.train import history
from segpipe.train.epoch import StepResult
from segpipe.train.history import EpochRecord

FORMAT = "segpipe checkpoint 4"
# All modules that segpipe.train.loop imports, the network and its first weights.
CODE = (
    *("models", "train", "evaluate/scores.py"),
    *("core/csv_files.py", "core/errors.py", "core/files.py", "core/machine.py", "core/settings.py"),
    *("core/plurals.py", "core/versions.py"),
    *("data/classes.py", "data/preprocessing.py", "data/split_table.py", "data/store.py"),
)
LIBRARIES = ("numpy", "segmentation-models-pytorch", "timm", "torch", "torchvision")
_MAX_OTHERS = 3  # checkpoints of other inputs that are kept, the newest ones
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class EpochTotals:
    """Totals over the steps of the current epoch."""

    steps: int = 0
    loss: float = 0.0
    images: int = 0
    seconds: float = 0.0  # of training
    wait_seconds: float = 0.0  # part of `seconds` spent waiting for data
    all_ignore_batches: int = 0
    redrawn_crops: int = 0

    def add(self, result: StepResult) -> None:
        """Add one step."""
        self.steps += 1
        self.loss += result.loss
        self.images += result.images
        self.seconds += result.seconds
        self.wait_seconds += result.wait_seconds
        self.all_ignore_batches += result.is_all_ignored
        self.redrawn_crops += result.redrawn_crops

    @property
    def mean_loss(self) -> float | None:
        """The mean loss over the steps with a labelled pixel; None if there was no such step."""
        labelled = self.steps - self.all_ignore_batches
        return self.loss / labelled if labelled else None


@dataclass(slots=True)
class TrainingState:
    """The state of a training, without that of the network and the optimiser."""

    epoch: int = 1  # the current one, from 1
    totals: EpochTotals = field(default_factory=EpochTotals)
    records: list[EpochRecord] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of each step so far, as in StepValues
    lrs: list[float] = field(default_factory=list)
    shipped: dict[str, Tensor] | None = None  # the weights to ship so far, a state dict on the CPU
    best_miou: float = -1.0
    average: dict[str, Tensor] | None = None  # WeightAverage.weights
    # the budget's time, as in Budget
    used_seconds: float = 0.0
    validation_seconds: float = 0.0
    saving_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Completed:
    """The part of a training that is done: epochs, and seconds of its budget."""

    epochs: int = 0
    seconds: float = 0.0


NOTHING = Completed()


def inputs_hash(paths: Iterable[Path], settings: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the contents of files, the settings, and the training code. Raises OSError."""
    contents = [sha256_of(path) for path in paths]
    document = json.dumps([contents, settings, code_hash(CODE, LIBRARIES)], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()


def path_of(folder: Path, inputs: str) -> Path:
    """The checkpoint file of the training with this `inputs_hash`."""
    return folder / f"{inputs}.pt"


def plan_path(path: Path) -> Path:
    """The file with the plan of the training whose checkpoint is `path`."""
    return path.with_suffix(".json")


def sheets_folder(path: Path) -> Path:
    """The folder for images of the training whose checkpoint is `path`."""
    return path.with_suffix("")


def save(path: Path, segmenter: Segmenter, optimizer: Optimizer, state: TrainingState) -> None:
    """Write the checkpoint, whole or not at all. Raises OSError."""
    document = {
        "format": FORMAT,
        "inputs": path.stem,
        "segmenter": segmenter.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": state.epoch,
        "totals": asdict(state.totals),
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
    files.write_bytes(path, sealed.pack(document))


def restore(path: Path, segmenter: Segmenter, optimizer: Optimizer) -> TrainingState | None:
    """Load the checkpoint into `segmenter` and `optimizer`, and return the rest of the state.

    Returns None and changes nothing if there is no checkpoint, or a damaged one (a warning names it). Raises UserError
    or MemoryError if the machine may be at fault, since the checkpoint may be intact.
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
        _log.warning("checkpoint %s cannot be used (%s): training starts from scratch", path, error)
        return None
    segmenter.load_state_dict(document["segmenter"])
    return state


def completed(path: Path) -> Completed:
    """The completed part of the training with this checkpoint; NOTHING without a readable checkpoint."""
    try:
        document = sealed.read(path, FORMAT)
        return Completed(document["epoch"] - 1, document["used_seconds"])
    except (OSError, *sealed.UNREADABLE):
        return NOTHING


def remove_old(path: Path) -> None:
    """Remove the oldest other checkpoints in the folder of `path`; a few are kept."""
    others = sorted((p for p in path.parent.glob("*.pt") if p != path), key=lambda p: (p.stat().st_mtime, p.name))
    for old in others[: max(0, len(others) - _MAX_OTHERS)]:
        old.unlink(missing_ok=True)
        plan_path(old).unlink(missing_ok=True)
        shutil.rmtree(sheets_folder(old), ignore_errors=True)


def _check(document: dict[str, Any], path: Path, segmenter: Segmenter) -> None:
    if document["inputs"] != path.stem:
        raise ValueError("it belongs to another training")
    shapes = {name: tensor.shape for name, tensor in segmenter.state_dict().items()}
    if {name: tensor.shape for name, tensor in document["segmenter"].items()} != shapes:
        raise ValueError("it is of another network")


def _state(document: dict[str, Any]) -> TrainingState:
    return TrainingState(
        epoch=document["epoch"],
        totals=EpochTotals(**document["totals"]),
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
