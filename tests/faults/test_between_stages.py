"""Files that change or disappear between two stages: the stage that needs them reports it in one line."""

from pathlib import Path

import pytest
from PIL import Image

from segpipe.core.command import run
from segpipe.core.errors import UserError
from tests.faults import sources
from tests.faults.sandbox import Sandbox, Verdict, run_stages
from tests.faults.test_annotation_files import FILES


def cat_and_dog(sandbox: Sandbox) -> Path:
    sources.put_coco(sandbox.source)
    return sandbox.source / "a.png"


@pytest.mark.parametrize("change", ["gone", "empty", "cut", "folder", "text", "other size"])
def test_a_photo_changed_after_validate_requires_another_run(sandbox, change):
    path = cat_and_dog(sandbox)

    def between() -> None:
        data = path.read_bytes()
        path.unlink()
        if change == "folder":
            path.mkdir()
        elif change == "other size":
            sources.put_photo(path, size_wh=(13, 8))
        elif change != "gone":
            path.write_bytes({"empty": b"", "cut": data[:-40], "text": b"not an image"}[change])

    with pytest.raises(UserError) as error:
        run_stages(sandbox, between)
    assert str(error.value).startswith(f"{path}: ")
    assert "run `dvc repro` again" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", ["gone", "other size"])
def test_a_mask_changed_after_validate_requires_another_run(sandbox, change):
    sources.put_index_masks(sandbox.source)
    path = sandbox.source / "masks/a.png"

    def between() -> None:
        path.unlink()
        if change == "other size":
            Image.new("L", (13, 8), 1).save(path)

    with pytest.raises(UserError, match=r"images/a\.png: .*run `dvc repro` again"):
        run_stages(sandbox, between)


def test_a_source_missing_after_validate_requires_another_run(sandbox):
    cat_and_dog(sandbox)
    with pytest.raises(UserError, match="run `dvc repro` again"):
        run_stages(sandbox, lambda: sandbox.source.rename(sandbox.work / "moved"))


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
        ("split", "data/store/class_pixels.npy"),
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
