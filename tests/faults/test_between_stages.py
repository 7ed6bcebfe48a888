"""Files that change or vanish between two stages: the stage that needs them says so in one line."""

from pathlib import Path

import pytest
from PIL import Image

from segpipe.core.command import run
from segpipe.core.errors import UserError
from tests.faults import sources
from tests.faults.test_annotation_files import FILES
from tests.faults.way import Verdict, World, go


def cat_and_dog(world: World) -> Path:
    sources.put_coco(world.source)
    return world.source / "a.png"


@pytest.mark.parametrize("change", ["gone", "empty", "cut", "folder", "text", "other size"])
def test_a_photograph_that_changes_after_validate_asks_for_another_run(world, change):
    path = cat_and_dog(world)

    def between() -> None:
        data = path.read_bytes()
        path.unlink()
        if change == "folder":
            path.mkdir()
        elif change == "other size":
            sources.put_photo(path, size_wh=(13, 8))
        elif change != "gone":
            path.write_bytes({"empty": b"", "cut": data[:-40], "text": b"no picture"}[change])

    with pytest.raises(UserError) as error:
        go(world, between)
    assert str(error.value).startswith(f"{path}: ")
    assert "run `dvc repro` again" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", ["gone", "other size"])
def test_a_mask_that_changes_after_validate_asks_for_another_run(world, change):
    sources.put_index_masks(world.source)
    path = world.source / "masks/a.png"

    def between() -> None:
        path.unlink()
        if change == "other size":
            Image.new("L", (13, 8), 1).save(path)

    with pytest.raises(UserError, match=r"images/a\.png: .*run `dvc repro` again"):
        go(world, between)


def test_a_source_that_is_gone_after_validate_asks_for_another_run(world):
    cat_and_dog(world)
    with pytest.raises(UserError, match="run `dvc repro` again"):
        go(world, lambda: world.source.rename(world.work / "moved"))


KEPT: Verdict = ("kept", "")


@pytest.mark.parametrize("format", [name for name in FILES if not FILES[name].endswith(".png")])
def test_an_annotation_file_that_vanishes_after_ingest_is_needed_no_more(world, format):
    sources.FORMATS[format](world.source)
    account = go(world, (world.source / FILES[format]).unlink, before="validate")
    assert set(account.images.values()) == {KEPT}


@pytest.mark.parametrize("format", ["index_masks", "cityscapes_ids", "coco_panoptic"])
def test_a_mask_that_vanishes_after_ingest_costs_its_own_picture_only(world, format):
    sources.FORMATS[format](world.source)
    mask = world.source / FILES.get(format, "").replace("panoptic_val.json", "panoptic_val/a.png")
    account = go(world, mask.unlink, before="validate")
    assert ("dropped", "bad_record") in account.annotations.values()
    assert KEPT in account.annotations.values()
    assert KEPT in account.images.values()


def test_a_photograph_that_vanishes_after_ingest_costs_itself_only(world):
    path = cat_and_dog(world)
    account = go(world, path.unlink, before="validate")
    assert account.images == {"a": ("dropped", "missing_file"), "b": KEPT}
    assert account.annotations["instances.json#1"] == ("dropped", "image_lost")


@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("validate", "data/records/images.parquet"),
        ("validate", "data/records/instances.parquet"),
        ("rasterize", "data/checked/images.parquet"),
        ("rasterize", "data/checked/classes.json"),
        ("rasterize", "data/checked/ledger.parquet"),
        ("split", "data/store/class_pixels.npy"),
        ("split", "data/masks/classes.json"),
    ],
)
def test_an_output_that_vanishes_is_named_with_what_makes_it(world, stage, file):
    cat_and_dog(world)
    with pytest.raises(SystemExit) as end:
        run(lambda: void(go(world, (world.work / file).unlink, before=stage)))
    assert end.value.code == f"error: {file}: no such file; `dvc repro` runs the stages that write it"


def void(account: object) -> None:
    """A stage gives nothing back."""
