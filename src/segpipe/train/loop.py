"""The training: epoch after epoch, resumed where an earlier process stopped, the best weights at the end."""

import dataclasses
import logging
import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch

from segpipe.core.errors import StoppedError, at
from segpipe.evaluate import scores
from segpipe.models.segmenter import Segmenter
from segpipe.train import checkpoint, compiling, determinism, epoch, history, memory, monitor, randomness, setup
from segpipe.train import data as batches
from segpipe.train import optimizer as schedule
from segpipe.train.budget import Budget
from segpipe.train.checkpoint import State, Sums
from segpipe.train.data import TrainingData
from segpipe.train.distributed import ALONE, Team
from segpipe.train.events import Event, Predictions, Steps
from segpipe.train.history import EpochRecord
from segpipe.train.progress import Progress
from segpipe.train.recipe import RunRecipe
from segpipe.train.stopping import Stopped, StopSignals
from segpipe.train.weight_average import WeightAverage

_log = logging.getLogger(__name__)
_TELL_SECONDS = 10.0  # single steps are told about so often, many at once


def fit(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: RunRecipe,
    checkpoints: Path,
    inputs: str,
    device: torch.device,
    team: Team = ALONE,
) -> Iterator[Event]:
    """Train `segmenter` in place and tell what happens; at the end it holds the weights to ship.

    checkpoints: folder for the file <inputs>.pt that a killed training goes on from; inputs: hash of all that decides
    the result. Steps and epochs of earlier processes are told again first, the epochs marked as resumed. The best epoch
    is the one with the highest val_miou, the earlier one of equals; without validation pictures the last. Equal inputs
    give equal weights on a CPU, killed and resumed or not (on a GPU if the recipe is strict).
    The budget ends the training early: the last record is then incomplete, or epochs are missing. Raises UserError for
    a loss that is not finite, and StoppedError after SIGINT or SIGTERM, when the checkpoint is written. In a team every
    process calls it with the same arguments and gets the same records; `checkpoints` is a folder that all of them see.
    """
    run = _Run(segmenter, data, recipe, checkpoint.path_of(checkpoints, inputs), device, team)
    yield from run.untold_steps()
    for record in run.state.records:
        yield dataclasses.replace(record, resumed=True)
    with run.signals, Progress(recipe.epochs, run.steps, recipe.images_per_step, run.done_steps) as progress:
        while run.goes_on():
            with at(f"training, epoch {run.state.epoch}"), run.saved_when_stopped(), determinism.explained():
                is_complete = yield from run.train_epoch(progress)
                record, predictions = run.finish_epoch(is_complete)
            progress.epoch(record)
            yield from run.untold_steps()
            yield record
            if predictions is not None:
                yield predictions
            if not is_complete:
                break
    run.ship()


