import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.train.killed", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _environment():
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def test_the_killed_runs_were_killed_and_the_last_one_ended(report):
    for name, result in report.items():
        assert set(result["statuses"]) == {-signal.SIGKILL}, name
        assert result["end"] == 0, name


def test_a_run_killed_at_any_moment_ends_with_the_bytes_of_an_uninterrupted_run(report):
    assert {name: result["is_equal"] for name, result in report.items()} == dict.fromkeys(report, True)


def test_the_last_run_continues_from_the_last_checkpoint(report):
    # 9 steps in all, a checkpoint after each step and after each epoch.
    assert {name: result["steps"] for name, result in report.items()} == {
        "in the first step": 9,
        "in the second epoch": 9 - 4,  # killed in step 5
        "in a checkpoint's write": 9 - 3,  # steps 1, 2, 3 are saved, epoch 1 is not: its validation is repeated
        "after a checkpoint's write": 9 - 5,  # steps 1, 2, 3, epoch 1, steps 4, 5
        "in the validation": 9 - 6,  # killed after the second epoch's last step
        "three times": 9 - 4,  # 2 steps saved, then 1 more, then 1 more
        "with few checkpoints": 9 - 1,  # the best epoch so far was not saved: it is repeated
    }
