"""Files that change or disappear between two stages: the stage that needs them reports it in one line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.core import shards
from segpipe.core.command import run
from segpipe.core.errors import UserError
from segpipe.data.store import Store
from tests.faults import sources
from tests.faults.sandbox import Sandbox, Verdict, run_stages
from tests.faults.test_annotation_files import FILES


def cat_and_dog(sandbox: Sandbox) -> Path:
    sources.put_coco(sandbox.source)
    return sandbox.source / "a.png"


@pytest.mark.parametrize("change", ["gone", "empty", "cut", "folder", "text", "other size", "same size"])
def test_a_photo_changed_after_validate_changes_nothing(sandbox, change):
    path = cat_and_dog(sandbox)
    expected = run_stages(sandbox)
    packed = packed_rows(sandbox)

    def between() -> None:
        shutil.rmtree(sandbox.work / shards.FOLDER)  # otherwise rasterize only takes the label maps of the first run
        data = path.read_bytes()
        path.unlink()
        if change == "folder":
            path.mkdir()
        elif change == "other size":
            sources.put_photo(path, size_wh=(13, 8))
        elif change == "same size":
            sources.put_photo(path, seed=9)
        elif change != "gone":
            path.write_bytes({"empty": b"", "cut": data[:-40], "text": b"not an image"}[change])

    outcome = run_stages(sandbox, between)
    assert outcome.rows == expected.rows
    for key, label_map in expected.label_maps.items():
        np.testing.assert_array_equal(outcome.label_maps[key], label_map)
    assert packed_rows(sandbox) == packed


def packed_rows(sandbox: Sandbox) -> str:
    return Store.open(sandbox.work / "data/photos", sandbox.work / "data/labels").content_hash()


@pytest.mark.parametrize("change", ["gone", "other size", "source gone"])
def test_a_mask_changed_after_validate_requires_another_run(sandbox, change):
    sources.put_index_masks(sandbox.source)
    path = sandbox.source / "masks/a.png"

    def between() -> None:
        path.unlink()
        if change == "other size":
            Image.new("L", (13, 8), 1).save(path)
        elif change == "source gone":
            sandbox.source.rename(sandbox.work / "moved")

    with pytest.raises(UserError, match=r"images/a\.png: .*run `dvc repro` again"):
        run_stages(sandbox, between)


KEPT: Verdict = ("kept", "")


@pytest.mark.parametrize("format", [name for name in FILES if not FILES[name].endswith(".png")])
def test_an_annotation_file_is_not_needed_after_ingest(sandbox, format):
    sources.FORMATS[format](sandbox.source)
    outcome = run_stages(sandbox, (sandbox.source / FILES[format]).unlink, before="validate")
    assert set(outcome.images.values()) == {KEPT}


@pytest.mark.parametrize("format", ["index_masks", "cityscapes_ids", "coco_panoptic"])
def test_a_mask_missing_after_ingest_drops_only_its_image(sandbox, format):
    sources.FORMATS[format](sandbox.source)
    mask = sandbox.source / FILES.get(format, "").replace("panoptic_val.json", "panoptic_val/a.png")
    outcome = run_stages(sandbox, mask.unlink, before="validate")
    assert ("dropped", "bad_record") in outcome.annotations.values()
    assert KEPT in outcome.annotations.values()
    assert KEPT in outcome.images.values()


def test_a_photo_missing_after_ingest_drops_only_its_image(sandbox):
    path = cat_and_dog(sandbox)
    outcome = run_stages(sandbox, path.unlink, before="validate")
    assert outcome.images == {"a": ("dropped", "missing_file"), "b": KEPT}
    assert outcome.annotations["instances.json#1"] == ("dropped", "image_lost")


@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("validate", "data/records/images.parquet"),
        ("validate", "data/records/instances.parquet"),
        ("rasterize", "data/checked/images.parquet"),
        ("rasterize", "data/checked/classes.json"),
        ("rasterize", "data/checked/ledger.parquet"),
        ("split", "data/labels/class_pixels.npy"),
        ("split", "data/masks/classes.json"),
    ],
)
def test_a_missing_output_is_named_with_the_command_that_writes_it(sandbox, stage, file):
    cat_and_dog(sandbox)
    with pytest.raises(SystemExit) as end:
        run(lambda: discard(run_stages(sandbox, (sandbox.work / file).unlink, before=stage)))
    assert end.value.code == f"error: {file}: no such file; `dvc repro` runs the stages that write it"


def discard(outcome: object) -> None:
    """Replaces a stage, which returns nothing."""
