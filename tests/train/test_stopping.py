import os
import signal
import threading

import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.train.stopping import Stopped, StopSignals
from tests.train import tiny


def test_a_signal_is_noted_and_ends_the_items():
    with StopSignals() as signals:
        items = signals.watched(range(5))
        assert next(items) == 0
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped, match="SIGTERM"):
            next(items)


def test_a_second_signal_ends_at_once():
    with StopSignals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_afterwards_signals_do_what_they_did_before():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_another_thread_nothing_is_changed():
    seen = []

    def work():
        with StopSignals() as signals:
            seen.extend(signals.watched(range(3)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0, 1, 2]


def stopped_at(call, owner, name, number, monkeypatch):
    """Send this process `number` in the `call`-th call of a library's function."""
    function, calls = getattr(owner, name), [0]

    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), number)
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)


@pytest.mark.parametrize(
    ("owner", "name", "call", "number", "said"),
    [
        (torch.optim.AdamW, "step", 5, signal.SIGTERM, "training, epoch 2: stopped by SIGTERM after step 2"),
        (torch, "bincount", 1, signal.SIGINT, "training, epoch 1: stopped by SIGINT after step 3"),  # in validation
        (torch.optim.AdamW, "step", 9, signal.SIGINT, "training, epoch 3: stopped by SIGINT after step 3"),  # the last
    ],
)
def test_a_stopped_training_is_saved_said_and_goes_on(tmp_path, monkeypatch, owner, name, call, number, said):
    data = tiny.data(train=6, val=4)
    whole, _ = tiny.fit(tmp_path / "whole", data, tiny.recipe(ema_decay=0.9))
    with monkeypatch.context() as patched:
        stopped_at(call, owner, name, number, patched)
        with pytest.raises(UserError) as caught:
            tiny.fit(tmp_path / "cut", data, tiny.recipe(ema_decay=0.9))
    assert str(caught.value) == f"{said}; run it again and it goes on from here"
    resumed, _ = tiny.fit(tmp_path / "cut", data, tiny.recipe(ema_decay=0.9))
    tiny.save(tmp_path / "a.pt", whole)
    tiny.save(tmp_path / "b.pt", resumed)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_where_nothing_can_be_saved_that_is_said_too(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("where the folder should be")
    stopped_at(2, torch.optim.AdamW, "step", signal.SIGTERM, monkeypatch)
    with pytest.raises(UserError, match=r"stopped by SIGTERM after step 2; it could not be saved$"):
        tiny.fit(tmp_path / "file", tiny.data(), tiny.recipe())
