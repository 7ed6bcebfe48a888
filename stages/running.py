"""How a stage runs as a command: what it logs, and how what the user can mend ends it."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from segpipe import machine
from segpipe.errors import AccountError, UserError

_REMEDIES = {
    errno.ENOSPC: "free some space on the disk",
    errno.EDQUOT: "free some of your space on the disk",
    errno.EACCES: "make it yours to read and write",
    errno.EPERM: "make it yours to read and write",
    errno.EROFS: "work on a disk that can be written to",
}


def run(main: Callable[[], None]) -> None:
    """Run a stage: log lines to stderr; what the user can mend ends it with one line and exit code 1.

    SIGTERM ends it as Ctrl-C does, so that a tracked run is closed.
    """
    signal.signal(signal.SIGTERM, _stopped)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        main()
    except MemoryError:
        sys.exit(f"error: {machine.MEMORY}, then run `dvc repro` again")
    except FileNotFoundError as error:
        sys.exit(f"error: {error.filename or error}: no such file; `dvc repro` runs the stages that make it")
    except OSError as error:
        if error.errno not in _REMEDIES and not error.filename:
            raise  # of no file: a mistake of ours
        sys.exit(f"error: {_told(error)}")
    except AccountError as error:
        sys.exit(f"error: {error}")
    except UserError as error:
        # Of several processes that train together one speaks; a RANK without a team is of another program's.
        is_first = os.environ.get("RANK", "0") == "0" or os.environ.get("WORLD_SIZE", "1") == "1"
        sys.exit(f"error: {error}" if is_first else 1)


def _stopped(number: int, frame: FrameType | None) -> None:
    sys.exit(f"error: stopped by {signal.Signals(number).name}; run it again")


def _told(error: OSError) -> str:
    """Where the disk or the system refused, and what to do."""
    said, remedy = os.strerror(error.errno or 0), _REMEDIES.get(error.errno or 0, "mend it")
    return f"{error.filename or 'writing'}: {said}; {remedy}, then run `dvc repro` again"
