"""Second runs: only the shards with changes are computed again, no photo is decoded twice, and no byte differs."""

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from segpipe.core import shards, versions
from segpipe.core.errors import UserError
from segpipe.core.shards import shard_of
from segpipe.rasterize import shard as draw_job
from segpipe.validate import shard as check_job
from tests import photo_source
from tests.conftest import ROOT
from tests.data_half import run
from tests.faults import sources
from tests.photo_source import edit, file

pytestmark = pytest.mark.usefixtures("small_shards")
COUNT, SHARDS = 60, 8
STAGES = ("validate", "rasterize")


def kept(work: Path, stage: str) -> set[str]:
    """The names of the results that are kept: COUNT-SHARD-HASH."""
    return {path.name for path in (work / shards.FOLDER / stage).iterdir()}


def computed(work: Path, before: dict[str, set[str]]) -> list[set[int]]:
    """The shards that validate and rasterize have computed since `before`."""
    return [{int(name.split("-")[1]) for name in kept(work, stage) - before[stage]} for stage in STAGES]


# ---- changes of a source


@dataclass(frozen=True)
class Change:
    """A change of the source, and what it should cause."""

    make: Callable[[Path], None]
    keys: tuple[str, ...]  # of the changed images
    decoded: tuple[str, ...] = ()  # files
    is_drawn: bool = True  # whether a label map may differ


def ten_edits(source: Path) -> None:
    photo_source.redraw(source, *(2 * number + part for number in range(5) for part in (0, 1)))


def delete_annotation(source: Path) -> None:
    edit(source, lambda document: document["annotations"].pop(7))


def rename(source: Path) -> None:
    (source / file(5)).rename(source / "x.png")
    edit(source, lambda document: document["images"][5].update(file_name="x.png"))


def swap(source: Path) -> None:
    (source / file(3)).rename(source / "x.png")
    (source / file(4)).rename(source / file(3))
    (source / "x.png").rename(source / file(4))


def replace(source: Path) -> None:
    photo_source.put_photo(source, 9, seed=99)


def touch(source: Path) -> None:
    for path in source.iterdir():
        os.utime(path, (1, 1))


