import ast
import errno
import math
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import torch

from segpipe.core import versions
from segpipe.core.errors import UserError
from segpipe.models import sealed
from segpipe.train import checkpoint
from segpipe.train.checkpoint import EpochTotals, TrainingState
from segpipe.train.optimizer import adamw
from tests.conftest import ROOT
from tests.imports import reached
from tests.train import tiny

PACKAGE = ROOT / "src/segpipe"
# The training, its plan, the first weights, and the split.
ENTRIES = ("train/loop.py", "train/planning.py", "models/weights.py", "data/split_table.py")
# Libraries that fetch weights, pack images or read their table (whose values are hashed), check a model card, or draw
# a progress bar.
WITHOUT_EFFECT = {"huggingface-hub", "pillow", "pyarrow", "pydantic", "safetensors", "segpipe", "tqdm"}


def a_training(seed_of_gradients=0):
    """A network and its optimiser after one step."""
    network = tiny.segmenter()
    network.to(memory_format=torch.channels_last)
    optimizer = adamw(network, 1e-2, 0.1, 0.5)
    torch.manual_seed(seed_of_gradients)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    return network, optimizer


def a_state(network):
    best = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    totals = EpochTotals(steps=5, loss=1 / 3, images=10)
    steps = {"losses": [1 / 3, float("nan")], "lrs": [0.1, 0.2]}
    return TrainingState(epoch=3, totals=totals, shipped=best, best_miou=0.25, used_seconds=7.5, **steps)


@pytest.fixture
def saved(tmp_path):
    network, optimizer = a_training()
    path = checkpoint.path_of(tmp_path, "abc")
    checkpoint.save(path, network, optimizer, a_state(network))
    return path


def test_a_checkpoint_is_restored_exactly(saved):
    network, optimizer = a_training()
    restored = tiny.segmenter()
    restored_optimizer = adamw(restored, 1e-2, 0.1, 0.5)
    state = checkpoint.restore(saved, restored, restored_optimizer)
    expected = a_state(network)
    assert (state.epoch, state.totals, state.best_miou, state.used_seconds) == (3, expected.totals, 0.25, 7.5)
    assert (state.losses[0], state.lrs) == (1 / 3, [0.1, 0.2])
    assert math.isnan(state.losses[1])
    for weights, right in ((restored.state_dict(), network.state_dict()), (state.shipped, expected.shipped)):
        assert all(torch.equal(weights[name], right[name]) for name in right)
    moments, right = (o.state_dict()["state"].values() for o in (restored_optimizer, optimizer))
    assert all(torch.equal(a["exp_avg_sq"], b["exp_avg_sq"]) for a, b in zip(moments, right, strict=True))


def test_without_a_checkpoint_nothing_is_restored(tmp_path):
    assert checkpoint.restore(tmp_path / "abc.pt", *a_training()) is None


def unusable_contents(saved):
    whole = saved.read_bytes()
    other_network = sealed.read(saved, checkpoint.FORMAT)
    older = sealed.pack(other_network | {"format": "segpipe checkpoint 3"})
    other_network["segmenter"].pop(next(iter(other_network["segmenter"])))
    flipped, overwritten = bytearray(whole), bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # in a tensor: torch loads it
    overwritten[len(whole) // 3 : len(whole) // 3 + 4096] = bytes(range(256)) * 16
    return [b"", b"text", whole[: len(whole) // 2], flipped, overwritten, older, sealed.pack(other_network)]


def test_a_damaged_or_foreign_checkpoint_is_ignored_with_a_warning(saved, caplog):
    network, optimizer = a_training(seed_of_gradients=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for content in unusable_contents(saved):
        caplog.clear()
        saved.write_bytes(content)
        assert checkpoint.restore(saved, network, optimizer) is None
        assert f"checkpoint {saved} cannot be used (" in caplog.text
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), RuntimeError("CUDA out of memory.")])
def test_an_intact_checkpoint_is_not_ignored_if_the_machine_fails(error, saved, monkeypatch):
    def fail(*_):
        raise error

    network, optimizer = a_training()
    monkeypatch.setattr(optimizer, "load_state_dict", fail)
    with pytest.raises(
        UserError, match=f"^checkpoint {re.escape(str(saved))}: (Input/output error|not enough memory); "
    ):
        checkpoint.restore(saved, network, optimizer)


def test_a_checkpoint_with_another_trainings_name_is_not_used(saved, caplog):
    renamed = saved.rename(saved.with_name("def.pt"))
    assert checkpoint.restore(renamed, *a_training()) is None
    assert "it belongs to another training" in caplog.text


def test_the_incomplete_file_of_a_killed_process_is_removed(saved):
    (saved.parent / ".abc.pt.0123456789abcdef.part").write_bytes(b"half")
    (saved.parent / ".def.pt.0123456789abcdef.part").write_bytes(b"of another training")
    checkpoint.restore(saved, *a_training())
    assert sorted(path.name for path in saved.parent.iterdir()) == [".def.pt.0123456789abcdef.part", "abc.pt"]


def test_only_the_three_newest_checkpoints_of_other_inputs_are_kept(tmp_path):
    for age, name in enumerate(("e", "d", "c", "b", "a", "current")):
        path = checkpoint.path_of(tmp_path, name)
        path.touch()
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    checkpoint.remove_old(checkpoint.path_of(tmp_path, "current"))
    assert sorted(p.stem for p in tmp_path.iterdir()) == ["c", "current", "d", "e"]


def covered() -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in versions.code_files(checkpoint.CODE)}


def test_the_hash_covers_every_module_that_decides_the_weights():
    files = {file for entry in ENTRIES for file in reached(PACKAGE / entry)}
    imported = {file.relative_to(ROOT).as_posix() for file in files}
    assert imported <= covered(), "list it in segpipe.train.checkpoint.CODE"


def test_the_hash_covers_every_library_of_these_modules():
    nodes = [node for file in covered() for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    makers = packages_distributions()
    libraries = {maker.lower().replace("_", "-") for name in names for maker in makers.get(name.split(".")[0], [])}
    assert libraries - WITHOUT_EFFECT == set(checkpoint.LIBRARIES)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("data/preprocessing.py", "PADDING = 127", "PADDING = 0"),
        ("evaluate/scores.py", "def mean_iou", "# another\ndef mean_iou"),
    ],
)
def test_a_change_of_the_code_changes_the_hash(tmp_path, file, old, new):
    shutil.copytree(PACKAGE, tmp_path / "segpipe", ignore=shutil.ignore_patterns("__pycache__"))
    before = _hash(tmp_path)
    text = (tmp_path / "segpipe" / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "segpipe" / file).write_text(text.replace(old, new), encoding="utf-8")
    assert _hash(tmp_path) != before


def _hash(source: Path) -> str:
    command = [sys.executable, "-c", "from segpipe.train.checkpoint import inputs_hash; print(inputs_hash([], {}))"]
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True
    ).stdout
