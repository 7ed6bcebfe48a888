import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from segpipe.core.errors import UserError
from segpipe.train import distributed, history
from segpipe.train.data import training_batches, validation_batches
from segpipe.train.distributed import Group
from tests.train import tiny

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}{os.pathsep}{ROOT}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(ROOT)


def train(folder, processes, changes="{}"):
    """Train in a number of processes. Returns the records and the weights."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.train.spread", str(folder), changes]
    assert distributed.launch(command, processes) == 0
    records = history.from_json((folder / "records.json").read_text())
    return records, torch.load(folder / "weights.bin", weights_only=True)


def test_two_processes_train_as_one(tmp_path):
    # A low rate: batch norm over few images magnifies rounding errors, the more, the larger the steps.
    changes = '{"ema_decay": 0.5, "accumulate": 2, "rare_class_share": 0.5, "lr": 1e-4}'
    records, weights = train(tmp_path / "one", 1, changes)
    records_of_two, weights_of_two = train(tmp_path / "two", 2, changes)
    assert [r.step for r in records] == [r.step for r in records_of_two] == [2, 4]  # 10 images, 8 per step
    assert [r.train_loss for r in records_of_two] == pytest.approx([r.train_loss for r in records], rel=1e-4)
    assert [r.val_loss for r in records_of_two] == pytest.approx([r.val_loss for r in records], rel=1e-4)
    assert [r.val_miou for r in records_of_two] == pytest.approx([r.val_miou for r in records], abs=5e-3)
    assert list(weights_of_two) == list(weights)
    one, two = (torch.cat([t.float().flatten() for t in state.values()]) for state in (weights, weights_of_two))
    assert (one - two).norm() < 1e-4 * one.norm()


def test_every_part_of_a_batch_is_divided_among_the_processes():
    rows = [Group(rank, 2).rows(8, parts=2).tolist() for rank in range(2)]
    assert rows == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert Group().rows(3).tolist() == [0, 1, 2]


def test_every_validation_image_is_seen_by_one_process():
    data = tiny.data(train=2, val=7)
    keys = [
        key
        for rank in range(3)
        for batch in validation_batches(data, 2, tiny.CPU, Group(rank, 3))
        for key in batch.keys
    ]
    assert sorted(keys) == sorted(data.keys[i] for i in data.val_index)


def test_a_process_gets_its_rows_of_the_batch_of_a_single_process():
    data, recipe = tiny.data(train=8), tiny.recipe(batch_size=4, rare_class_share=0.5)
    whole = next(training_batches(data, recipe, 1, 0, tiny.CPU))
    shares = [next(training_batches(data, recipe, 1, 0, tiny.CPU, Group(rank, 2))) for rank in range(2)]
    assert sum((share.keys for share in shares), ()) == whole.keys
    assert torch.equal(torch.cat([share.variations.theta for share in shares]), whole.variations.theta)
    assert torch.equal(torch.cat([share.images for share in shares]), whole.images)


def test_a_batch_that_cannot_be_divided_evenly_is_an_error(monkeypatch):
    for name, value in {"WORLD_SIZE": "3", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        UserError, match=r"^train.batch_size 8 cannot be divided among 3 processes; make it a multiple$"
    ):
        distributed.join(tiny.CPU, 8)


def test_a_world_size_without_an_address_is_an_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError) as caught:
        distributed.join(tiny.CPU, 8)
    assert str(caught.value) == (
        "the environment has WORLD_SIZE=2 without RANK, MASTER_ADDR, MASTER_PORT; "
        "start with torchrun, or unset WORLD_SIZE"
    )


def test_a_world_size_of_one_does_not_prevent_a_launch(monkeypatch):
    for name, value in {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_USE_AGENT_STORE": "1"}.items():
        monkeypatch.setenv(name, value)
    assert not distributed.is_launched()
    assert distributed.join(tiny.CPU, 8) == distributed.SINGLE
    assert distributed.local_device(torch.device("cuda")) == torch.device("cuda")
    program = (
        "import os, sys; from segpipe.train import distributed; "
        "sys.exit(not distributed.is_launched() or any(name.startswith('TORCHELASTIC') for name in os.environ))"
    )
    assert distributed.launch([sys.executable, "-c", program], 2) == 0


def test_on_a_cpu_every_process_has_the_same_device(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert distributed.local_device(tiny.CPU) == tiny.CPU


@pytest.mark.skipif(torch.cuda.device_count() > 0, reason="a GPU is there")
def test_more_processes_than_gpus_are_an_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"^2 processes need a GPU each, but there are 0; lower train.processes$"):
        distributed.local_device(torch.device("cuda"))


def test_a_single_process_communicates_with_nobody():
    rows, flags = torch.arange(3.0), [Group().any(flag) for flag in (True, False)]
    assert flags == [True, False]
    assert Group().gather(rows) is rows
    Group().all_reduce([rows])
    assert Group().reduce_min(3) == 3
    assert Group().reduce_sum([1.5, 2.0]) == [1.5, 2.0]
    assert rows.tolist() == [0, 1, 2]


def test_on_gpus_batch_norm_is_pytorchs_sync_batch_norm():
    network = tiny.segmenter()
    names = list(network.state_dict())
    Group(0, 2).sync_batch_norm(network, torch.device("cuda"))
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(module, nn.SyncBatchNorm) for module in norms)
    assert list(network.state_dict()) == names


def test_a_process_that_fails_ends_the_others_and_returns_its_status(tmp_path):
    program = (
        "import os, pathlib, sys, time; sys.exit(3) if os.environ['RANK'] == '1' else time.sleep(60); "
        f"pathlib.Path({str(tmp_path)!r}, 'not ended').touch()"
    )
    assert distributed.launch([sys.executable, "-c", program], 2) == 3
    assert not list(tmp_path.iterdir())


IN_A_GROUP = """
import os, pathlib, signal, time
from segpipe.core.errors import StoppedError, UserError
from segpipe.core.command import run

