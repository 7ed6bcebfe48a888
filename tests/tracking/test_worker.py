"""Workers with trackers that fail in every way; the trackers stand in for programs outside the project."""

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


class RecordingTracker:
    """A tracker that records its calls; `fault` gets each call first and may raise or wait."""

    name, place = "memory", "http://ann:secret@tracker"

    def __init__(self, fault: Callable[[str, object], None] = lambda call, value: None) -> None:
        self.arrived: list[tuple[str, object]] = []
        self._fault = fault

    def _record(self, call: str, value: object) -> str:
        self._fault(call, value)
        self.arrived.append((call, value))
        return "id"

    def start(self, run, known_id):
        return self._record("start", run.name)

    def find(self, model_md5, known_id):
        return self._record("find", model_md5)

    def log_metrics(self, values, step, time_ms):
        self._record("metrics", step)

    def log_steps(self, curves, first, time_ms):
        self._record("steps", first)

    def log_picture(self, path, name, step, time_ms):
        self._record("picture", step)

    def log_file(self, path, folder):
        self._record("file", path)

    def log_model(self, path, md5):
        self._record("model", md5)

    def set_tags(self, tags):
        self._record("tags", dict(tags))

    def end(self, status):
        self._record("end", status)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def worker_of(
    tracker: RecordingTracker, folder: Path, first: Start | Find = START, clock: Callable[[], float] = time.monotonic
) -> Worker:
    """A started worker that tries again after 60 seconds of `clock`."""
    records = RunRecords(folder)
    record = records.for_training("unet", "abcdef1234")
    worker = Worker(tracker, first, Spool(folder / "run.jsonl"), records, record, retry_s=60.0, clock=clock)
    worker.start()
    return worker


def epoch(step: int) -> Metrics:
    return Metrics(values={"loss": 1.0}, step=step, time_ms=0)


def spooled(folder: Path) -> list[Message]:
    return [message for _, message in Spool(folder / "run.jsonl").of("memory")]


def finish(worker: Worker) -> None:
    worker.close()
    worker.join(10)
    assert not worker.is_alive()


def test_all_messages_arrive_in_order_and_the_spool_is_empty(tmp_path):
    tracker = RecordingTracker()
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


def test_messages_to_a_dead_tracker_are_spooled_with_one_warning(tmp_path, caplog):
    def dead(call, value):
        raise ConnectionError("connection to http://ann:secret@tracker refused")

    worker = worker_of(RecordingTracker(dead), tmp_path)
    for message in (epoch(0), epoch(1), End(status="FINISHED")):
        worker.put(message)
    finish(worker)
    assert spooled(tmp_path) == [START, epoch(0), epoch(1), End(status="FINISHED")]
    [warning] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning == (
        "tracking: memory at http://tracker fails (connection to http://tracker refused); the run goes on; "
        f"unsent data is in {tmp_path / 'run.jsonl'} and will be sent later"
    )


def test_a_tracker_that_works_again_gets_all_messages(tmp_path):
    down = threading.Event()

    def sometimes(call, value):
        if down.is_set():
            raise ConnectionError("refused")

    tracker, clock = RecordingTracker(sometimes), Clock()
    worker = worker_of(tracker, tmp_path, clock=clock)
    worker.put(epoch(0))
    wait_for(lambda: ("metrics", 0) in tracker.arrived)
    down.set()
    worker.put(epoch(1))
    wait_for(lambda: spooled(tmp_path) == [epoch(1)])
    worker.put(epoch(2))
    wait_for(lambda: spooled(tmp_path) == [epoch(1), epoch(2)])
    down.clear()
    clock.now_s = 60.0
    worker.put(epoch(3))
    finish(worker)
    assert [value for call, value in tracker.arrived if call == "metrics"] == [0, 1, 2, 3]
    assert spooled(tmp_path) == []


