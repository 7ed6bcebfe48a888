"""Start one command as several processes that train together on this machine, as torchrun does on several."""

import logging
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from segpipe.core.errors import REPORTED

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 60.0  # a process that is told to end may write its checkpoint first


def is_launched() -> bool:
    """Whether this process is already one of several. Some batch systems set WORLD_SIZE=1 for everybody."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def launch(command: Sequence[str], processes: int) -> int:
    """Run `command` in so many processes and wait. Returns 0, or the exit status of the first that failed.

    Signals are passed on, once to each process. Where one fails, the others have to end; a line names it
    if it has not reported an error itself.
    """
    port, signals = _free_port(), list[int]()
    with tempfile.TemporaryDirectory() as folder:
        reported = Path(folder) / "reported"
        # Each in a new session: a terminal's Ctrl-C reaches only this process, which passes it on.
        team = [
            subprocess.Popen(
                command, env=_environment(rank, processes, port) | {REPORTED: str(reported)}, start_new_session=True
            )
            for rank in range(processes)
        ]

        def pass_on(number: int, frame: FrameType | None) -> None:
            signals.append(number)
            for process in team:
                process.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            rank, status = _first_failure(team, signals)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if status and not signals and not reported.exists():
            _log.error("error: rank %d of %d processes %s", rank, processes, _end(status))
        return status


def _first_failure(team: Sequence["subprocess.Popen[bytes]"], signals: Sequence[int]) -> tuple[int, int]:
    """Rank and exit status of the first that failed, once all have ended; 0, 0 if none did.

    signals: those that were passed on so far; after one all end by themselves, and the first of them saves.
    """
    failure, until = (0, 0), float("inf")
    while True:
        statuses = [process.poll() for process in team]
        failed = [(rank, status) for rank, status in enumerate(statuses) if status]
        if failed and failure == (0, 0):
            # One that a signal ended comes first: the others fail, or abort, for want of it.
            failure = min(failed, key=lambda one: one[1] > 0 or one[1] == -signal.SIGABRT)
            until = time.monotonic() + _GRACE_SECONDS
            for process in team if not signals else ():
                process.terminate()
        if None not in statuses:
            return failure
        if time.monotonic() > until:
            for process in team:
                process.kill()
        time.sleep(_POLL_SECONDS)


def _end(status: int) -> str:
    """How a process ended, and what to do."""
    if status > 0:
        return f"ended with exit status {status}"
    why = ", most often for want of memory" if status == -signal.SIGKILL else ""
    again = "run it again and it goes on from the last checkpoint"
    return f"was ended by {signal.Signals(-status).name}{why}; {again}"


def _environment(rank: int, size: int, port: int) -> dict[str, str]:
    """What torch.distributed reads; and each process gets its part of the cores."""
    threads = str(max(1, (os.cpu_count() or 1) // size))
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    values = {name: str(value) for name, value in place.items()}
    # A torchrun around this one would have the processes meet at its port.
    around = {name: value for name, value in os.environ.items() if not name.startswith("TORCHELASTIC_")}
    return {"OMP_NUM_THREADS": threads} | around | values | {"MASTER_ADDR": "127.0.0.1"}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