class _Run:
    """One process's part of a training."""

    def __init__(
        self,
        segmenter: Segmenter,
        data: TrainingData,
        recipe: RunRecipe,
        path: Path,
        device: torch.device,
        team: Team,
    ) -> None:
        determinism.prepare(device, recipe.strict)
        self.segmenter = setup.placed(segmenter, device, team)
        self.compiled = compiling.compiled(self.segmenter, recipe.compile_mode)
        self.data, self.recipe, self.path, self.device = data, recipe, path, device
        self.team, self.signals = team, StopSignals(team.any if team.size > 1 else None)
        self.steps = batches.steps_per_epoch(data, recipe)
        optimizer = schedule.OPTIMIZERS[recipe.optimizer]
        self.optimizer = optimizer(segmenter, recipe.lr, recipe.weight_decay, recipe.encoder_lr_factor)
        self.autocast = setup.autocast(device, recipe.amp)
        self.criterion = setup.criterion(segmenter, data, recipe, device)
        self.state = self._resumed()
        self._told, self._told_at = 0, time.monotonic()
        self.average = self._average()
        times = self.state.used_seconds, self.state.validation_seconds, self.state.saving_seconds
        self.budget = Budget(recipe.budget_seconds, *times)
        self._saved = -math.inf  # so the first step is saved: if that fails, or takes long, it is known early

    @property
    def done_steps(self) -> int:
        """Optimiser steps since the start of the training."""
        return (self.state.epoch - 1) * self.steps + self.state.sums.step

    def goes_on(self) -> bool:
        """Whether there is an epoch to do, and time for it."""
        if self._is_done():
            if self.state.epoch <= self.recipe.epochs:
                _log.info("no epoch of the last %d was better: training ends", self.recipe.patience)
            return False
        is_late = self._is_time_up() and bool(self.state.records) and not self.state.sums.step
        if is_late:
            _log.info("the time budget is used up after %d epochs", len(self.state.records))
            self._save()  # with the time used: started again, it ends here again
        return not is_late

    def untold_steps(self) -> Iterator[Steps]:
        """The steps that were not told yet, as one event if there are any."""
        losses, lrs = self.state.losses[self._told :], self.state.lrs[self._told :]
        if losses:
            yield Steps(first=self._told + 1, losses=tuple(losses), lrs=tuple(lrs))
        self._told, self._told_at = len(self.state.losses), time.monotonic()

    def train_epoch(self, progress: Progress) -> Generator[Steps, None, bool]:
        """Train to the end of the epoch under way; False if the budget ended it early."""
        sums = self.state.sums
        if self._is_time_up():
            return False
        for result in self._training_steps():
            sums.count(result)
            self.state.losses.append(math.nan if result.is_all_ignored else result.loss)
            self.state.lrs.append(result.lr)
            if self.average is not None:
                self.average.update(self.done_steps)
            progress.step(self.state.epoch, sums.step, sums.mean_loss or 0.0)
            if not self.state.records:
                self.budget.guess_validation(sums.seconds / sums.pictures, len(self.data.val_index))
            if sums.step < self.steps and self._is_time_up():
                _log.info("the time budget is used up in epoch %d, step %d", self.state.epoch, sums.step)
                self._save()
                return False
            if self._is_save_due():
                self._save()
            if time.monotonic() - self._told_at >= _TELL_SECONDS:
                yield from self.untold_steps()
        return True

    def finish_epoch(self, is_complete: bool) -> tuple[EpochRecord, Predictions | None]:
        """Validate, keep the weights if they are to be shipped, and save where the training is if that is due."""
        start, predictions = time.perf_counter(), None
        with self.average.worn() if self.average is not None else nullcontext():
            loss, matrix = self._validated()
            record = self._record(is_complete, loss, matrix, time.perf_counter() - start)
            if record.is_best or self.recipe.ship == "last":
                self.state.shipped = {k: v.detach().cpu().clone() for k, v in self.segmenter.state_dict().items()}
            if not self.team.rank and monitor.is_due(record.epoch, self.recipe.epochs, self.data):
                preds = monitor.predictions(self.segmenter, self.data, self.device)
                predictions = Predictions(epoch=record.epoch, preds=preds)
        self.budget.validation = time.perf_counter() - start
        if record.is_best:
            self.state.best_miou = -1.0 if record.val_miou is None else record.val_miou
        if is_complete:  # an incomplete epoch was saved before: with more time it goes on from there
            self.state.records.append(record)
            self.state.epoch, self.state.sums = self.state.epoch + 1, Sums()
            if self._is_done() or self._is_save_due():
                self._save()
        return record, predictions

    @contextmanager
    def saved_when_stopped(self) -> Iterator[None]:
        """Where a signal ends the training, save it and raise a StoppedError that says so."""
        try:
            yield
        except Stopped as signal:
            after = f"after step {self.state.sums.step}"
            is_saved = self._save()
            what = "run it again and it goes on from here" if is_saved else "it could not be saved"
            raise StoppedError(f"stopped by {signal} {after}; {what}") from None

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
            self.compiled,
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
            train_loss=sums.mean_loss,
            val_loss=val_loss if val_miou is not None else None,
            val_miou=val_miou,
            val_iou={name: iou for name, iou in ious if not math.isnan(iou)},
            lr=self.optimizer.param_groups[-1]["lr"],
            images_per_second=sums.pictures / sums.seconds if sums.seconds else 0.0,
            data_wait_share=sums.waited / sums.seconds if sums.seconds else 0.0,
            seconds=sums.seconds,
            validation_seconds=seconds,
            memory_mib=memory.peak_bytes(self.device) / memory.MIB,
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

    def _is_done(self) -> bool:
        is_impatient = history.is_out_of_patience(self.state.records, self.recipe.patience)
        return is_impatient or self.state.epoch > self.recipe.epochs

    def _is_save_due(self) -> bool:
        return time.monotonic() - self._saved >= 60 * self.recipe.checkpoint_minutes

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
        is_saved, start = False, time.monotonic()
        if self.team.rank:  # the first one saves for all
            return True
        self.state.used_seconds = self.budget.used
        self.state.validation_seconds, self.state.saving_seconds = self.budget.validation, self.budget.saving
        self.state.average = self.average.weights if self.average is not None else None
        try:
            checkpoint.save(self.path, self.segmenter, self.optimizer, self.state)
            is_saved = True
            checkpoint.keep_few(self.path)
        except OSError as error:
            _log.warning("checkpoint %s was not written (%s): training goes on without it", self.path, error.strerror)
        self._saved = time.monotonic()
        self.budget.saving = self._saved - start
        return is_saved