CHANGES = {
    "ten edits": Change(ten_edits, ("000", "001", "002", "003", "004")),
    "annotation deleted": Change(delete_annotation, ("003",)),
    "photo renamed": Change(rename, ("005", "x"), ("x.png",)),
    "photos swapped": Change(swap, ("003", "004"), ("003.png", "004.png"), is_drawn=False),
    "files touched": Change(touch, ()),
    "photo added": Change(lambda source: photo_source.add(source, 60), ("060",), ("060.png",)),
    "photo removed": Change(lambda source: photo_source.remove(source, 2), ("002",)),
    "photo replaced": Change(
        lambda source: photo_source.put_photo(source, 9, seed=99), ("009",), ("009.png",), is_drawn=False
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_only_the_shards_of_changed_images_are_computed(tmp_path, caplog, decoded, name):
    change = CHANGES[name]
    source = photo_source.put(tmp_path / "source", COUNT)
    work = tmp_path / "work"
    run(work, source)
    before = {stage: kept(work, stage) for stage in STAGES}
    change.make(source)
    caplog.set_level(logging.INFO)
    caplog.clear()
    decoded.clear()
    again = run(work, source)
    checked = {shard_of(key, SHARDS) for key in change.keys}
    drawn = checked if change.is_drawn else set()
    assert computed(work, before) == [checked, drawn]
    assert [message for message in caplog.messages if "unchanged" in message] == [
        f"{SHARDS - len(shards)} of {SHARDS} shards are unchanged since an earlier run" for shards in (checked, drawn)
    ]
    assert tuple(decoded) == change.decoded
    assert again == run(tmp_path / "clean", source)


@pytest.mark.parametrize(("stage", "name"), [("validate", "check"), ("rasterize", "draw")])
def test_a_mask_file_that_changes_while_it_is_read_stops_the_stage(tmp_path, monkeypatch, stage, name):
    source, work = tmp_path / "source", tmp_path / "work"
    sources.put_index_masks(source)
    module = {"validate": check_job, "rasterize": draw_job}[stage]
    original = getattr(module, name)

    def changing(*values):
        sources.put_values(source / "masks/a.png", 2)
        return original(*values)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, changing)
        with pytest.raises(UserError, match=r"masks/a\.png: has changed while it was read; run `dvc repro` again$"):
            run(work, source)
    assert len(kept(work, stage)) == 0
    assert run(work, source) == run(tmp_path / "clean", source)


def test_a_changed_mask_file_is_drawn_again_and_no_photo_is_decoded(tmp_path, decoded):
    source = tmp_path / "source"
    sources.put(source, "classes.txt", "background\ncat\ndog\n")
    for number in range(20):
        sources.put_photo(source / f"images/{number}.png", number)
        sources.put_values(source / f"masks/{number}.png", 1 + number % 2)
    work = tmp_path / "work"
    run(work, source)
    before = {stage: kept(work, stage) for stage in STAGES}
    with Image.open(source / "masks/7.png") as mask:
        mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(source / "masks/7.png")  # the same values
    decoded.clear()
    again = run(work, source)
    assert computed(work, before) == [{shard_of("images__7", 4)}] * 2
    assert decoded == []
    assert again == run(tmp_path / "clean", source)


def test_a_run_that_fails_keeps_the_results_of_earlier_runs(tmp_path, decoded):
    source, work = photo_source.put(tmp_path / "source", COUNT), tmp_path / "work"
    before = run(work, source)
    results = kept(work, "validate")
    photos = {path: path.read_bytes() for path in source.glob("*.png")}
    for path in photos:
        path.write_bytes(b"")  # as on a disk that is away
    with pytest.raises(UserError, match="no image can be used"):
        run(work, source)
    assert results <= kept(work, "validate")
    for path, data in photos.items():
        path.write_bytes(data)
    decoded.clear()
    assert run(work, source) == before
    assert decoded == []


# ---- another number of shards


@pytest.mark.parametrize(
    ("change", "from_to", "added"),
    [
        (lambda source: photo_source.add(source, *range(60, 66)), (8, 16), [file(number) for number in range(60, 66)]),
        (lambda source: photo_source.remove(source, *range(0, 60, 2)), (8, 4), []),
        (lambda source: photo_source.remove(source, *range(1, 60)), (8, 1), []),
    ],
    ids=["twice", "half", "an eighth"],
)
def test_another_number_of_shards_decodes_no_photo_again(tmp_path, decoded, change, from_to, added):
    source = photo_source.put(tmp_path / "source", COUNT)
    work = tmp_path / "work"
    run(work, source)
    assert len(list((work / "data/photos").glob("0*.npy"))) == from_to[0]
    change(source)
    decoded.clear()
    again = run(work, source)
    assert len(list((work / "data/photos").glob("0*.npy"))) == from_to[1]
    assert sorted(decoded) == added
    assert again == run(tmp_path / "clean", source)


# ---- changes of the code

ALL, NONE = set(range(4)), set[int]()
CODE = {  # the shards that each stage computes after a change of this file, and whether photos are decoded
    "validate/judge.py": (ALL, NONE, False),
    "validate/photo.py": (ALL, NONE, True),
    "validate/packing.py": (ALL, NONE, True),
    "rasterize/image.py": (NONE, ALL, False),
    "masks/raster.py": (ALL, ALL, False),
    "ledger/rows.py": (ALL, ALL, False),
    "data/rgb.py": (ALL, ALL, True),
    "core/shards.py": (ALL, ALL, True),
    "report/data_report.py": (NONE, NONE, False),
    "ledger/reasons.toml": (NONE, NONE, False),
}


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A copy of the code, whose files decide the versions of results; `cache_clear` reads them again."""
    copy = shutil.copytree(ROOT / "src/segpipe", tmp_path / "segpipe", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(versions, "__file__", str(copy / "core/versions.py"))
    versions.code_hash.cache_clear()
    yield copy
    versions.code_hash.cache_clear()


@pytest.mark.parametrize("changed", CODE)
def test_a_change_of_the_code_computes_what_it_may_decide(tmp_path, decoded, code, changed):
    source = photo_source.put(tmp_path / "source", 20)
    work = tmp_path / "work"
    clean = run(work, source)
    before = {stage: kept(work, stage) for stage in STAGES}
    decoded.clear()
    with (code / changed).open("a") as text:
        text.write("# changed\n")
    versions.code_hash.cache_clear()
    assert run(work, source) == clean
    of_validate, of_rasterize, decodes = CODE[changed]
    assert computed(work, before) == [of_validate, of_rasterize]
    assert len(decoded) == (20 if decodes else 0)
