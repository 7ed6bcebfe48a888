"""`python -m segpipe explain` over a small data set that went through the pipeline."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from segpipe.__main__ import main
from stages import ingest
from tests import data_half
from tests.ingest.folders import coco, drawn, put_json, put_pictures

SQUARE = [[2.0, 2.0, 12.0, 2.0, 12.0, 12.0, 2.0, 12.0]]  # 100 pixels
RIGHT = [[7.0, 2.0, 12.0, 2.0, 12.0, 12.0, 7.0, 12.0]]  # its right half, 50
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "owl"}]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Photographs of 40 x 40: a has overlaps and defects, in b a dog lies over its twin, c has no record."""
    folder = tmp_path_factory.mktemp("project")
    put_pictures(folder / "source", ["a.png", "sub/b.png", "c.png"], (40, 40))
    photos = {70: "a.png", 71: "sub/b.png", 8: "lost.png"}
    put_json(
        folder / "source/instances.json",
        coco(
            [{"id": number, "file_name": name, "width": 40, "height": 40} for number, name in photos.items()],
            [
                drawn(1, image_id=70, category_id=1, segmentation=SQUARE, area=100),
                drawn(2, image_id=70, category_id=2, segmentation=RIGHT),
                drawn(3, image_id=70, category_id=3, segmentation=SQUARE),
                drawn(4, image_id=70, category_id=1, segmentation=[[1, 2, 3]]),
                drawn(5, image_id=71, category_id=2, segmentation=RIGHT, area=50),
                drawn(6, image_id=71, category_id=2, segmentation=RIGHT, area=50),
                drawn(7, image_id=8, category_id=1, segmentation=SQUARE),
                drawn(8, image_id=70, category_id=1, segmentation=[[50, 5, 60, 5, 60, 9]]),
            ],
            CATEGORIES,
        ),
    )
    data_half.run(folder, Path("source"), ingest__classes=["cat", "dog"], split__val=0.0, split__test=0.0)
    return folder


@pytest.fixture
def here(project, tmp_path, monkeypatch):
    """A copy of the project to run commands in."""
    shutil.copytree(project, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def told(capsys, record: str) -> list[str]:
    assert main(["explain", record]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys, *arguments: str) -> str:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip("\n")


def test_an_annotations_whole_way(here, capsys):
    assert told(capsys, "instances.json#1") == [
        "annotation   instances.json#1",
        "class        cat",
        "record       instances.json: annotations[0] (id 1)",
        "photograph   a.png (key a)",
        "ingest       a region: 1 ring of 4 points",
        "validate     kept",
        "rasterize    kept: 100 px by itself, 50 px show",
        "             50 px beneath instances.json#2 (dog)",
        "at training  32 px at 32 x 32 pixels",  # 40 px become 32: 8 rows, 4 columns
        "split        train",
        "picture      results/explain/instances.json_1.png: green pixels show, pink ones are hidden or not drawn, "
        "the white line is the annotation's",
    ]
    with Image.open("results/explain/instances.json_1.png") as drawn_picture:
        assert min(drawn_picture.size) > 100


def test_a_hidden_annotation_says_what_lies_over_it(here, capsys):
    lines = told(capsys, "5")
    assert "rasterize    hidden: 50 px by itself, 0 px show" in lines
    assert "             50 px beneath instances.json#6 (dog)" in lines
    remedy = "Delete the duplicate, or change which object is on top. (params.yaml: rasterize.priority)"
    assert f"to do        {remedy}" in lines


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ("3", "discarded (class_not_selected)"),
        ("4", "dropped (bad_ring)"),
        ("7", "dropped (image_lost)"),
        ("instances.json#8", "dropped (outside_frame)"),
    ],
)
def test_what_is_not_drawn_says_why_and_what_to_do(here, capsys, record, verdict):
    lines = told(capsys, record)
    assert f"validate     {verdict}" in lines
    assert "rasterize    not drawn" in lines
    assert any(line.startswith("to do") for line in lines)


def test_a_lost_photograph_has_no_picture(here, capsys):
    assert told(capsys, "7")[-1] == "picture      none: no photograph of it can be read"


@pytest.mark.parametrize("name", ["sub__b", "sub/b.png", "b.png", "b", "71"])
def test_a_photograph_answers_to_its_key_file_name_and_id(here, capsys, name):
    lines = told(capsys, name)
    assert lines[0] == "photograph   sub__b"
    assert "annotations  1 hidden, 1 kept" in lines
    assert "             instances.json#6: dog, kept, 50 px, 50 show" in lines


def test_a_photograph_without_annotation(here, capsys):
    lines = told(capsys, "c.png")
    assert "validate     skipped (not_annotated)" in lines
    assert "split        none: the photograph is not used" in lines
    assert Path("results/explain/c.png").is_file()


def test_the_picture_goes_where_it_is_wanted(here, capsys):
    assert main(["explain", "1", "--output", "x/y.png"]) == 0
    assert Path("x/y.png").is_file()
    assert not Path("results/explain").exists()


def test_a_changed_setting_is_noticed(here, capsys):
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["rasterize"]["priority"] = ["cat", "dog"]
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    lines = told(capsys, "1")
    changed = "now they would be 100 and 100, and 64 at training"
    assert f"             {changed}: params.yaml or the source changed since; run `dvc repro`" in lines


def test_a_changed_training_size_is_noticed(here, capsys):
    text = Path("params.yaml").read_text(encoding="utf-8")
    doubled = text.replace("height: 32\n  width: 32\n", "height: 64\n  width: 64\n")
    Path("params.yaml").write_text(doubled, encoding="utf-8")
    assert any("now they would be 100 and 50, and 128 at training" in line for line in told(capsys, "1"))  # 8 x 16


