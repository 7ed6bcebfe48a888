import io
import logging
import sys

from segpipe.train.history import EpochRecord
from segpipe.train.progress import Progress

RECORD = EpochRecord(
    epoch=1,
    step=20,
    complete=True,
    train_loss=1.25,
    val_loss=None,
    val_miou=0.5,
    val_iou={},
    lr=1e-3,
    images_per_second=8.0,
    data_wait_share=0.0,
    seconds=10.0,
    memory_mib=500.0,
    validation_seconds=1.0,
    all_ignore_batches=0,
    redrawn_crops=0,
    is_best=True,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_a_bar_with_loss_score_pace_and_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(epochs=2, steps=20, batch_size=4, done_steps=10) as progress:
        progress.epoch(RECORD)
        for step in range(20):
            progress.step(2, step + 1, 0.75)
    output = terminal.getvalue()
    assert "epoch 1/2: loss 1.250, val loss -, mIoU 0.500 (best), 8.0 images/s" in output
    last = output.split("\r")[-1]
    assert last.startswith("epoch 2/2")
    assert "120/160" in last  # 10 + 20 of 40 steps of 4 images
    assert "img" in last
    assert "loss 0.750, mIoU 0.500" in last


def test_a_log_has_a_line_for_about_every_tenth_of_a_long_epoch(caplog):
    with caplog.at_level(logging.INFO), Progress(2, 50, 4, 0, line_seconds=0.0) as progress:
        for step in range(50):
            progress.step(1, step + 1, 0.75)
    assert len(caplog.messages) == 9  # 10 % to 90 %; the end has the line of the epoch
    assert caplog.messages[0].startswith("epoch 1/2, 10 %: loss 0.750, ")
    assert caplog.messages[0].endswith(" left")


def test_a_log_has_one_line_for_a_short_epoch(caplog):
    with caplog.at_level(logging.INFO), Progress(2, 20, 4, 0) as progress:
        for step in range(20):
            progress.step(1, step + 1, 0.75)
        progress.epoch(RECORD)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("epoch 1/2: loss 1.250, val loss -, mIoU 0.500 (best), 8.0 images/s, 0:00:0")
