"""The training loop: epoch after epoch, resumed from a checkpoint, with the weights to ship at the end."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch

from segpipe.core.errors import StoppedError, at
from segpipe.evaluate import scores
from segpipe.models.segmenter import Segmenter
from segpipe.train import checkpoint, history, runtime, sampling
from segpipe.train.checkpoint import EpochTotals, TrainingState
from segpipe.train.compiling import compile_network
from segpipe.train.data import TrainingData, steps_per_epoch, training_batches, validation_batches
from segpipe.train.distributed import SINGLE, Group
from segpipe.train.epoch import StepResult, predict_monitored, train_one_epoch, validate
from segpipe.train.history import EpochRecord, Event, Predictions, StepValues
from segpipe.train.optimizer import OPTIMIZERS, SCHEDULES, lr_factor, train_mode
from segpipe.train.progress import Progress
from segpipe.train.recipe import RunRecipe
from segpipe.train.stopping import Budget, StopRequested, StopSignals
from segpipe.train.weight_average import WeightAverage

_TIMES_SHOWN = 8  # predictions are shown about so often in a training, and after its first epoch
_log = logging.getLogger(__name__)


def fit(
    segmenter: Segmenter,
    data: TrainingData,
    recipe: RunRecipe,
    checkpoints: Path,
    inputs: str,
    device: torch.device,
    group: Group = SINGLE,
    *,
    report_seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Train `segmenter` in place and yield events. At the end it has the weights to ship.

    The best epoch is the one with the highest val_miou, the first of equal ones; without validation images the last.
    Equal inputs give equal weights on a CPU, resumed or not (on a GPU if the recipe is strict). A resumed training
    first yields the steps and epochs of earlier processes, the epochs marked as resumed. The budget may end the
    training early: then the last record is incomplete, or epochs are missing.

    checkpoints: folder for the checkpoint <inputs>.pt; inputs: `inputs_hash`; report_seconds: steps are collected
    and yielded about so often; clock: seconds, for budget, checkpoints and reports. With several processes, each calls
    `fit` with the same arguments and gets the same records, and all can read `checkpoints`.
    Raises UserError for a loss that is not finite, and StoppedError after SIGINT or SIGTERM, once the checkpoint is
    written.
    """
    path = checkpoint.path_of(checkpoints, inputs)
    run = _Run(segmenter, data, recipe, path, device, group, report_seconds, clock)
    yield from run.new_steps()
    for record in run.state.records:
        yield dataclasses.replace(record, resumed=True)
    with run.signals, Progress(recipe.epochs, run.steps, recipe.images_per_step, run.done_steps) as progress:
        while run.continues():
            with at(f"training, epoch {run.state.epoch}"), run.saved_when_stopped(), runtime.explain_nondeterminism():
                is_complete = yield from run.train_epoch(progress)
                record, predictions = run.finish_epoch(is_complete)
            progress.epoch(record)
            yield from run.new_steps()
            yield record
            if predictions is not None:
                yield predictions
            if not is_complete:
                break
    run.ship()