def test_a_refused_message_does_not_stop_the_others(tmp_path):
    def picky(call, value):
        if value == 1:
            raise ValueError("1 is not allowed")

    tracker = RecordingTracker(picky)
    worker = worker_of(tracker, tmp_path)
    for message in (epoch(0), epoch(1), epoch(2), End(status="FINISHED")):
        worker.put(message)
    finish(worker)
    assert [value for _, value in tracker.arrived] == ["unet", 0, 2, "FINISHED"]
    assert spooled(tmp_path) == [epoch(1)]


def test_a_tracker_that_hangs_does_not_block_the_caller(tmp_path, caplog):
    hanging, released = threading.Event(), threading.Event()

    def hang(call, value):
        if value == 1:
            hanging.set()
            released.wait(30)

    tracker = RecordingTracker(hang)
    worker = worker_of(tracker, tmp_path)
    worker.put(epoch(0))
    worker.put(epoch(1))
    assert hanging.wait(10)
    for message in (epoch(2), End(status="FINISHED")):
        worker.put(message)
    worker.close()
    worker.join(0.3)
    worker.give_up(0.3)
    assert tracker.arrived[-1] == ("metrics", 0)  # all of this while the tracker hangs in the next call
    assert spooled(tmp_path) == [epoch(1), epoch(2), End(status="FINISHED")]
    assert "no answer in 0.3 s" in caplog.text
    released.set()  # now it answers, so this message is removed from the spool
    worker.join(10)
    assert spooled(tmp_path) == [epoch(2), End(status="FINISHED")]


def test_close_does_not_repeat_a_slow_failure(tmp_path):
    calls, clock = [], Clock()

    def slow(call, value):
        calls.append(call)
        clock.now_s += 3.0
        raise ConnectionError("timed out")

    worker = worker_of(RecordingTracker(slow), tmp_path, clock=clock)
    worker.put(epoch(0))
    finish(worker)
    assert calls == ["start"]
    assert spooled(tmp_path) == [START, epoch(0)]


def test_the_next_training_of_the_run_sends_the_spooled_messages(tmp_path):
    def dead(call, value):
        raise ConnectionError("refused")

    worker = worker_of(RecordingTracker(dead), tmp_path)
    for message in (epoch(0), epoch(1), End(status="KILLED")):
        worker.put(message)
    finish(worker)

    tracker = RecordingTracker()
    worker = worker_of(tracker, tmp_path)
    worker.put(epoch(2))
    finish(worker)
    assert tracker.arrived == [("start", "unet"), ("metrics", 0), ("metrics", 1), ("metrics", 2)]
    assert spooled(tmp_path) == []


def test_the_evaluation_starts_a_run_that_never_reached_the_tracker(tmp_path):
    def dead(call, value):
        raise ConnectionError("refused")

    worker = worker_of(RecordingTracker(dead), tmp_path)
    worker.put(epoch(0))
    worker.put(End(status="FINISHED"))
    finish(worker)

    tracker = RecordingTracker()
    worker = worker_of(tracker, tmp_path, first=Find(model_md5="0" * 32))
    worker.put(epoch(1))
    worker.put(End(status="FINISHED"))
    finish(worker)
    assert tracker.arrived == [("start", "unet"), ("metrics", 0), ("metrics", 1), ("end", "FINISHED")]


def test_without_a_run_of_the_model_nothing_is_sent_or_spooled(tmp_path, caplog):
    def nobody(call, value):
        if call == "find":
            raise NoSuchRunError("no run has trained model 0")

    tracker = RecordingTracker(nobody)
    worker = worker_of(tracker, tmp_path, first=Find(model_md5="0" * 32))
    worker.put(epoch(0))
    finish(worker)
    assert tracker.arrived == []
    assert spooled(tmp_path) == []
    assert "tracking: no run has trained model 0; nothing is added to memory" in caplog.text


def test_a_spool_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    def dead(call, value):
        raise ConnectionError("refused")

    (tmp_path / "run.jsonl").mkdir()
    worker = worker_of(RecordingTracker(dead), tmp_path)
    finish(worker)
    assert "run.jsonl cannot be written" in caplog.text


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "the condition was not met in 10 s"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def _log_infos_too(caplog):
    caplog.set_level(logging.INFO)