def test_stages_that_have_not_run_say_so(here, capsys):
    Path("data/ledger.parquet").unlink()
    Path("data/splits.csv").unlink()
    lines = told(capsys, "1")
    assert "rasterize    has not run yet; run `dvc repro`" in lines
    assert "split        has not run yet; run `dvc repro`" in lines


def test_before_the_first_run(here, capsys):
    shutil.rmtree("data")
    assert refused(capsys, "explain", "1") == (
        "segpipe explain: data/checked/ledger.parquet: no such file; run `dvc repro` first, "
        "from the project's top folder"
    )


def test_an_unknown_name_gets_close_ones(here, capsys):
    assert refused(capsys, "explain", "instances.json#99") == (
        "segpipe explain: no annotation or photograph is named 'instances.json#99'; "
        "close to it: instances.json#8, instances.json#7, instances.json#6"
    )


def test_a_name_of_several_lists_them(here, capsys):
    assert refused(capsys, "explain", "8") == (
        "segpipe explain: '8' names 2 records: annotation instances.json#8, photograph lost; give one of these in full"
    )


def test_a_picture_that_cannot_be_written(here, capsys):
    Path("taken").write_text("a file")
    assert refused(capsys, "explain", "instances.json#1", "--output", "taken/x.png") == (
        "segpipe explain: taken/x.png: cannot be written (File exists); give another by --output"
    )


@pytest.mark.parametrize("record", ["instances.json#1", "a.png"])
def test_a_photograph_that_changed_since(here, capsys, record):
    put_pictures(Path("source"), ["a.png"], (20, 20))
    assert told(capsys, record)[-1] == (
        "picture      none: a.png: its size changed since validate ran; run `dvc repro`"
    )
    Path("source/a.png").unlink()
    assert told(capsys, record)[-1] == "picture      none: a.png: no such file; restore it or remove its record"


def test_records_of_another_run(here, capsys):
    document = json.loads(Path("source/instances.json").read_text(encoding="utf-8"))
    document["annotations"].pop()
    put_json(Path("source/instances.json"), document)
    ingest.main()
    assert refused(capsys, "explain", "1") == (
        "segpipe explain: data/checked/ledger.parquet: is not of the records in data/records; run `dvc repro`"
    )


def test_a_table_that_cannot_be_read(here, capsys):
    Path("data/checked/instances.parquet").write_bytes(b"no table")
    assert "run `dvc repro`, its files are of another version" in refused(capsys, "explain", "1")


def test_away_from_the_project(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert refused(capsys, "explain", "1") == (
        "segpipe explain: params.yaml: no such file; run from the project's top folder"
    )


def test_what_is_worth_knowing_is_told_too(here, capsys):
    lines = told(capsys, "6")
    (note,) = [line for line in lines if line.startswith("note")]
    twin = "the same pixels as instances.json#5 (IoU 100 %)"
    assert note.startswith(f"note         Same object annotated twice ({twin}). ")
    assert not any(line.startswith("note") for line in told(capsys, "5"))


def square(left: float, top: float, side: float) -> list[float]:
    return [left, top, left + side, top, left + side, top + side, left, top + side]


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """A photograph of 112 x 112 in four tiles of 64, at half their size; rings within others are holes."""
    put_pictures(tmp_path / "source", ["a.png"], (112, 112))
    put_json(
        tmp_path / "source/instances.json",
        coco(
            [{"id": 70, "file_name": "a.png", "width": 112, "height": 112}],
            [
                drawn(1, image_id=70, category_id=1, segmentation=[square(2, 2, 12), square(5, 5, 6)], area=108),
                drawn(2, image_id=70, category_id=1, segmentation=[square(100, 2, 4), square(90, 90, 6)], area=52),
                drawn(3, image_id=70, category_id=2, segmentation=[square(54, 54, 4)], area=16),
            ],
            CATEGORIES,
        ),
    )
    tiles = {"side": 64, "overlap": 16}
    data_half.run(tmp_path, Path("source"), photos__tiles=tiles, validate__holes="even_odd")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("record", "read_as", "native", "at_training"),
    [  # tiles begin at 0 and 48 and show every odd column and row
        ("1", "2 rings of 8 points", 144 - 36, "27 px at 32 x 32 pixels in 1 of the photograph's 4 tiles"),  # 36 - 9
        ("2", "2 rings of 8 points", 16 + 36, "13 px at 32 x 32 pixels in 2 of the photograph's 4 tiles"),  # 4 + 9
        ("3", "1 ring of 4 points", 16, "16 px at 32 x 32 pixels in 4 of the photograph's 4 tiles"),  # 2 x 2 in each
    ],
)
def test_holes_parts_and_tiles(cut, capsys, record, read_as, native, at_training):
    lines = told(capsys, record)
    assert f"ingest       a region: {read_as}" in lines
    assert f"rasterize    kept: {native} px by itself, {native} px show" in lines
    assert f"at training  {at_training}" in lines


def test_a_hole_is_not_tinted(cut, capsys):
    told(capsys, "1")
    with Image.open("results/explain/instances.json_1.png") as picture:
        zoom = picture.width // 38  # 24 px around it, cut at the border: from 0 to 14 + 24
        bare, tinted = (picture.getpixel((round(x * zoom), round(8 * zoom))) for x in (8, 3.5))
    assert bare == (120, 90, 60)
    assert tinted[1] > bare[1]


def test_a_photograph_tells_its_tiles(cut, capsys):
    lines = told(capsys, "a.png")
    assert "used as      112 x 112 pixels, viewed frame" in lines
    assert "at training  4 tiles of 32 x 32 pixels" in lines
    assert "             instances.json#1: cat, kept, 108 px, 108 show" in lines
