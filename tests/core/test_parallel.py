import logging
import os
import re
import signal
import subprocess
import sys
import weakref
from contextlib import suppress
from typing import ClassVar

import pytest

from segpipe.core import parallel
from segpipe.core.errors import UserError
from segpipe.core.parallel import map_ordered, pace


def _square(number: int) -> int:
    return number * number


def test_results_come_in_order_with_any_number_of_workers():
    numbers = list(range(101))
    expected = [n * n for n in numbers]
    for workers in (1, 2, 3):
        assert list(map_ordered(_square, numbers, workers, "numbers")) == expected
    assert list(map_ordered(_square, [], 2, "numbers")) == []


class Thing:
    """An item that is counted while it exists in this process."""

    alive: ClassVar = weakref.WeakSet()

    def __init__(self, held: int = 0) -> None:
        self.held = held

    def __setstate__(self, state: dict) -> None:
        self.__dict__ = state
        Thing.alive.add(self)


def _counted(thing: Thing) -> Thing:
    return Thing(len(Thing.alive))


def test_only_items_in_flight_are_in_memory():
    things = [Thing() for _ in range(1000)]
    peak, at_work = 0, []
    for result in map_ordered(_counted, things, 2, "things"):
        peak = max(peak, len(Thing.alive))
        at_work.append(result.held)
    assert max(at_work) <= parallel._MAX_CHUNK
    assert 0 < peak <= (2 * parallel._IN_FLIGHT + 2) * parallel._MAX_CHUNK  # of 1000


def test_the_last_line_reports_the_pace(caplog):
    caplog.set_level(logging.INFO)
    for workers in (1, 2):
        results = map_ordered(_square, [1, 2, 3, 4], workers, "numbers")
        for _ in range(4):
            next(results)  # a reader that stops after the last result
        (line,) = [record.getMessage() for record in caplog.records]
        assert re.fullmatch(r"4 numbers in [\d.]+ s, [\d.]+ per second; \d+% of the time .*: limited by .*", line)
        caplog.clear()


def test_with_sizes_each_item_is_a_job_and_the_lines_count_what_is_in_it(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(parallel, "_REPORT_SECONDS", -1)
    for workers in (1, 2):
        things = [Thing() for _ in range(40)]
        results = list(map_ordered(_counted, things, workers, "images checked", sizes=[200] * 39 + [0]))
        assert max(result.held for result in results) <= 1
        lines = [record.getMessage() for record in caplog.records]
        assert [line.partition(" images checked")[0] for line in lines[:2]] == ["200 of 7800", "400 of 7800"]
        assert lines[-1].startswith("7800 images checked in ")
        assert len(lines) == 40
        caplog.clear()


def test_the_pace_names_what_limits_it():
    assert pace(90, "masks", 3.0, 0.9).endswith("; 90% of the time computing: limited by the processors")
    assert pace(1, "masks", 2.0, 0.5).endswith("; 50% of the time computing: limited by reading, writing or other work")


def _kill_this_process(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_worker_is_reported_in_one_line():
    with pytest.raises(UserError) as error:
        list(map_ordered(_kill_this_process, [1, 2], 2, "numbers"))
    assert str(error.value) == (
        "the system ended a worker process, most often because memory ran out; lower compute.workers in params.yaml "
        "and run `dvc repro` again"
    )


def _interrupt_this_process(number: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return number


def test_workers_ignore_ctrl_c():
    assert list(map_ordered(_interrupt_this_process, [1, 2], 2, "numbers")) == [1, 2]


NAPS = """
import time
import segpipe.core.interrupts
from segpipe.core.command import run
from segpipe.core.parallel import map_ordered

def nap(number):
    print("asleep", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    run(lambda: list(map_ordered(nap, range(9), 2, "naps")))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_no_process_outlives_the_stage(tmp_path, number):
    (tmp_path / "naps.py").write_text(NAPS)
    stage = subprocess.Popen(
        [sys.executable, "-m", "naps"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert stage.stdout is not None
    try:
        assert [stage.stdout.readline(), stage.stdout.readline()] == ["asleep\n"] * 2
        if number == signal.SIGINT:  # a terminal sends it to every process
            os.killpg(stage.pid, number)
        else:
            stage.send_signal(number)
        _, stderr = stage.communicate(timeout=20)  # the pipes close when the last process has ended
    finally:
        with suppress(ProcessLookupError):
            os.killpg(stage.pid, signal.SIGKILL)
    if number != signal.SIGKILL:
        assert stderr == f"error: stopped by {'Ctrl-C' if number == signal.SIGINT else 'SIGTERM'}; run it again\n"


def test_workers_start_without_any_output(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/stage.py").write_text(
        "from segpipe.core.parallel import map_ordered\n"
        "if __name__ == '__main__':\n"
        "    print(list(map_ordered(abs, [-1, -2], 2, 'numbers')))\n"
    )
    done = subprocess.run([sys.executable, "-m", "work.stage"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")  # Python warns if a module is imported before it is run
