"""The training: epoch after epoch, resumed where an earlier process stopped, the best weights at the end."""

import dataclasses
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch

from segpipe.errors import UserError, at
from segpipe.evaluation import scores
from segpipe.models.build import Segmenter
from segpipe.training import batches, checkpoint, epoch, history, randomness, schedule
from segpipe.training.average import WeightAverage
from segpipe.training.batches import TrainingData
from segpipe.training.budget import Budget
from segpipe.training.checkpoint import State, Sums
from segpipe.training.class_weights import class_weights
from segpipe.training.history import EpochRecord
from segpipe.training.losses import Criterion
from segpipe.training.progress import Progress
from segpipe.training.recipe import Recipe
from segpipe.training.stop import Stopped, StopSignals
from segpipe.training.team import ALONE, Team

_log = logging.getLogger(__name__)


def fit(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: Recipe,
    checkpoints: Path,
    inputs: str,
    device: torch.device,
    team: Team = ALONE,
) -> Iterator[EpochRecord]:
    """Train `segmenter` in place and give one record per epoch; at the end it holds the weights to ship.

    checkpoints: folder for the file <inputs>.pt that a killed training goes on from; inputs: hash of all that decides
    the result. Epochs of earlier processes are told again first, marked as resumed. The best epoch is the one with the
    highest val_miou, the earlier one of equals; without validation pictures the last. Equal inputs give equal weights
    on a CPU, killed and resumed or not; on a CPU PyTorch's deterministic algorithms are switched on for the process.
    The budget ends the training early: the last record is then incomplete, or epochs are missing. Raises UserError for
    a loss that is not finite, and after SIGINT or SIGTERM, when the checkpoint is written. In a team every process
    calls it with the same arguments and gets the same records; `checkpoints` is a folder that all of them see.
    """
    run = _Run(segmenter, data, recipe, checkpoint.path_of(checkpoints, inputs), device, team)
    for record in run.state.records:
        yield dataclasses.replace(record, resumed=True)
    with run.signals, Progress(recipe.epochs, run.steps, recipe.pictures_per_step, run.done_steps) as progress:
        while run.goes_on():
            with at(f"training, epoch {run.state.epoch}"), run.saved_when_stopped():
                is_complete = run.train_epoch(progress)
                record = run.finish_epoch(is_complete)
            progress.epoch(record)
            yield record
            if not is_complete:
                break
    run.ship()


