"""Kept results that are damaged on the disk, and machines that fail: no wrong byte and no wrong verdict is used."""

import random
from contextlib import chdir
from pathlib import Path

import pytest

from segpipe.core import shards
from segpipe.core.command import run as run_command
from segpipe.core.shards import shard_of
from stages import validate
from tests import photo_source
from tests.data_half import STAGES, prepare, run
from tests.photo_source import file

pytestmark = pytest.mark.usefixtures("small_shards")
STAGE_NAMES = ("validate", "rasterize")
ROUNDS, FLIPS = 8, 5


def kept_files(work: Path) -> dict[Path, list[Path]]:
    """The files of each kept result, by its folder."""
    folders = [folder for stage in STAGE_NAMES for folder in sorted((work / shards.FOLDER / stage).iterdir())]
    return {folder: sorted(path for path in folder.rglob("*") if path.is_file()) for folder in folders}


def kind(path: Path) -> str:
    return path.parent.name if path.parent.name == "masks" else path.name


def flip(path: Path, bit: int) -> None:
    """Change one bit in place: in all hard links of the file."""
    with path.open("r+b") as data:
        data.seek(bit // 8)
        (byte,) = data.read(1)
        data.seek(bit // 8)
        data.write(bytes([byte ^ 1 << bit % 8]))


def flip_one(path: Path, choose: random.Random) -> None:
    flip(path, choose.randrange(8 * path.stat().st_size))


def choose_files(work: Path, number: int, choose: random.Random) -> list[Path]:
    """FLIPS files of different results; of different kinds, and others for each number."""
    files = kept_files(work)
    kinds = sorted({kind(path) for paths in files.values() for path in paths})
    chosen: dict[Path, Path] = {}
    for turn in range(FLIPS):
        wanted = kinds[(number * FLIPS + turn) % len(kinds)]
        candidates = [
            (folder, path)
            for folder, paths in files.items()
            if folder not in chosen
            for path in paths
            if kind(path) == wanted
        ]
        folder, path = choose.choice(candidates)
        chosen[folder] = path
    return [*chosen.values()]


def test_forty_flipped_bits_are_found_and_change_no_output(tmp_path, caplog):
    source = photo_source.put(tmp_path / "source", 60)
    work, choose = tmp_path / "work", random.Random(0)
    clean = run(work, source)
    assert len(kept_files(work)) == 2 * 8
    flipped_kinds = set[str]()
    for number in range(ROUNDS):
        chosen = choose_files(work, number, choose)
        for path in chosen:
            flip_one(path, choose)
        flipped_kinds |= {kind(path) for path in chosen}
        caplog.clear()
        assert run(work, source) == clean
        warnings = [message.split() for message in caplog.messages if "kept shards were damaged" in message]
        assert sum(int(words[0]) for words in warnings) == FLIPS, chosen
        assert all(shards.is_intact(folder) for folder in kept_files(work))
    assert flipped_kinds == {kind(path) for paths in kept_files(work).values() for path in paths}


@pytest.mark.parametrize("name", ["rows.npy", "seen-*.json"])
@pytest.mark.parametrize("change", ["annotation", "twice the shards"])
def test_damaged_rows_are_not_packed_again(tmp_path, decoded, name, change):
    source = photo_source.put(tmp_path / "source", 60)
    work = tmp_path / "work"
    run(work, source)
    for path in (work / shards.FOLDER / "validate").glob(f"*/{name}"):
        flip(path, 8 * (path.stat().st_size - 24 * 16) if name == "rows.npy" else 8 * 40)
    if change == "annotation":
        photo_source.redraw(source, *range(120))
    else:
        photo_source.add(source, *range(60, 66))
    decoded.clear()
    again = run(work, source)
    assert len(decoded) == len(list(source.glob("*.png")))
    assert again == run(tmp_path / "clean", source)


def results_of(work: Path, shard: int) -> list[Path]:
    return list((work / shards.FOLDER / "validate").glob(f"*-{shard}-*"))


def stopped(work: Path) -> str:
    """Run validate; returns its error line."""
    with chdir(work), pytest.raises(SystemExit) as end:
        run_command(validate.main)
    return str(end.value.code)


def test_a_failing_disk_stops_the_stage_and_no_verdict_is_kept(tmp_path):
    source = photo_source.put(tmp_path / "source", 20)
    work = tmp_path / "work"
    prepare(work, source)
    with chdir(work):
        STAGES["ingest"]()
    (source / file(5)).unlink()
    (source / file(5)).symlink_to("/proc/self/mem")  # its first byte cannot be read: an input/output error
    assert stopped(work).startswith(f"error: {source / file(5)}: Input/output error; check the disk")
    assert results_of(work, 0)
    assert not results_of(work, shard_of("005", 4))
    (source / file(5)).unlink()
    photo_source.put_photo(source, 5)
    assert run(work, source) == run(tmp_path / "clean", source)
