"""Stages ended by a full disk, missing permissions, missing memory or a signal: one line, and no incomplete file."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from segpipe.core.command import run
from segpipe.core.files import write_bytes
from tests.conftest import ROOT
from tests.disk import full_disk


def test_a_full_disk_leaves_the_old_file_and_no_incomplete_one(tmp_path):
    path = tmp_path / "a.png"
    write_bytes(path, b"old")
    with full_disk(1000), pytest.raises(OSError, match="File too large") as error:
        write_bytes(path, bytes(2000))
    assert error.value.filename == str(path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.png", b"old")]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "error: data/masks/a.png: No space left on device; free some space on the disk, "),
        (errno.EACCES, "error: data/masks/a.png: Permission denied; give yourself permission to read and write it, "),
        (errno.EROFS, "error: data/masks/a.png: Read-only file system; work on a disk that is not read-only, "),
        (errno.EIO, "error: data/masks/a.png: Input/output error; fix it, "),
    ],
)
def test_an_error_of_the_disk_is_one_line(code, message):
    def refused() -> None:
        raise OSError(code, os.strerror(code), "data/masks/a.png")

    with pytest.raises(SystemExit) as end:
        run(refused)
    assert end.value.code == message + "then run `dvc repro` again"


def test_missing_memory_is_one_line_also_if_pytorch_reports_it():
    with pytest.raises(SystemExit) as end:
        run(lambda: torch.empty(10**15))
    assert str(end.value.code).startswith("error: not enough memory; free some, ")


@pytest.mark.parametrize(
    ("moment", "number", "name"),
    [
        ("while modules are imported", signal.SIGINT, "Ctrl-C"),
        ("while it runs", signal.SIGINT, "Ctrl-C"),
        ("while it runs", signal.SIGTERM, "SIGTERM"),
    ],
)
def test_a_signal_is_one_line_at_any_moment(tmp_path, moment, number, name):
    running = "command.run(lambda: (print(1, flush=True), time.sleep(60)))"
    importing = "print(1, flush=True); time.sleep(60)"
    code = (
        f"import time, stages; from segpipe.core import command; {running if moment == 'while it runs' else importing}"
    )
    stage = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert stage.stdout is not None
    stage.stdout.readline()
    time.sleep(0.2)
    stage.send_signal(number)
    _, stderr = stage.communicate(timeout=30)
    assert stderr == f"error: stopped by {name}; run it again\n"
    assert stage.returncode != 0
