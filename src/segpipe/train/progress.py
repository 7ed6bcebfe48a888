"""Progress of a training for a person: a bar on a terminal, else a log line now and then, which suits DVC and CI."""

import logging
import sys
import time
from types import TracebackType
from typing import NoReturn

from tqdm import tqdm

from segpipe.train.history import EpochRecord

_LINES_PER_EPOCH = 10
_log = logging.getLogger(__name__)


class Progress:
    """Progress over the images of the whole training; a context manager.

    epochs, steps: of the whole training, and per epoch; batch_size: images per step; done_steps: of earlier processes;
    line_seconds: minimum time between two log lines.
    """

    def __init__(
        self, epochs: int, steps: int, batch_size: int, done_steps: int, *, line_seconds: float = 30.0
    ) -> None:
        self._epochs, self._steps, self._batch_size = epochs, steps, batch_size
        self._line_seconds = line_seconds
        self._done = self._done_before = done_steps
        self._start = self._last_line = time.monotonic()
        self._miou: float | None = None
        self._bar = self._open_bar() if sys.stderr.isatty() else None

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Show that step `step` (from 1) of `epoch` is done. loss: the mean over the epoch so far."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_description(f"epoch {epoch}/{self._epochs}", refresh=False)
            self._bar.set_postfix_str(f"loss {loss:.3f}, mIoU {_score(self._miou)}", refresh=False)
            self._bar.update(self._batch_size)
        elif self._is_line_due(step):
            self._last_line = time.monotonic()
            percent = 100 * step // self._steps
            _log.info("epoch %d/%d, %d %%: loss %.3f, %s", epoch, self._epochs, percent, loss, self._pace())

    def epoch(self, record: EpochRecord) -> None:
        """Show the results of an epoch."""
        self._miou, self._last_line = record.val_miou, time.monotonic()
        line = (
            f"epoch {record.epoch}/{self._epochs}: loss {_score(record.train_loss)}, "
            f"val loss {_score(record.val_loss)}, mIoU {_score(record.val_miou)}{' (best)' if record.is_best else ''}, "
            f"{record.images_per_second:.1f} images/s, {self._time_left()} left"
        )
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            _log.info(line)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _open_bar(self) -> "tqdm[NoReturn]":
        total, done = self._epochs * self._steps * self._batch_size, self._done * self._batch_size
        return tqdm(total=total, initial=done, unit="img", dynamic_ncols=True, smoothing=0.05)

    def _is_line_due(self, step: int) -> bool:
        every = max(1, self._steps // _LINES_PER_EPOCH)
        return step % every == 0 and step < self._steps and time.monotonic() - self._last_line >= self._line_seconds

    def _pace(self) -> str:
        images = (self._done - self._done_before) * self._batch_size
        return f"{images / (time.monotonic() - self._start):.1f} images/s, {self._time_left()} left"

    def _time_left(self) -> str:
        """Time to the end of the last epoch at the pace of this process, including validation."""
        done = self._done - self._done_before
        if not done:
            return "unknown time"
        seconds = (time.monotonic() - self._start) / done * (self._epochs * self._steps - self._done)
        return f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02d}:{int(seconds % 60):02d}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