def main():
    rank = int(os.environ["RANK"])
    {}

run(main)
"""
KILLED = """
    import torch
    torch.distributed.init_process_group("gloo")
    if rank:
        os.kill(os.getpid(), signal.SIGKILL)
    torch.distributed.all_reduce(torch.zeros(1))
"""


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ("if rank: raise UserError('its memory is too small')", 1, "error: rank 1: its memory is too small$"),
        ("if rank: raise OSError(28, '', 'a.csv')", 1, "error: rank 1: a.csv: No space left on device; free some"),
        ("if not rank: raise UserError('no such file')", 1, "error: no such file$"),
        ("raise UserError('the same')", 1, "error: (rank 1: )?the same$"),
        (KILLED, -9, "error: rank 1 of 2 processes was ended by SIGKILL, most often because memory ran out; run again"),
    ],
)
def test_a_failure_in_a_group_is_reported_in_one_line(capfd, caplog, body, status, expected):
    body = body if body is KILLED else f"{body}\n    if not rank: time.sleep(60)"
    assert distributed.launch([sys.executable, "-c", IN_A_GROUP.format(body)], 2) == status
    [line] = capfd.readouterr().err.splitlines() + [record.getMessage() for record in caplog.records]
    assert re.match(expected, line)


STOPPED = """
    def stop(number, frame):
        signal.signal(number, signal.SIG_DFL)
        time.sleep(1 - rank)  # rank 0 saves for all
        raise StoppedError(f"stopped by rank {{rank}}")

    signal.signal(signal.SIGTERM, stop)
    pathlib.Path("{}", str(rank)).touch()
    time.sleep(60)
"""


def test_rank_0_may_save_after_a_signal_when_the_others_have_ended(tmp_path, capfd, caplog):
    def end() -> None:
        until = time.monotonic() + 30
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    program = IN_A_GROUP.format(STOPPED.format(tmp_path))
    assert distributed.launch([sys.executable, "-c", program], 2) == 1
    assert capfd.readouterr().err == "error: stopped by rank 0\n"
    assert not caplog.records


def test_a_signal_to_the_launcher_stops_every_process_with_a_checkpoint(tmp_path):
    changes = '{"epochs": 5000, "checkpoint_minutes": 0}'
    code = (
        "import sys; from segpipe.train import distributed; "
        f"sys.exit(distributed.launch([sys.executable, '-m', 'tests.train.spread', {str(tmp_path)!r}, {changes!r}], 2))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "abc.pt").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, output = process.communicate(timeout=60)
    assert "stopped by SIGTERM after step" in output
    assert process.returncode == 1
