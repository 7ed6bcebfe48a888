import errno
import math
import os
import re

import pytest
import torch

from segpipe.core.errors import UserError
from segpipe.models import sealed
from segpipe.train import checkpoint
from segpipe.train import optimizer as schedule
from segpipe.train.checkpoint import State, Sums
from tests.train import tiny


def a_training(seed_of_gradients=0):
    """A network and its optimiser after one step."""
    network = tiny.segmenter()
    network.to(memory_format=torch.channels_last)
    optimizer = schedule.adamw(network, 1e-2, 0.1, 0.5)
    torch.manual_seed(seed_of_gradients)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    return network, optimizer


def a_state(network):
    best = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    sums = Sums(step=5, loss=1 / 3, pictures=10)
    steps = {"losses": [1 / 3, float("nan")], "lrs": [0.1, 0.2]}
    return State(epoch=3, sums=sums, shipped=best, best_miou=0.25, used_seconds=7.5, **steps)


@pytest.fixture
def saved(tmp_path):
    network, optimizer = a_training()
    path = checkpoint.path_of(tmp_path, "abc")
    checkpoint.save(path, network, optimizer, a_state(network))
    return path


def test_what_is_saved_comes_back_exactly(saved):
    network, optimizer = a_training()
    fresh = tiny.segmenter()
    its_optimizer = schedule.adamw(fresh, 1e-2, 0.1, 0.5)
    state = checkpoint.restore(saved, fresh, its_optimizer)
    expected = a_state(network)
    assert (state.epoch, state.sums, state.best_miou, state.used_seconds) == (3, expected.sums, 0.25, 7.5)
    assert (state.losses[0], state.lrs) == (1 / 3, [0.1, 0.2])
    assert math.isnan(state.losses[1])
    for ours, theirs in ((fresh.state_dict(), network.state_dict()), (state.shipped, expected.shipped)):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    moments = [s["exp_avg_sq"] for s in its_optimizer.state_dict()["state"].values()]
    assert all(
        torch.equal(m, s["exp_avg_sq"]) for m, s in zip(moments, optimizer.state_dict()["state"].values(), strict=True)
    )


def test_no_checkpoint_is_no_state(tmp_path):
    network, optimizer = a_training()
    assert checkpoint.restore(tmp_path / "abc.pt", network, optimizer) is None


def contents(saved):
    whole = saved.read_bytes()
    other = sealed.read(saved, checkpoint.FORMAT)
    older = sealed.packed(other | {"format": "segpipe checkpoint 3"})
    other["segmenter"].pop(next(iter(other["segmenter"])))
    flipped, overwritten = bytearray(whole), bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # in a tensor: torch loads it
    overwritten[len(whole) // 3 : len(whole) // 3 + 4096] = bytes(range(256)) * 16
    return [b"", b"text", whole[: len(whole) // 2], flipped, overwritten, older, sealed.packed(other)]


def test_a_damaged_or_foreign_checkpoint_is_left_aside_with_a_warning(saved, caplog):
    network, optimizer = a_training(seed_of_gradients=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for content in contents(saved):
        caplog.clear()
        saved.write_bytes(content)
        assert checkpoint.restore(saved, network, optimizer) is None
        assert f"checkpoint {saved} cannot be used (" in caplog.text
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), RuntimeError("CUDA out of memory.")])
def test_a_sound_checkpoint_is_not_left_aside_where_the_machine_fails(error, saved, monkeypatch):
    def fails(*_):
        raise error

    network, optimizer = a_training()
    monkeypatch.setattr(optimizer, "load_state_dict", fails)
    with pytest.raises(
        UserError, match=f"^checkpoint {re.escape(str(saved))}: (Input/output error|not enough memory); "
    ):
        checkpoint.restore(saved, network, optimizer)


def test_a_checkpoint_under_another_trainings_name_is_not_used(saved, caplog):
    network, optimizer = a_training()
    renamed = saved.rename(saved.with_name("def.pt"))
    assert checkpoint.restore(renamed, network, optimizer) is None
    assert "it belongs to another training" in caplog.text


def test_what_a_killed_process_had_half_written_is_removed(saved):
    (saved.parent / ".abc.pt.x1y2.part").write_bytes(b"half")
    (saved.parent / ".def.pt.x1y2.part").write_bytes(b"another's")
    checkpoint.restore(saved, *a_training())
    assert sorted(path.name for path in saved.parent.iterdir()) == [".def.pt.x1y2.part", "abc.pt"]


def test_only_the_youngest_checkpoints_of_other_inputs_stay(tmp_path):
    for age, name in enumerate(("e", "d", "c", "b", "a", "own")):
        path = checkpoint.path_of(tmp_path, name)
        path.touch()
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    checkpoint.keep_few(checkpoint.path_of(tmp_path, "own"))
    assert sorted(p.stem for p in tmp_path.iterdir()) == ["c", "d", "e", "own"]
