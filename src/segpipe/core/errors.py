"""What is wrong with the user's files or settings, said so that a user can act on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPORTED = "SEGPIPE_REPORTED"  # names a file: of processes that train together the one that makes it reports its error


class UserError(Exception):
    """Something the user gave cannot be used as a whole: the run ends with this one line and exit code 1.

    `str(error)` joins the places from the outermost in and the problem: "file: record: problem; remedy".
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.where: list[str] = []
        self.problem = problem

    def __str__(self) -> str:
        return ": ".join([*self.where, self.problem])


class AnnotationError(UserError):
    """One record cannot be used: the reader turns it into a ledger row and goes on.

    `reason` is the ledger's reason code.
    """

    def __init__(self, problem: str, reason: str = "bad_record") -> None:
        super().__init__(problem)
        self.reason = reason


class StoppedError(UserError):
    """A signal ended the run: nothing is wrong, and the next run goes on from there."""


class AccountError(AssertionError):
    """A sum of the account does not close: a mistake of ours, not in the user's data. Nothing may go on from there."""

    def __str__(self) -> str:
        problem = f"the account does not close: {super().__str__()}"
        return f"{problem}; run `dvc repro --force`, and if it comes again, report it: the mistake is segpipe's"


def closes(true: bool, problem: str) -> None:
    """Raise AccountError(problem) unless a sum is true. No assert: `python -O` leaves those out."""
    if not true:
        raise AccountError(problem)


@contextmanager
def at(place: str) -> Iterator[None]:
    """Put `place` in front of any UserError raised inside."""
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
    except (KeyError, OSError):  # alone, or started by torchrun
        pass
    return True
