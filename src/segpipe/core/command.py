"""Stages and commands as processes: their log, and one line for an error that the user can fix."""

import errno
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import yaml

from segpipe.core import files, machine
from segpipe.core.errors import REPORTED, LedgerError, StoppedError, UserError, is_first_to_report

_LOST_PROCESS = re.compile("gloo/transport|NCCL")  # PyTorch's message when another process of a training has ended
_REMEDIES = {
    errno.ENOSPC: "free some space on the disk",
    errno.EDQUOT: "free some of your space on the disk",
    errno.EACCES: "give yourself permission to read and write it",
    errno.EPERM: "give yourself permission to read and write it",
    errno.EROFS: "work on a disk that is not read-only",
}
_OUT_OF_MEMORY = f"{machine.OUT_OF_MEMORY}, then run `dvc repro` again"


def run_stage(name: str, main: Callable[[], None]) -> None:
    """Run a stage of dvc.yaml as `run` does. First remove the temporary files of its outputs that a kill has left."""

    def start() -> None:
        if not _rank():
            for path in outputs(name):
                files.remove_parts(path)
        main()

    run(start)


def outputs(stage: str, pipeline: Path = Path("dvc.yaml")) -> list[Path]:
    """The files and folders that a stage of dvc.yaml writes; none without that file, or if a template names them."""
    if not pipeline.is_file():
        return []
    declared = yaml.safe_load(pipeline.read_text(encoding="utf-8"))["stages"].get(stage, {})
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in declared.get(kind, [])]
    paths = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return [Path(path) for path in paths if "${" not in path]


def run(main: Callable[[], None], prefix: str = "error") -> None:
    """Run a stage or a command: its log goes to stderr; an error that the user can fix is one line and exit code 1.

    prefix: the start of that line. SIGTERM ends the process as Ctrl-C does: a tracked run is closed.
    """

    def line(problem: str) -> str | int:
        return _error_line(problem, prefix)

    def exit_on_signal(number: int, frame: FrameType | None) -> None:
        sys.exit(1 if _rank() else line(f"stopped by {signal.Signals(number).name}; run it again"))

    signal.signal(signal.SIGTERM, exit_on_signal)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        main()
    except MemoryError:
        sys.exit(line(_OUT_OF_MEMORY))
    except FileNotFoundError as error:
        sys.exit(line(f"{error.filename or error}: no such file; `dvc repro` runs the stages that write it"))
    except OSError as error:
        if error.errno not in _REMEDIES and not error.filename:
            raise  # not about a file: a bug in segpipe
        sys.exit(line(_file_problem(error)))
    except RuntimeError as error:
        if machine.is_out_of_memory(error):
            sys.exit(line(_OUT_OF_MEMORY))
        if not _LOST_PROCESS.search(str(error)):
            raise
        if REPORTED not in os.environ:  # otherwise the launcher of the processes reports which one has ended
            sys.stderr.write(f"{line(f'another process has ended ({str(error)[:200]})')}\n")
        sys.stderr.flush()
        os._exit(1)  # after an orderly exit PyTorch's threads sometimes abort the process
    except StoppedError as error:
        sys.exit(1 if _rank() else line(str(error)))  # every process is stopped; rank 0 has saved
    except (LedgerError, UserError) as error:
        sys.exit(line(str(error)))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def print_result(lines: Iterable[str]) -> None:
    """Print the lines to stdout. It is not an error if the reader has closed the pipe (`| head`)."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _error_line(problem: str, prefix: str) -> str | int:
    """The exit value of this process: its error line, or 1 if another process of the training has reported one."""
    rank = _rank()
    if not is_first_to_report():
        return 1
    return f"{prefix}: rank {rank}: {problem}" if rank else f"{prefix}: {problem}"


def _rank() -> int:
    """The rank of this process; RANK without WORLD_SIZE belongs to another program."""
    return int(os.environ.get("RANK", "0")) if os.environ.get("WORLD_SIZE", "1") != "1" else 0


def _file_problem(error: OSError) -> str:
    code = error.errno or 0
    remedy = _REMEDIES.get(code, "fix it")
    return f"{error.filename or 'writing'}: {os.strerror(code)}; {remedy}, then run `dvc repro` again"
