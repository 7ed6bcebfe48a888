"""The wall clock of a training, over all the processes that worked on it."""

import time

_MARGIN = 1.2  # a validation and a checkpoint may take so much longer than the last time
_FIRST_GUESS = 0.5  # before the first validation: part of a training step's time that a picture takes


class Budget:
    """Seconds used of seconds allowed, with room kept for one more validation and one more checkpoint.

    limit: seconds, None for no limit; used: seconds of earlier processes; validation: seconds the last validation
    took, saving: seconds the last checkpoint took, 0 if there was none yet.
    """

    def __init__(self, limit: float | None, used: float = 0.0, validation: float = 0.0, saving: float = 0.0) -> None:
        self.limit = limit
        self.validation, self.saving = validation, saving
        self._used = used
        self._start = time.monotonic()

    @property
    def used(self) -> float:
        """Seconds, this process's and the earlier ones'."""
        return self._used + time.monotonic() - self._start

    def guess_validation(self, seconds_per_picture: float, pictures: int) -> None:
        """Before the first validation: judge it from the training steps."""
        self.validation = _FIRST_GUESS * seconds_per_picture * pictures

    def is_spent(self) -> bool:
        """Whether it is time to stop, validate once more and ship the best model."""
        return self.limit is not None and self.used + _MARGIN * (self.validation + self.saving) >= self.limit
