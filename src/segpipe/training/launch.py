"""Start one command as several processes that train together on this machine, as torchrun does on several."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from types import FrameType

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 60.0  # a process that is told to end may write its checkpoint first


def is_launched() -> bool:
    """Whether this process is already one of several. Some batch systems set WORLD_SIZE=1 for everybody."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def launch(command: Sequence[str], processes: int) -> int:
    """Run `command` in so many processes and wait. Returns 0, or the exit status of the first that failed.

    Signals are passed on, once to each process. Where one fails, the others are told to end.
    """
    port = _free_port()
    # In sessions of their own: a terminal's Ctrl-C reaches only this process, which passes it on.
    team = [
        subprocess.Popen(command, env=_environment(rank, processes, port), start_new_session=True)
        for rank in range(processes)
    ]

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in team:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _first_failure(team)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_failure(team: Sequence["subprocess.Popen[bytes]"]) -> int:
    failure, until = 0, float("inf")
    while None in (statuses := [process.poll() for process in team]):
        failed = [status for status in statuses if status]
        if failed and not failure:
            failure, until = failed[0], time.monotonic() + _GRACE_SECONDS
            for process in team:
                process.terminate()
        if time.monotonic() > until:
            for process in team:
                process.kill()
        time.sleep(_POLL_SECONDS)
    return failure or next((process.returncode for process in team if process.returncode), 0)


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
