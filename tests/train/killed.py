"""Trainings that are killed at a given moment and resumed: a program for test_resume.py.

usage: python -m tests.train.killed FOLDER
Every run is a fork of this process, which imports PyTorch once and computes nothing itself. Prints one JSON line with
four entries per scenario: the exit statuses of the killed runs and of the last run, the number of steps of the last
run, and whether its model file has the bytes of an uninterrupted run.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from tests.train import tiny

DATA_SIZE = {"train": 6, "val": 2}
STEPS = 9  # 3 epochs of 3 steps
RARELY = "with few checkpoints"  # after the first step and at the end; the other scenarios save after each step
# One kill per run: in the call of this number of a library's function.
SCENARIOS = {
    "in the first step": [("step", 1)],
    "in the second epoch": [("step", 5)],
    "in a checkpoint's write": [("fsync", 4)],
    "after a checkpoint's write": [("replace", 6)],
    "in the validation": [("bincount", 2)],
    "three times": [("step", 3), ("fsync", 2), ("step", 2)],
    RARELY: [("step", 8)],
}


def kill_at(place: str, call: int) -> None:
    """Kill this process in (for "replace": after) the `call`-th call of a function."""
    owner, name = {
        "step": (torch.optim.AdamW, "step"),
        "fsync": (os, "fsync"),
        "replace": (Path, "replace"),
        "bincount": (torch, "bincount"),
    }[place]
    function, calls = getattr(owner, name), [0]

    def counted(*args, **kwargs):
        calls[0] += 1
        is_last = calls[0] == call
        if is_last and place != "replace":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


def forked(work) -> int:
    """Run `work` in a child process. Returns its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def train(folder: Path, minutes: float = 0) -> None:
    """Train to the end; write the model and the number of steps. minutes: between checkpoints."""
    steps, step = [0], torch.optim.AdamW.step

    def counted(*args, **kwargs):
        steps[0] += 1
        return step(*args, **kwargs)

    torch.optim.AdamW.step = counted
    network, _ = fit(folder, minutes)
    tiny.save(folder / "model.bin", network)
    (folder / "steps").write_text(str(steps[0]))


def killed(folder: Path, minutes: float, place: str, call: int) -> None:
    kill_at(place, call)
    fit(folder, minutes)


def fit(folder: Path, minutes: float):
    return tiny.fit(folder, tiny.data(**DATA_SIZE), tiny.recipe(checkpoint_minutes=minutes, ema_decay=0.9))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    assert forked(lambda: train(folder / "whole")) == 0
    expected, report = (folder / "whole" / "model.bin").read_bytes(), {}
    for number, (name, kills) in enumerate(SCENARIOS.items()):
        place, minutes = folder / str(number), 60 if name == RARELY else 0
        statuses = [forked(lambda k=kill, p=place, m=minutes: killed(p, m, *k)) for kill in kills]
        report[name] = {
            "statuses": statuses,
            "end": forked(lambda p=place, m=minutes: train(p, m)),
            "steps": int((place / "steps").read_text()),
            "is_equal": (place / "model.bin").read_bytes() == expected,
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
