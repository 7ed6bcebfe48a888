import os
import signal
import threading
import time

import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.train.stopping import Budget, StopRequested, StopSignals
from tests.train import tiny


def test_after_a_signal_no_further_item_is_yielded():
    with StopSignals() as signals:
        items = signals.checked(range(5))
        assert next(items) == 0
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRequested, match="SIGTERM"):
            next(items)


def test_a_second_signal_has_its_usual_effect():
    with StopSignals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_are_restored():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_another_thread_nothing_is_changed():
    seen = []

    def work():
        with StopSignals() as signals:
            seen.extend(signals.checked(range(3)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0, 1, 2]


def send_at(call, owner, name, number, monkeypatch):
    """Send signal `number` to this process in the `call`-th call of a library's function."""
    function, calls = getattr(owner, name), [0]

    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), number)
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)


@pytest.mark.parametrize(
    ("owner", "name", "call", "number", "message"),
    [
        (torch.optim.AdamW, "step", 5, signal.SIGTERM, "training, epoch 2: stopped by SIGTERM after step 2"),
        (torch, "bincount", 1, signal.SIGINT, "training, epoch 1: stopped by SIGINT after step 3"),  # in validation
        (torch.optim.AdamW, "step", 9, signal.SIGINT, "training, epoch 3: stopped by SIGINT after step 3"),  # the last
    ],
)
def test_a_stopped_training_is_saved_and_continues_as_if_not_stopped(
    tmp_path, monkeypatch, owner, name, call, number, message
):
    data = tiny.data(train=6, val=4)
    whole, _ = tiny.fit(tmp_path / "whole", data, tiny.recipe(ema_decay=0.9))
    with monkeypatch.context() as patched:
        send_at(call, owner, name, number, patched)
        with pytest.raises(UserError) as caught:
            tiny.fit(tmp_path / "cut", data, tiny.recipe(ema_decay=0.9))
    assert str(caught.value) == f"{message}; run it again to continue from here"
    resumed, _ = tiny.fit(tmp_path / "cut", data, tiny.recipe(ema_decay=0.9))
    tiny.save(tmp_path / "a.pt", whole)
    tiny.save(tmp_path / "b.pt", resumed)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_a_stopped_training_reports_that_its_checkpoint_could_not_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file where the folder should be")
    send_at(2, torch.optim.AdamW, "step", signal.SIGTERM, monkeypatch)
    with pytest.raises(UserError, match=r"stopped by SIGTERM after step 2; the checkpoint could not be written$"):
        tiny.fit(tmp_path / "file", tiny.data(), tiny.recipe())


def test_without_a_limit_the_budget_is_never_spent():
    assert not Budget(None, used=1e9, validation=1e9).is_spent()


def test_time_is_reserved_for_a_validation():
    assert not Budget(100, used=80, validation=10).is_spent()  # 80 + 12 < 100
    assert Budget(100, used=90, validation=10).is_spent()  # 90 + 12 > 100


def test_time_is_reserved_for_a_checkpoint():
    assert Budget(100, used=80, validation=10, saving=8).is_spent()  # 80 + 12 + 9.6 > 100


def test_the_time_of_earlier_processes_counts():
    assert Budget(10, used=11).is_spent()


def test_the_budget_is_used_as_the_clock_runs():
    clock = iter([100.0, 103.0, 104.0, 106.0]).__next__
    budget = Budget(10, used=5, clock=clock)
    assert budget.used == 5 + 3
    assert not budget.is_spent()  # 5 + 4
    assert budget.is_spent()  # 5 + 6


def test_by_default_the_clock_is_real_time():
    budget = Budget(10, used=5)
    before = budget.used
    time.sleep(0.01)
    assert 5 <= before < budget.used


def test_the_first_validation_is_estimated_from_the_training_steps():
    budget = Budget(100, used=60)
    budget.guess_validation(seconds_per_image=1.0, images=80)  # half of the training time: 40 s
    assert budget.is_spent()
