import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import torch

from segpipe.models import sealed
from tests.conftest import ROOT

FORMAT = "a format"


def a_document():
    weights = {f"layer{i}": torch.arange(900.0 * i, 900 * i + 900).view(30, 30) for i in range(3)}
    return {"format": FORMAT, "state": weights, "steps": [1, 0.1, None, True, ("a", float("inf"))]}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(sealed.pack(a_document()))
    return path


def test_a_packed_document_is_read_unchanged(saved):
    document, expected = sealed.read(saved, FORMAT), a_document()
    assert document.keys() == expected.keys()
    assert document["steps"] == expected["steps"]
    assert all(torch.equal(document["state"][name], tensor) for name, tensor in expected["state"].items())


def damages(whole, count):
    """`count` copies, each with one bit flipped or 4 KiB overwritten at a random position."""
    random = np.random.default_rng(0)
    for number in range(count):
        damaged, position = bytearray(whole), int(random.integers(len(whole)))
        if number % 3:
            damaged[position] ^= 1 << number % 8
        else:
            damaged[position : position + 4096] = random.bytes(len(whole[position : position + 4096]))
        yield damaged


def test_no_damaged_file_is_read_with_other_content(saved):
    read = []
    for damaged in damages(saved.read_bytes(), 150):
        saved.write_bytes(damaged)
        with suppress(OSError, *sealed.UNREADABLE):
            read.append(sealed.content_hash(sealed.read(saved, FORMAT)))
    assert set(read) == {sealed.content_hash(a_document())}  # if only padding is damaged
    assert len(read) < 50


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.zeros(2), torch.zeros(2, 1)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (torch.zeros(2), -torch.zeros(2)),
        (torch.zeros(2), torch.zeros(2).tolist()),
        (torch.zeros(0), torch.zeros(0, 3)),
        (torch.tensor(1.0), torch.tensor(1.0, dtype=torch.bfloat16)),
        (1, True),
        (1, 1.0),
        ([1], (1,)),
        ("1", 1),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
    ],
)
def test_every_difference_changes_the_hash(one, other):
    assert sealed.content_hash({"x": one}) != sealed.content_hash({"x": other})


def test_the_memory_format_does_not_change_the_hash():
    image = torch.arange(60.0).view(1, 3, 4, 5)
    other = image.contiguous(memory_format=torch.channels_last)
    assert sealed.content_hash({"x": image}) == sealed.content_hash({"x": other})


def test_another_format_is_a_different_error_from_damage(saved):
    with pytest.raises(sealed.OtherFormatError, match="its format is 'a format'"):
        sealed.read(saved, "another")


def test_a_lack_of_memory_is_a_memory_error(saved):
    saved.write_bytes(sealed.pack({"format": FORMAT, "state": torch.zeros(16_000_000)}))
    code = (
        "import pathlib, sys\nfrom segpipe.models import sealed\nfrom tests.memory import short_of_memory\n"
        "with short_of_memory(16_000_000): sealed.read(pathlib.Path(sys.argv[1]), sys.argv[2])"
    )
    done = subprocess.run([sys.executable, "-c", code, saved, FORMAT], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.splitlines()[-1].startswith("MemoryError")  # a new process: this one may have freed memory left
    assert sealed.read(saved, FORMAT)["state"].shape == (16_000_000,)
