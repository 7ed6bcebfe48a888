"""How a stage runs as a command: what it logs, and how what the user can mend ends it."""

import errno
import logging
import os
import re
import signal
import sys
from collections.abc import Callable
from types import FrameType

from segpipe.core import machine
from segpipe.core.errors import REPORTED, AccountError, StoppedError, UserError, is_first_to_report

_LOST = re.compile("gloo/transport|NCCL")  # in what PyTorch raises where another process of a training is gone
_REMEDIES = {
    errno.ENOSPC: "free some space on the disk",
    errno.EDQUOT: "free some of your space on the disk",
    errno.EACCES: "make it yours to read and write",
    errno.EPERM: "make it yours to read and write",
    errno.EROFS: "work on a disk that can be written to",
}


_MEMORY = f"{machine.MEMORY}, then run `dvc repro` again"


def run(main: Callable[[], None]) -> None:
    """Run a stage: log lines to stderr; what the user can mend ends it with one line and exit code 1.

    SIGTERM ends it as Ctrl-C does, so that a tracked run is closed.
    """
    signal.signal(signal.SIGTERM, _stopped)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        main()
    except MemoryError:
        sys.exit(_last_words(_MEMORY))
    except FileNotFoundError as error:
        sys.exit(_last_words(f"{error.filename or error}: no such file; `dvc repro` runs the stages that make it"))
    except OSError as error:
        if error.errno not in _REMEDIES and not error.filename:
            raise  # of no file: a mistake of ours
        sys.exit(_last_words(_refused(error)))
    except RuntimeError as error:
        if machine.is_want_of_memory(error):
            sys.exit(_last_words(_MEMORY))
        if not _LOST.search(str(error)):
            raise
        if REPORTED not in os.environ:  # else who started the processes knows which of them is gone
            sys.stderr.write(f"{_last_words(f'the other processes are gone ({str(error)[:200]})')}\n")
        sys.stderr.flush()
        os._exit(1)  # an orderly exit now and then ends in an abort by PyTorch's threads
    except StoppedError as error:
        sys.exit(1 if _rank() else _last_words(str(error)))  # all are stopped, the first has saved
    except (AccountError, UserError) as error:
        sys.exit(_last_words(str(error)))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _last_words(problem: str) -> str | int:
    """The line that ends this process; of several that train together the first to fail speaks, with its number."""
    rank = _rank()
    if not is_first_to_report():
        return 1
    return f"error: rank {rank}: {problem}" if rank else f"error: {problem}"


def _rank() -> int:
    """This process's number in a team; a RANK without one is of another program's."""
    return int(os.environ.get("RANK", "0")) if os.environ.get("WORLD_SIZE", "1") != "1" else 0


def _stopped(number: int, frame: FrameType | None) -> None:
    sys.exit(1 if _rank() else _last_words(f"stopped by {signal.Signals(number).name}; run it again"))


def _refused(error: OSError) -> str:
    """Where the disk or the system refused, and what to do."""
    said, remedy = os.strerror(error.errno or 0), _REMEDIES.get(error.errno or 0, "mend it")
    return f"{error.filename or 'writing'}: {said}; {remedy}, then run `dvc repro` again"