class _Run:
    """One process's part of a training."""

    def __init__(
        self,
        segmenter: Segmenter,
        data: TrainingData,
        recipe: Recipe,
        path: Path,
        device: torch.device,
        team: Team,
    ) -> None:
        prepare(device)
        self.segmenter = placed(segmenter, device, team)
        self.data, self.recipe, self.path, self.device = data, recipe, path, device
        self.team, self.signals = team, StopSignals(team.any if team.size > 1 else None)
        self.steps = batches.steps_per_epoch(data, recipe)
        optimizer = schedule.OPTIMIZERS[recipe.optimizer]
        self.optimizer = optimizer(segmenter, recipe.lr, recipe.weight_decay, recipe.encoder_lr_factor)
        self.autocast = autocast(device, recipe.amp)
        self.criterion = criterion(segmenter, data, recipe, device)
        self.state = self._resumed()
        self.average = self._average()
        self.budget = Budget(recipe.budget_seconds, self.state.used_seconds, self.state.validation_seconds)
        self._saved = time.monotonic()

    @property
    def done_steps(self) -> int:
        """Optimiser steps since the start of the training."""
        return (self.state.epoch - 1) * self.steps + self.state.sums.step

    def goes_on(self) -> bool:
        """Whether there is an epoch to do, and time for it."""
        if self.state.epoch > self.recipe.epochs:
            return False
        if history.is_out_of_patience(self.state.records, self.recipe.patience):
            _log.info("no epoch of the last %d was better: training ends", self.recipe.patience)
            return False
        is_late = self._is_time_up() and bool(self.state.records) and not self.state.sums.step
        if is_late:
            _log.info("the time budget is used up after %d epochs", len(self.state.records))
            self._save()  # with the time used: started again, it ends here again
        return not is_late

    def train_epoch(self, progress: Progress) -> bool:
        """Train to the end of the epoch under way; False if the budget ended it early."""
        sums = self.state.sums
        if self._is_time_up():
            return False
        for result in self._training_steps():
            _count(sums, result)
            if self.average is not None:
                self.average.update(self.done_steps)
            progress.step(self.state.epoch, sums.step, _mean_loss(sums) or 0.0)
            if not self.state.records:
                self.budget.guess_validation(sums.seconds / sums.pictures, len(self.data.val_index))
            if sums.step < self.steps and self._is_time_up():
                _log.info("the time budget is used up in epoch %d, step %d", self.state.epoch, sums.step)
                self._save()
                return False
            if time.monotonic() - self._saved >= 60 * self.recipe.checkpoint_minutes:
                self._save()
        return True

    def finish_epoch(self, is_complete: bool) -> EpochRecord:
        """Validate, keep the weights if they are to be shipped, and save where the training stands."""
        start = time.perf_counter()
        with self.average.worn() if self.average is not None else nullcontext():
            loss, matrix = self._validated()
            record = self._record(is_complete, loss, matrix, time.perf_counter() - start)
            if record.is_best or self.recipe.ship == "last":
                self.state.shipped = {k: v.detach().cpu().clone() for k, v in self.segmenter.state_dict().items()}
        self.budget.validation = record.validation_seconds
        if record.is_best:
            self.state.best_miou = -1.0 if record.val_miou is None else record.val_miou
        if is_complete:  # an incomplete epoch was saved before: with more time it goes on from there
            self.state.records.append(record)
            self.state.epoch, self.state.sums = self.state.epoch + 1, Sums()
            self._save()
        return record

    @contextmanager
    def saved_when_stopped(self) -> Iterator[None]:
        """Where a signal ends the training, save it and raise a UserError that says so."""
        try:
            yield
        except Stopped as signal:
            after = f"after step {self.state.sums.step}"
            is_saved = self._save()
            what = "run it again and it goes on from here" if is_saved else "it could not be saved"
            raise UserError(f"stopped by {signal} {after}; {what}") from None

    def ship(self) -> None:
        """Give the segmenter the weights to ship."""
        if self.state.shipped is not None:
            self.segmenter.load_state_dict(self.state.shipped)
        self.segmenter.requires_grad_(True).eval()

    def _training_steps(self) -> Iterator[epoch.StepResult]:
        number, first_step = self.state.epoch, self.state.sums.step
        before = (number - 1) * self.steps
        warmup, fall = round(self.recipe.warmup_epochs * self.steps), schedule.SCHEDULES[self.recipe.schedule]
        schedule.train_mode(self.segmenter, is_encoder_frozen=number <= self.recipe.freeze_epochs)
        return epoch.train_one_epoch(
            self.segmenter,
            self.criterion,
            self.optimizer,
            self.signals.watched(
                batches.training_batches(self.data, self.recipe, number, first_step, self.device, self.team)
            ),
            crop_hw=batches.crop_hw(self.data, self.recipe),
            clip_norm=self.recipe.clip_norm,
            lr_factor=lambda step: schedule.lr_factor(before + step, self.recipe.epochs * self.steps, warmup, fall),
            step_seed=lambda step: (
                randomness.seed_for(self.recipe.seed, randomness.NETWORK, number, step) + self.team.rank
            ),
            first_step=first_step,
            parts=self.recipe.accumulate,
            autocast=self.autocast,
            team=self.team,
        )

    def _validated(self) -> tuple[float, np.ndarray]:
        pictures = batches.validation_batches(self.data, self.recipe.batch_size, self.device, self.team)
        self.signals.check()
        if self.team.size == 1:  # the others have other numbers of batches: they cannot agree at each one
            pictures = self.signals.watched(pictures)
        return epoch.validate(self.segmenter, self.criterion, pictures, self.segmenter.seen, self.autocast, self.team)

    def _record(self, is_complete: bool, val_loss: float, matrix: np.ndarray, seconds: float) -> EpochRecord:
        sums, miou = self.state.sums, scores.mean_iou(matrix)
        val_miou = None if math.isnan(miou) else miou
        ious = zip(self.data.class_names, scores.class_iou(matrix).tolist(), strict=True)
        return EpochRecord(
            epoch=self.state.epoch,
            step=self.done_steps,
            complete=is_complete,
            train_loss=_mean_loss(sums),
            val_loss=val_loss if val_miou is not None else None,
            val_miou=val_miou,
            val_iou={name: iou for name, iou in ious if not math.isnan(iou)},
            lr=self.optimizer.param_groups[-1]["lr"],
            images_per_second=sums.pictures / sums.seconds if sums.seconds else 0.0,
            data_wait_share=sums.waited / sums.seconds if sums.seconds else 0.0,
            seconds=sums.seconds,
            validation_seconds=seconds,
            all_ignore_batches=sums.all_ignore_batches,
            redrawn_crops=sums.redrawn_crops,
            is_best=val_miou is None or val_miou > self.state.best_miou,
        )

    def _resumed(self) -> State:
        state = checkpoint.restore(self.path, self.segmenter, self.optimizer)
        if state is not None:
            _log.info("training goes on in epoch %d after %d steps of it", state.epoch, state.sums.step)
        elif self.path.parent.is_dir() and any(self.path.parent.glob("*.pt")):
            _log.info("the inputs have changed since the last training: training starts afresh")
        return state or State()

    def _is_time_up(self) -> bool:
        return self.team.any(self.budget.is_spent())

    def _average(self) -> WeightAverage | None:
        if not self.recipe.ema_decay:
            return None
        average = WeightAverage(self.segmenter, self.recipe.ema_decay)
        if self.state.average is not None:
            average.load(self.state.average)
        return average

    def _save(self) -> bool:
        """Save where the training stands. A full disk does not end it: the next try may go through."""
        is_saved = False
        if self.team.rank:  # the first one saves for all
            return True
        self.state.used_seconds, self.state.validation_seconds = self.budget.used, self.budget.validation
        self.state.average = self.average.weights if self.average is not None else None
        try:
            checkpoint.save(self.path, self.segmenter, self.optimizer, self.state)
            is_saved = True
            checkpoint.keep_few(self.path)
        except OSError as error:
            _log.warning("checkpoint %s was not written (%s): training goes on without it", self.path, error.strerror)
        self._saved = time.monotonic()
        return is_saved


