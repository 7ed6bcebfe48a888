import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from segpipe.core import shards
from segpipe.core.shards import Kept, Result, count_for, key_of, link, positions, shard_of

KEYS = [f"folder/{number}" for number in range(20_000)]


def write(folder: Path) -> None:
    (folder / "masks").mkdir()
    (folder / "masks/a.png").write_bytes(b"mask")
    (folder / "rows.npy").write_bytes(bytes(range(256)))


def refuse(folder: Path) -> None:
    raise AssertionError("an intact result is computed again")


def test_the_number_of_shards_never_falls_and_keeps_the_images_of_each_in_bounds():
    counts = [count_for(images) for images in range(1, 100_000, 7)]
    assert counts == sorted(counts)
    for images in (129, 1000, 8_000, 10_000):
        assert 64 <= images / count_for(images) <= 128
    for images in (10_001, 40_000, 65_537, 500_000):
        assert 64 <= images / count_for(images) <= 512


def test_every_key_has_one_shard_and_the_shards_are_even():
    found = positions(KEYS, 64)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(KEYS)))
    assert all(shard_of(KEYS[at], 64) == shard for shard, each in enumerate(found) for at in each.tolist())
    assert all((np.diff(each) > 0).all() for each in found)
    sizes = Counter(shard_of(key, 64) for key in KEYS)
    assert all(200 < size < 450 for size in sizes.values())  # 312 on average
    assert [len(each) for each in positions([], 2)] == [0, 0]


def test_twice_the_shards_divide_each_in_two():
    for key in KEYS[:1000]:
        assert shard_of(key, 32) == shard_of(key, 64) % 32


def test_a_key_depends_on_each_value_and_its_type():
    values = [1, 1.5, "1", b"1", None, (1,), [1, "a"], {"a": [1]}, True, (1, 1.5)]
    assert len({key_of(value) for value in values}) == len(values)
    assert key_of("a", "b") != key_of("ab") != key_of("a", "b", "")
    assert key_of(1, "a") == key_of(1, "a")
    with pytest.raises(ValueError, match="unmarshallable"):
        key_of(object())


def test_an_intact_result_is_used_again(tmp_path):
    kept = Kept(tmp_path / "kept")
    first = kept.result(3, 8, "abc", write)
    assert (first.state, sorted(path.name for path in first.folder.iterdir())) == (
        "computed", ["SHA256SUMS", "masks", "rows.npy"],
    )  # fmt: skip
    assert kept.result(3, 8, "abc", refuse) == Result(first.folder, "unchanged")
    assert kept.result(3, 8, "abd", write).state == "computed"


DAMAGES = {
    "a bit of a file": lambda folder: flip(folder / "rows.npy", 1000),
    "a bit of a file in a folder": lambda folder: flip(folder / "masks/a.png", 5),
    "a bit of the list": lambda folder: flip(folder / "SHA256SUMS", 123),
    "a bit of a name in the list": lambda folder: flip(folder / "SHA256SUMS", 8 * 70),
    "a file that is gone": lambda folder: (folder / "rows.npy").unlink(),
    "a file that is cut short": lambda folder: (folder / "rows.npy").write_bytes(bytes(range(255))),
    "a file that is not listed": lambda folder: (folder / "more").write_bytes(b""),
    "a list that is gone": lambda folder: (folder / "SHA256SUMS").unlink(),
    "an empty list": lambda folder: (folder / "SHA256SUMS").write_bytes(b""),
    "a list that is no text": lambda folder: (folder / "SHA256SUMS").write_bytes(b"\xff\xfe"),
}


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_result_is_computed_again(tmp_path, damage):
    kept = Kept(tmp_path)
    folder = kept.result(0, 1, "abc", write).folder
    damage(folder)
    assert kept.related(0, 1) == []
    assert kept.result(0, 1, "abc", write) == Result(folder, "damaged")
    assert kept.result(0, 1, "abc", refuse).state == "unchanged"


def test_a_job_that_fails_leaves_nothing(tmp_path):
    def fail(folder: Path) -> None:
        write(folder)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Kept(tmp_path).result(0, 1, "abc", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_another_process_has_written_meanwhile_is_used(tmp_path):
    kept = Kept(tmp_path)

    def write_twice(folder: Path) -> None:
        kept.result(0, 1, "abc", write)
        write(folder)

    folder = kept.result(0, 1, "abc", write_twice).folder
    assert list(tmp_path.iterdir()) == [folder]
    assert shards.is_intact(folder)


def test_related_results_are_those_with_images_of_the_shard(tmp_path):
    kept = Kept(tmp_path)
    names = {
        (count, shard): kept.result(shard, count, "abc", write).folder for count in (2, 4) for shard in range(count)
    }
    assert kept.related(1, 2) == [names[2, 1], names[4, 1], names[4, 3]]
    assert kept.related(5, 8) == [names[2, 1], names[4, 1]]
    assert kept.related(0, 1) == sorted(names.values())


def test_only_the_results_of_the_last_run_are_kept(tmp_path):
    kept = Kept(tmp_path)
    old, used = kept.result(0, 2, "old", write), kept.result(1, 2, "abc", write)
    (tmp_path / "0-2-x.0123.part").mkdir()  # of a process that was killed
    (tmp_path / "0-2-x").write_bytes(b"a file")
    new = kept.result(0, 2, "new", write)
    kept.keep_only([new, Result(used.folder, "unchanged")])
    assert sorted(tmp_path.iterdir()) == sorted([new.folder, used.folder])
    assert not old.folder.exists()


def test_the_log_counts_unchanged_and_damaged_results(tmp_path, caplog):
    caplog.set_level("INFO")
    shards.log_states([Result(tmp_path, state) for state in ("unchanged", "computed", "damaged", "unchanged")])
    assert caplog.messages == [
        "2 of 4 shards are unchanged since an earlier run",
        "1 kept shards were damaged on the disk and are computed again",
    ]


def test_foreign_names_beside_results_are_harmless(tmp_path):
    kept = Kept(tmp_path)
    folder = kept.result(0, 1, "abc", write).folder
    for name in ("old-copy-of", "1-0-abc - copy", "1-x-abc", ".DS_Store", "1-0-abc.0123.part"):
        (tmp_path / name).mkdir()
    assert kept.related(0, 1) == [folder]


def test_a_file_in_the_place_of_a_result_is_replaced(tmp_path):
    (tmp_path / "1-0-abc").write_bytes(b"")
    assert Kept(tmp_path).result(0, 1, "abc", write).state == "damaged"


def test_an_error_names_the_result_and_not_its_temporary_folder(tmp_path):
    def full_disk(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder / "rows.npy"))

    with pytest.raises(OSError, match="No space") as error:
        Kept(tmp_path).result(0, 1, "abc", full_disk)
    assert error.value.filename == str(tmp_path / "1-0-abc")


def test_a_link_outlives_its_source_and_takes_no_space(tmp_path):
    (tmp_path / "a").write_bytes(b"rows")
    (tmp_path / "b").write_bytes(b"old")
    link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").stat().st_ino == (tmp_path / "a").stat().st_ino
    (tmp_path / "a").unlink()
    assert (tmp_path / "b").read_bytes() == b"rows"


def test_without_hard_links_a_link_is_a_copy(tmp_path, monkeypatch):
    def no_links(source: Path, target: Path) -> None:
        raise OSError("not supported")

    monkeypatch.setattr("os.link", no_links)
    (tmp_path / "a").write_bytes(b"rows")
    link(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "a", ignore_errors=True)
    assert (tmp_path / "b").read_bytes() == b"rows"
