"""Errors in the user's files or settings, with a remedy for each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# An environment variable with the path of a file: of several training processes, the one that creates it reports.
REPORTED = "SEGPIPE_REPORTED"


class UserError(Exception):
    """An error in the user's files or settings that ends the run with one line and exit code 1.

    `str(error)` joins the places, the outermost first, and the problem: "file: record: problem; remedy".
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.where: list[str] = []
        self.problem = problem

    def __str__(self) -> str:
        return ": ".join([*self.where, self.problem])


class AnnotationError(UserError):
    """One record cannot be used. The reader turns the error into a ledger row with the code `reason` and continues."""

    def __init__(self, problem: str, reason: str = "bad_record") -> None:
        super().__init__(problem)
        self.reason = reason


class StoppedError(UserError):
    """A signal ended the run. Nothing is wrong: the next run continues from there."""


class LedgerError(AssertionError):
    """Totals do not add up: a bug in segpipe, not an error in the user's data. The run must end."""

    def __str__(self) -> str:
        problem = f"the totals do not add up: {super().__str__()}"
        return f"{problem}; run `dvc repro --force`, and if it happens again, report it: this is a bug in segpipe"


def check_total(is_equal: bool, problem: str) -> None:
    """Raise LedgerError(problem) unless `is_equal`. Not an assert: `python -O` removes those."""
    if not is_equal:
        raise LedgerError(problem)


@contextmanager
def at(place: str) -> Iterator[None]:
    """Put `place` in front of any UserError raised inside.

    >>> with at("a.json"), at("record 3"):
    ...     raise UserError("has no id; add one")
    Traceback (most recent call last):
    segpipe.core.errors.UserError: a.json: record 3: has no id; add one
    """
    try:
        yield
    except UserError as error:
        error.where.insert(0, place)
        raise


def is_first_to_report() -> bool:
    """Whether no other process of the same training has reported an error yet."""
    try:
        Path(os.environ[REPORTED]).touch(exist_ok=False)
    except FileExistsError:
        return False
    except (KeyError, OSError):  # a single process, or started by torchrun
        pass
    return True