def _count(sums: Sums, result: epoch.StepResult) -> None:
    sums.step += 1
    sums.loss += result.loss
    sums.pictures += result.pictures
    sums.seconds += result.seconds
    sums.waited += result.waited
    sums.all_ignore_batches += result.is_all_ignored
    sums.redrawn_crops += result.redrawn_crops


def _mean_loss(sums: Sums) -> float | None:
    labelled = sums.step - sums.all_ignore_batches
    return sums.loss / labelled if labelled else None


def criterion(segmenter: Segmenter, data: TrainingData, recipe: Recipe, device: torch.device) -> Criterion:
    """What `recipe` says is to be minimised; the segmenter is on `device`."""
    weights = class_weights(recipe.class_weights, data.class_pixels[data.train_index])
    on_device = None if weights is None else torch.from_numpy(weights).to(device)
    return Criterion(recipe.loss, segmenter.seen, on_device, recipe.label_smoothing)


def placed(segmenter: Segmenter, device: torch.device, team: Team) -> Segmenter:
    """The segmenter itself, where and as it trains fastest."""
    team.prepare(segmenter, device)
    segmenter.to(device)
    segmenter.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
    return segmenter


def prepare(device: torch.device) -> None:
    """Deterministic on a CPU, fast on a GPU."""
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        # It costs time and changes no result.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    else:
        torch.backends.cudnn.benchmark = True


def autocast(device: torch.device, amp: bool) -> torch.autocast:
    """bfloat16 where the GPU computes in it; float32 elsewhere (on a CPU bfloat16 is slower)."""
    is_on = amp and device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_on)
