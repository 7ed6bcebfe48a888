"""Trackers that fail in every way a tracker can; the trackers are stand-ins for programs outside the project."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.tracking.messages import End, Find, Message, Metrics, Spool, Start, Tags
from segpipe.tracking.run_ids import RunRecords
from segpipe.tracking.tracker import NoSuchRunError, RunFacts
from segpipe.tracking.worker import Worker

START = Start(run=RunFacts(name="unet", inputs="abcdef1234"))


class Remembering:
    """A tracker that remembers what arrives; `fault` sees each call first and may raise or wait."""

    name, place = "memory", "http://ann:secret@tracker"

    def __init__(self, fault: Callable[[str, object], None] = lambda call, value: None) -> None:
        self.arrived: list[tuple[str, object]] = []
        self._fault = fault

    def _take(self, call: str, value: object) -> str:
        self._fault(call, value)
        self.arrived.append((call, value))
        return "id"

    def start(self, run, known_id):
        return self._take("start", run.name)

    def find(self, model_md5, known_id):
        return self._take("find", model_md5)

    def log_metrics(self, values, step, time_ms):
        self._take("metrics", step)

    def log_steps(self, curves, first, time_ms):
        self._take("steps", first)

    def log_picture(self, path, name, step, time_ms):
        self._take("picture", step)

    def log_file(self, path, folder):
        self._take("file", path)

    def log_model(self, path, md5):
        self._take("model", md5)

    def set_tags(self, tags):
        self._take("tags", dict(tags))

    def end(self, status):
        self._take("end", status)


def worker_of(tracker: Remembering, folder: Path, first: Start | Find = START, retry_s: float = 60.0) -> Worker:
    notes = RunRecords(folder)
    note = notes.for_training("unet", "abcdef1234")
    worker = Worker(tracker, first, Spool(folder / "run.jsonl"), notes, note, retry_s)
    worker.start()
    return worker


def epoch(step: int) -> Metrics:
    return Metrics(values={"loss": 1.0}, step=step, time_ms=0)


def kept(folder: Path) -> list[Message]:
    return [message for _, message in Spool(folder / "run.jsonl").of("memory")]


def finish(worker: Worker) -> None:
    worker.close()
    worker.join(10)
    assert not worker.is_alive()


def test_everything_arrives_in_order_and_nothing_is_left(tmp_path):
    tracker = Remembering()
    worker = worker_of(tracker, tmp_path)
    for message in (epoch(0), epoch(1), Tags(tags={"a": "b"}), End(status="FINISHED")):
        worker.put(message)
    finish(worker)
    assert tracker.arrived == [
        ("start", "unet"),
        ("metrics", 0),
        ("metrics", 1),
        ("tags", {"a": "b"}),
        ("end", "FINISHED"),
    ]
    assert not (tmp_path / "run.jsonl").exists()


def test_what_a_dead_tracker_misses_is_kept_and_said_once(tmp_path, caplog):
    def dead(call, value):
        raise ConnectionError("connection to http://ann:secret@tracker refused")

    worker = worker_of(Remembering(dead), tmp_path)
    for message in (epoch(0), epoch(1), End(status="FINISHED")):
        worker.put(message)
    finish(worker)
    assert kept(tmp_path) == [START, epoch(0), epoch(1), End(status="FINISHED")]
    [warning] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning == (
        "tracking: memory at http://tracker fails (connection to http://tracker refused); work goes on, "
        f"what is not sent is kept in {tmp_path / 'run.jsonl'} until it can be"
    )


def test_a_tracker_that_comes_back_gets_all_it_missed(tmp_path):
    down = threading.Event()

    def sometimes(call, value):
        if down.is_set():
            raise ConnectionError("refused")

    tracker = Remembering(sometimes)
    worker = worker_of(tracker, tmp_path, retry_s=0.01)
    worker.put(epoch(0))
    wait_for(lambda: ("metrics", 0) in tracker.arrived)
    down.set()
    worker.put(epoch(1))
    wait_for(lambda: kept(tmp_path) == [epoch(1)])
    worker.put(epoch(2))
    wait_for(lambda: kept(tmp_path) == [epoch(1), epoch(2)])
    down.clear()
    time.sleep(0.02)
    worker.put(epoch(3))
    finish(worker)
    assert [value for call, value in tracker.arrived if call == "metrics"] == [0, 1, 2, 3]
    assert kept(tmp_path) == []


def test_one_refused_message_does_not_hold_up_the_others(tmp_path):
    def picky(call, value):
        if value == 1:
            raise ValueError("1 is not allowed")

    tracker = Remembering(picky)
    worker = worker_of(tracker, tmp_path)
    for message in (epoch(0), epoch(1), epoch(2), End(status="FINISHED")):
        worker.put(message)
    finish(worker)
    assert [value for _, value in tracker.arrived] == ["unet", 0, 2, "FINISHED"]
    assert kept(tmp_path) == [epoch(1)]


def test_a_tracker_that_hangs_keeps_nobody_waiting(tmp_path, caplog):
    released = threading.Event()

    def hang(call, value):
        if value == 1:
            released.wait(30)

    worker = worker_of(Remembering(hang), tmp_path)
    began = time.monotonic()
    for message in (epoch(0), epoch(1), epoch(2), End(status="FINISHED")):
        worker.put(message)
    assert time.monotonic() - began < 1
    worker.close()
    worker.join(0.3)
    worker.give_up(0.3)
    assert kept(tmp_path) == [epoch(1), epoch(2), End(status="FINISHED")]
    assert "no answer in 0.3 s" in caplog.text
    released.set()  # it answers after all: what it has got need not be kept
    worker.join(10)
    assert kept(tmp_path) == [epoch(2), End(status="FINISHED")]


def test_who_waits_for_the_end_does_not_wait_for_a_slow_failure_twice(tmp_path, monkeypatch):
    calls = []

    def slow(call, value):
        calls.append(call)
        time.sleep(0.02)
        raise ConnectionError("timed out")

    monkeypatch.setattr("segpipe.tracking.worker._SLOW_S", 0.01)
    worker = worker_of(Remembering(slow), tmp_path)
    worker.put(epoch(0))
    finish(worker)
    assert calls == ["start"]
    assert kept(tmp_path) == [START, epoch(0)]


def test_the_next_training_of_the_run_sends_what_was_kept(tmp_path):
    def dead(call, value):
        raise ConnectionError("refused")

    worker = worker_of(Remembering(dead), tmp_path)
    for message in (epoch(0), epoch(1), End(status="KILLED")):
        worker.put(message)
    finish(worker)

    tracker = Remembering()
    worker = worker_of(tracker, tmp_path)
    worker.put(epoch(2))
    finish(worker)
    assert tracker.arrived == [("start", "unet"), ("metrics", 0), ("metrics", 1), ("metrics", 2)]
    assert kept(tmp_path) == []


def test_the_evaluation_of_a_run_that_never_reached_the_tracker_starts_it(tmp_path):
    def dead(call, value):
        raise ConnectionError("refused")

    worker = worker_of(Remembering(dead), tmp_path)
    worker.put(epoch(0))
    worker.put(End(status="FINISHED"))
    finish(worker)

    tracker = Remembering()
    worker = worker_of(tracker, tmp_path, first=Find(model_md5="0" * 32))
    worker.put(epoch(1))
    worker.put(End(status="FINISHED"))
    finish(worker)
    assert tracker.arrived == [("start", "unet"), ("metrics", 0), ("metrics", 1), ("end", "FINISHED")]


def test_where_no_run_is_found_nothing_is_sent_and_nothing_kept(tmp_path, caplog):
    def nobody(call, value):
        if call == "find":
            raise NoSuchRunError("no run has trained model 0")

    tracker = Remembering(nobody)
    worker = worker_of(tracker, tmp_path, first=Find(model_md5="0" * 32))
    worker.put(epoch(0))
    finish(worker)
    assert tracker.arrived == []
    assert kept(tmp_path) == []
    assert "tracking: no run has trained model 0; nothing is added to memory" in caplog.text


def test_a_spool_that_cannot_be_written_stops_nobody(tmp_path, caplog):
    def dead(call, value):
        raise ConnectionError("refused")

    (tmp_path / "run.jsonl").mkdir()
    notes = RunRecords(tmp_path)
    spool = Spool(tmp_path / "run.jsonl")
    worker = Worker(Remembering(dead), START, spool, notes, notes.for_training("unet", "abcdef1234"), 60.0)
    worker.start()
    finish(worker)
    assert "run.jsonl cannot be written" in caplog.text


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "waited 10 s in vain"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def _warnings_and_more(caplog):
    caplog.set_level(logging.INFO)
