"""A record or pixel that is lost, doubled or invented ends the stage with one line, and without outputs."""

import json
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import pytest

from segpipe.__main__ import main as command
from segpipe.core.command import run
from segpipe.data import tables
from segpipe.ingest.formats import coco as coco_reader
from segpipe.masks.painting import Painting
from segpipe.rasterize import shard as rasterize_shard
from segpipe.split import assign
from segpipe.validate import shard as validate_shard
from tests import data_half
from tests.ingest.folders import coco, drawn, photo, put_images, put_json

END = "; run `dvc repro --force`, and if it happens again, report it: this is a bug in segpipe"


@pytest.fixture
def project(tmp_path):
    """A project with a cat on each of two photos, and a third photo of background."""
    names = ["a.jpg", "b.jpg", "c.jpg"]
    put_images(tmp_path / "source", names)
    photos = [photo(number, name) for number, name in enumerate(names, start=1)]
    put_json(tmp_path / "source/instances.json", coco(photos, [drawn(1), drawn(2, image_id=2)]))
    data_half.prepare(tmp_path, Path("source"), validate__unannotated="keep", split__empty_masks="keep")
    return tmp_path


def last_line(project: Path, stage: str, break_it=lambda: None) -> str:
    """The error of `stage`, if `break_it` is called before it."""
    with chdir(project):
        for name, main in data_half.STAGES.items():
            if name == stage:
                break_it()
                with pytest.raises(SystemExit) as end:
                    run(main)
                return str(end.value.code)
            main()
    raise AssertionError(stage)


def wrapped(monkeypatch, holder: object, name: str, change) -> None:
    original = getattr(holder, name)
    monkeypatch.setattr(holder, name, lambda *arguments, **named: change(original(*arguments, **named)))


OF_AN_IMAGE = {
    "a row": (lambda c: replace(c, rows=c.rows[:-1]), "the source has 3 image records, the ledger has 2"),
    "a row twice": (
        lambda c: replace(c, rows=(*c.rows, c.rows[-1])),
        "the source has 3 image records, the ledger has 4",
    ),
    "a photo": (
        lambda c: replace(c, photo=None),
        "the ledger keeps 5 records, the stage passes on 4; first difference: image c",
    ),
    "a verdict": (
        lambda c: replace(c, rows=(replace(c.rows[0], verdict="lost"),)),
        "unknown verdicts in the ledger: ['lost']",
    ),
}
OF_AN_ANNOTATION = {
    "an instance": (
        lambda c: replace(c, instances=()),
        "the ledger keeps 5 records, the stage passes on 4; first difference: annotation instances.json#1",
    ),
    "an instance twice": (
        lambda c: replace(c, instances=c.instances * 2),
        "the ledger keeps 5 records, the stage passes on 6; first difference: annotation instances.json#1",
    ),
    "an instance that is dropped": (
        lambda c: replace(c, rows=tuple(replace(r, verdict=("kept", "dropped")[r.kind != "image"]) for r in c.rows)),
        "the ledger keeps 4 records, the stage passes on 5; first difference: annotation instances.json#1",
    ),
    "a row": (
        lambda c: replace(c, rows=tuple(r for r in c.rows if r.kind == "image")),
        "the source has 2 annotation records, the ledger has 1",
    ),
}


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [*(("c", *case) for case in OF_AN_IMAGE.values()), *(("a", *case) for case in OF_AN_ANNOTATION.values())],
    ids=[*OF_AN_IMAGE, *(f"of an annotation: {what}" for what in OF_AN_ANNOTATION)],
)
def test_validate_passes_on_exactly_the_kept_records(project, monkeypatch, key, change, message):
    wrapped(monkeypatch, validate_shard, "check", lambda c: change(c) if c.rows[0].id == key else c)
    assert last_line(project, "validate") == f"error: the totals do not add up: {message}{END}"
    assert not (project / "data/checked").exists()


@pytest.mark.parametrize(("name", "first"), [("images", "image c"), ("instances", "annotation instances.json#2")])
def test_rasterize_draws_everything_that_validate_keeps(project, name, first):
    path = project / f"data/checked/{name}.parquet"

    def without_last() -> None:
        table = tables.read_shard(path, 0)
        tables.write(path, table.slice(0, table.num_rows - 1))

    line = last_line(project, "rasterize", without_last)
    message = f"the ledger keeps 5 records, the stage passes on 4; first difference: {first}"
    assert line == f"error: the totals do not add up: {message}{END}"
    assert not (project / "data/ledger.parquet").exists()


def test_rasterize_draws_each_annotation_of_a_shard(project, monkeypatch):
    line = last_line(
        project, "rasterize", lambda: wrapped(monkeypatch, rasterize_shard, "by_image", lambda of: {"a": of["a"]})
    )
    assert line == f"error: the totals do not add up: shard 0: 2 annotations to draw, 1 drawn{END}"
    assert not list((project / ".segpipe/shards/rasterize").iterdir())


def test_rasterize_gives_every_pixel_a_value(project, monkeypatch):
    line = last_line(project, "rasterize", lambda: wrapped(monkeypatch, Painting, "pixels", lambda counts: counts // 2))
    assert line == f"error: the totals do not add up: a: the label map has 24 pixels, the image 48{END}"
    assert not list((project / "data/masks").glob("*.png"))


def test_rasterize_draws_no_value_outside_the_class_table(project):
    path = project / "data/checked/class_indices.json"
    line = last_line(project, "rasterize", lambda: path.write_text(json.dumps({"cat": 7})))
    assert line == f"error: the totals do not add up: a: values outside the class table{END}"
    assert not list((project / "data/masks").glob("*.png"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda placed: placed[:-1], "3 images are used, 2 are in the split"),
        (lambda placed: [*placed, placed[0]], "3 images are used, 4 are in the split"),
        (lambda placed: [*placed[:-1], replace(placed[-1], split="")], "left out of the split without a reason: ['c']"),
    ],
)
def test_split_assigns_each_image_once(project, monkeypatch, change, message):
    line = last_line(project, "split", lambda: wrapped(monkeypatch, assign, "to_rows", change))
    assert line == f"error: the totals do not add up: {message}{END}"
    assert not (project / "data/splits.csv").exists()


def test_split_uses_exactly_the_drawn_images(project, monkeypatch):
    line = last_line(project, "split", lambda: wrapped(monkeypatch, tables, "read_photos", lambda records: records[1:]))
    assert line == f"error: the totals do not add up: 2 photos checked, 3 drawn{END}"


def test_ingest_and_convert_read_every_record(project, monkeypatch, capsys):
    wrapped(monkeypatch, coco_reader, "read", lambda d: replace(d, instances=d.instances[1:]))
    message = f"the totals do not add up: 2 annotations in the files, 1 read{END}"
    assert last_line(project, "ingest") == f"error: {message}"
    with chdir(project):
        assert command(["convert", "source", "out", "--to", "yolo"]) == 1
    assert capsys.readouterr().err == f"segpipe convert: {message}\n"