def are_predictions_due(epoch: int, epochs: int) -> bool:
    """Whether predictions are shown after this epoch: after the first, the last, and some in between.

    >>> [epoch for epoch in range(1, 41) if are_predictions_due(epoch, 40)]
    [1, 5, 10, 15, 20, 25, 30, 35, 40]
    """
    return epoch in (1, epochs) or epoch % -(-epochs // _TIMES_SHOWN) == 0


class _Run:
    """The training in one process."""

    def __init__(
        self,
        segmenter: Segmenter,
        data: TrainingData,
        recipe: RunRecipe,
        path: Path,
        device: torch.device,
        group: Group,
        report_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        runtime.set_determinism(device, recipe.strict)
        self.segmenter = runtime.place(segmenter, device, group)
        self.data, self.recipe, self.path, self.device, self.group = data, recipe, path, device, group
        self.signals = StopSignals(group.any if group.world_size > 1 else None)
        self.steps = steps_per_epoch(data, recipe)
        make_optimizer = OPTIMIZERS[recipe.optimizer]
        self.optimizer = make_optimizer(segmenter, recipe.lr, recipe.weight_decay, recipe.encoder_lr_factor)
        setup = runtime.train_setup(segmenter, self.optimizer, data, recipe, device, group)
        self.setup = dataclasses.replace(setup, network=compile_network(segmenter, recipe.compile_mode))
        self.state = self._restored_state()
        self.average = self._weight_average()
        times = self.state.used_seconds, self.state.validation_seconds, self.state.saving_seconds
        self.clock, self.budget = clock, Budget(recipe.budget_seconds, *times, clock)
        self._report_seconds = report_seconds
        self._reported_steps, self._reported_at = 0, clock()
        self._saved_at = -math.inf  # saved after the first step: a failure, or a long time, is noticed early

    @property
    def done_steps(self) -> int:
        """Optimiser steps since the start of the training."""
        return (self.state.epoch - 1) * self.steps + self.state.totals.steps

    def continues(self) -> bool:
        """Whether there is another epoch to train, and time for it."""
        if self._is_finished():
            if self.state.epoch <= self.recipe.epochs:
                _log.info("no epoch of the last %d was better: training ends", self.recipe.patience)
            return False
        is_late = self._is_time_up() and bool(self.state.records) and not self.state.totals.steps
        if is_late:
            _log.info("the time budget is used up after epoch %d", len(self.state.records))
            self._save()  # with the time used: a restarted training ends here again
        return not is_late

    def new_steps(self) -> Iterator[StepValues]:
        """The steps since the last call as one event, if there are any."""
        losses, lrs = self.state.losses[self._reported_steps :], self.state.lrs[self._reported_steps :]
        if losses:
            yield StepValues(first=self._reported_steps + 1, losses=tuple(losses), lrs=tuple(lrs))
        self._reported_steps, self._reported_at = len(self.state.losses), self.clock()

    def train_epoch(self, progress: Progress) -> Generator[StepValues, None, bool]:
        """Train to the end of the current epoch. Returns False if the budget ended it early."""
        totals = self.state.totals
        if self._is_time_up():
            return False
        for result in self._training_steps():
            totals.add(result)
            self.state.losses.append(math.nan if result.is_all_ignored else result.loss)
            self.state.lrs.append(result.lr)
            if self.average is not None:
                self.average.update(self.done_steps)
            progress.step(self.state.epoch, totals.steps, totals.mean_loss or 0.0)
            if not self.state.records:
                self.budget.guess_validation(totals.seconds / totals.images, len(self.data.val_index))
            if totals.steps < self.steps and self._is_time_up():
                _log.info("the time budget is used up in epoch %d, step %d", self.state.epoch, totals.steps)
                self._save()
                return False
            if self._is_save_due():
                self._save()
            if self.clock() - self._reported_at >= self._report_seconds:
                yield from self.new_steps()
        return True

    def finish_epoch(self, is_complete: bool) -> tuple[EpochRecord, Predictions | None]:
        """Validate, keep the weights if they are the ones to ship, and save a checkpoint if one is due."""
        start, predictions = time.perf_counter(), None
        with self.average.applied() if self.average is not None else nullcontext():
            loss, matrix = self._validate()
            record = self._record(is_complete, loss, matrix, time.perf_counter() - start)
            if record.is_best or self.recipe.ship == "last":
                self.state.shipped = {k: v.detach().cpu().clone() for k, v in self.segmenter.state_dict().items()}
            if self._shows_predictions(record.epoch):
                preds = predict_monitored(self.segmenter, self.data, self.device)
                predictions = Predictions(epoch=record.epoch, preds=preds)
        self.budget.validation = time.perf_counter() - start
        if record.is_best:
            self.state.best_miou = -1.0 if record.val_miou is None else record.val_miou
        if is_complete:  # an incomplete epoch is already saved: with a larger budget it continues from there
            self.state.records.append(record)
            self.state.epoch, self.state.totals = self.state.epoch + 1, EpochTotals()
            if self._is_finished() or self._is_save_due():
                self._save()
        return record, predictions

    @contextmanager
    def saved_when_stopped(self) -> Iterator[None]:
        """Save a checkpoint if a signal stops the training, and raise StoppedError."""
        try:
            yield
        except StopRequested as signal:
            step = self.state.totals.steps
            is_saved = self._save()
            remedy = "run it again to continue from here" if is_saved else "the checkpoint could not be written"
            raise StoppedError(f"stopped by {signal} after step {step}; {remedy}") from None

    def ship(self) -> None:
        """Load the weights to ship into the segmenter."""
        if self.state.shipped is not None:
            self.segmenter.load_state_dict(self.state.shipped)
        self.segmenter.requires_grad_(True).eval()

    def _training_steps(self) -> Iterator[StepResult]:
        """The remaining steps of the current epoch."""
        recipe, epoch, first_step = self.recipe, self.state.epoch, self.state.totals.steps
        steps_before, all_steps = (epoch - 1) * self.steps, recipe.epochs * self.steps
        warmup, decay = round(recipe.warmup_epochs * self.steps), SCHEDULES[recipe.schedule]
        train_mode(self.segmenter, is_encoder_frozen=epoch <= recipe.freeze_epochs)
        batches = training_batches(self.data, recipe, epoch, first_step, self.device, self.group)
        return train_one_epoch(
            self.setup,
            self.signals.checked(batches),
            lr_factor=lambda step: lr_factor(steps_before + step, all_steps, warmup, decay),
            step_seed=lambda step: sampling.seed_for(recipe.seed, sampling.NETWORK, epoch, step) + self.group.rank,
            first_step=first_step,
        )

    def _validate(self) -> tuple[float, np.ndarray]:
        batches = validation_batches(self.data, self.recipe.batch_size, self.device, self.group)
        self.signals.check()
        if self.group.world_size == 1:  # the processes have different numbers of batches: they cannot agree at each
            batches = self.signals.checked(batches)
        return validate(self.segmenter, self.setup.criterion, batches, self.setup.autocast, self.group)

    def _shows_predictions(self, epoch: int) -> bool:
        is_due = are_predictions_due(epoch, self.recipe.epochs)
        return is_due and not self.group.rank and len(self.data.val_index) > 0

    def _record(self, is_complete: bool, val_loss: float, matrix: np.ndarray, seconds: float) -> EpochRecord:
        totals, miou = self.state.totals, scores.mean_iou(matrix)
        val_miou = None if math.isnan(miou) else miou
        ious = zip(self.data.class_names, scores.class_iou(matrix).tolist(), strict=True)
        return EpochRecord(
            epoch=self.state.epoch,
            step=self.done_steps,
            complete=is_complete,
            train_loss=totals.mean_loss,
            val_loss=val_loss if val_miou is not None else None,
            val_miou=val_miou,
            val_iou={name: iou for name, iou in ious if not math.isnan(iou)},
            lr=self.optimizer.param_groups[-1]["lr"],
            images_per_second=totals.images / totals.seconds if totals.seconds else 0.0,
            data_wait_share=totals.wait_seconds / totals.seconds if totals.seconds else 0.0,
            seconds=totals.seconds,
            validation_seconds=seconds,
            memory_mib=runtime.peak_memory_bytes(self.device) / runtime.MIB,
            all_ignore_batches=totals.all_ignore_batches,
            redrawn_crops=totals.redrawn_crops,
            is_best=val_miou is None or val_miou > self.state.best_miou,
        )

    def _restored_state(self) -> TrainingState:
        state = checkpoint.restore(self.path, self.segmenter, self.optimizer)
        if state is not None:
            done = state.totals.steps
            _log.info("training continues in epoch %d, %d of %d steps done", state.epoch, done, self.steps)
        elif self.path.parent.is_dir() and any(self.path.parent.glob("*.pt")):
            _log.info("the inputs have changed since the last training: training starts from scratch")
        return state or TrainingState()

    def _weight_average(self) -> WeightAverage | None:
        if not self.recipe.ema_decay:
            return None
        average = WeightAverage(self.segmenter, self.recipe.ema_decay)
        if self.state.average is not None:
            average.load(self.state.average)
        return average

    def _is_finished(self) -> bool:
        is_out_of_patience = history.is_out_of_patience(self.state.records, self.recipe.patience)
        return is_out_of_patience or self.state.epoch > self.recipe.epochs

    def _is_save_due(self) -> bool:
        return self.clock() - self._saved_at >= 60 * self.recipe.checkpoint_minutes

    def _is_time_up(self) -> bool:
        return self.group.any(self.budget.is_spent())

    def _save(self) -> bool:
        """Write a checkpoint; returns whether it was written. A full disk does not end the training."""
        if self.group.rank:  # rank 0 saves for all
            return True
        is_saved, start = False, self.clock()
        self.state.used_seconds = self.budget.used
        self.state.validation_seconds, self.state.saving_seconds = self.budget.validation, self.budget.saving
        self.state.average = self.average.weights if self.average is not None else None
        try:
            checkpoint.save(self.path, self.segmenter, self.optimizer, self.state)
            is_saved = True
            checkpoint.remove_old(self.path)
        except OSError as error:
            _log.warning("checkpoint %s was not written (%s): training continues", self.path, error.strerror)
        self._saved_at = self.clock()
        self.budget.saving = self._saved_at - start
        return is_saved
