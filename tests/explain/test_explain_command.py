"""`segpipe explain` on a small data set that went through the pipeline."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from segpipe.__main__ import main
from stages import ingest
from tests import data_half
from tests.ingest.folders import coco, drawn, put_images, put_json

SQUARE = [[2.0, 2.0, 12.0, 2.0, 12.0, 12.0, 2.0, 12.0]]  # 100 pixels
RIGHT = [[7.0, 2.0, 12.0, 2.0, 12.0, 12.0, 7.0, 12.0]]  # its right half, 50
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "owl"}]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Images of 40 x 40: a has overlaps and defects, in b a dog covers an equal one, c has no record."""
    folder = tmp_path_factory.mktemp("project")
    put_images(folder / "source", ["a.png", "sub/b.png", "c.png"], (40, 40))
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


def explained(capsys, record: str) -> list[str]:
    assert main(["explain", record]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys, *arguments: str) -> str:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip("\n")


def test_the_path_of_an_annotation_through_the_stages(here, capsys):
    assert explained(capsys, "instances.json#1") == [
        "annotation   instances.json#1",
        "class        cat",
        "record       instances.json: annotations[0] (id 1)",
        "image        a.png (key a)",
        "ingest       a region: 1 ring with 4 points",
        "validate     kept",
        "rasterize    kept: 100 px, 50 px visible",
        "             50 px under instances.json#2 (dog)",
        "at training  32 px at 32 x 32 pixels",  # 40 px become 32: 8 rows, 4 columns
        "split        train",
        "picture      results/explain/instances.json_1.png: green pixels are visible, pink ones are hidden or not "
        "drawn, the white line is the annotation's outline",
    ]
    with Image.open("results/explain/instances.json_1.png") as drawn_picture:
        assert min(drawn_picture.size) > 100


def test_a_hidden_annotation_names_what_covers_it(here, capsys):
    lines = explained(capsys, "5")
    assert "rasterize    hidden: 50 px, 0 px visible" in lines
    assert "             50 px under instances.json#6 (dog)" in lines
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
def test_an_annotation_that_is_not_drawn_has_a_reason_and_a_remedy(here, capsys, record, verdict):
    lines = explained(capsys, record)
    assert f"validate     {verdict}" in lines
    assert "rasterize    not drawn" in lines
    assert any(line.startswith("to do") for line in lines)


def test_an_annotation_of_a_missing_image_has_no_picture(here, capsys):
    assert explained(capsys, "7")[-1] == "picture      none: there is no readable photo of it"


@pytest.mark.parametrize("name", ["sub__b", "sub/b.png", "b.png", "b", "71"])
def test_an_image_is_found_by_key_file_name_and_id(here, capsys, name):
    lines = explained(capsys, name)
    assert lines[0] == "image        sub__b"
    assert "annotations  1 hidden, 1 kept" in lines
    assert "             instances.json#6: dog, kept, 50 px, 50 visible" in lines


def test_an_image_without_annotation_is_skipped(here, capsys):
    lines = explained(capsys, "c.png")
    assert "validate     skipped (not_annotated)" in lines
    assert "split        none: the image is not used" in lines
    assert Path("results/explain/c.png").is_file()


def test_output_names_the_picture_file(here, capsys):
    assert main(["explain", "1", "--output", "x/y.png"]) == 0
    assert Path("x/y.png").is_file()
    assert not Path("results/explain").exists()


def test_a_changed_setting_is_reported(here, capsys):
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["rasterize"]["priority"] = ["cat", "dog"]
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    lines = explained(capsys, "1")
    changed = "now 100 px, 100 px visible, 64 px at training size"
    assert f"             {changed}: params.yaml or the source has changed; run `dvc repro`" in lines


def test_a_changed_training_size_is_reported(here, capsys):
    text = Path("params.yaml").read_text(encoding="utf-8")
    doubled = text.replace("height: 32\n  width: 32\n", "height: 64\n  width: 64\n")
    Path("params.yaml").write_text(doubled, encoding="utf-8")
    assert any(
        "now 100 px, 50 px visible, 128 px at training size" in line for line in explained(capsys, "1")
    )  # 8 x 16


def test_stages_that_have_not_run_are_reported(here, capsys):
    Path("data/ledger.parquet").unlink()
    Path("data/splits.csv").unlink()
    lines = explained(capsys, "1")
    assert "rasterize    has not run yet; run `dvc repro`" in lines
    assert "split        has not run yet; run `dvc repro`" in lines


def test_before_the_first_run_the_error_names_dvc_repro(here, capsys):
    shutil.rmtree("data")
    assert refused(capsys, "explain", "1") == (
        "segpipe explain: data/checked/ledger.parquet: no such file; run `dvc repro` first, "
        "from the project's top folder"
    )


def test_the_error_for_an_unknown_name_lists_similar_ones(here, capsys):
    assert refused(capsys, "explain", "instances.json#99") == (
        "segpipe explain: no annotation or image has the name 'instances.json#99'; "
        "similar names: instances.json#8, instances.json#7, instances.json#6"
    )


def test_the_error_for_an_ambiguous_name_lists_the_records(here, capsys):
    assert refused(capsys, "explain", "8") == (
        "segpipe explain: '8' means 2 records: annotation instances.json#8, image lost; use the full name of one"
    )


def test_a_picture_that_cannot_be_written_is_an_error(here, capsys):
    Path("used").write_text("a file")
    assert refused(capsys, "explain", "instances.json#1", "--output", "used/x.png") == (
        "segpipe explain: used/x.png: cannot be written (File exists); name another file with --output"
    )


@pytest.mark.parametrize("record", ["instances.json#1", "a.png"])
def test_a_photo_that_has_changed_gives_no_picture(here, capsys, record):
    put_images(Path("source"), ["a.png"], (20, 20))
    assert explained(capsys, record)[-1] == (
        "picture      none: a.png: its size has changed since validate ran; run `dvc repro`"
    )
    Path("source/a.png").unlink()
    assert explained(capsys, record)[-1] == "picture      none: a.png: no such file; restore it or remove its record"


def test_records_of_another_run_are_an_error(here, capsys):
    document = json.loads(Path("source/instances.json").read_text(encoding="utf-8"))
    document["annotations"].pop()
    put_json(Path("source/instances.json"), document)
    ingest.main()
    assert refused(capsys, "explain", "1") == (
        "segpipe explain: data/checked/ledger.parquet: does not match the records in data/records; run `dvc repro`"
    )


def test_an_unreadable_table_is_an_error(here, capsys):
    Path("data/checked/instances.parquet").write_bytes(b"no table")
    assert "another version wrote it: run `dvc repro`" in refused(capsys, "explain", "1")


def test_outside_of_the_project_the_error_names_its_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert refused(capsys, "explain", "1") == (
        "segpipe explain: params.yaml: no such file; run from the project's top folder"
    )


def test_findings_are_notes(here, capsys):
    lines = explained(capsys, "6")
    (note,) = [line for line in lines if line.startswith("note")]
    twin = "the same pixels as instances.json#5 (IoU 100 %)"
    assert note.startswith(f"note         Same object annotated twice ({twin}). ")
    assert not any(line.startswith("note") for line in explained(capsys, "5"))


def square(left: float, top: float, side: float) -> list[float]:
    return [left, top, left + side, top, left + side, top + side, left, top + side]


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """An image of 112 x 112 in four tiles of 64, at half their size; nested rings are holes."""
    put_images(tmp_path / "source", ["a.png"], (112, 112))
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
        ("1", "2 rings with 8 points", 144 - 36, "27 px at 32 x 32 pixels in 1 of the image's 4 tiles"),  # 36 - 9
        ("2", "2 rings with 8 points", 16 + 36, "13 px at 32 x 32 pixels in 2 of the image's 4 tiles"),  # 4 + 9
        ("3", "1 ring with 4 points", 16, "16 px at 32 x 32 pixels in 4 of the image's 4 tiles"),  # 2 x 2 in each
    ],
)
def test_pixels_of_holes_and_parts_are_counted_over_all_tiles(cut, capsys, record, read_as, native, at_training):
    lines = explained(capsys, record)
    assert f"ingest       a region: {read_as}" in lines
    assert f"rasterize    kept: {native} px, {native} px visible" in lines
    assert f"at training  {at_training}" in lines


def test_a_hole_is_not_tinted(cut, capsys):
    explained(capsys, "1")
    with Image.open("results/explain/instances.json_1.png") as picture:
        zoom = picture.width // 60  # 12 px and 24 px on each side, moved into the image: from 0 to 60
        bare, tinted = (picture.getpixel((round(x * zoom), round(8 * zoom))) for x in (8, 3.5))
    assert bare == (120, 90, 60)
    assert tinted[1] > bare[1]


def test_an_image_lists_its_tiles(cut, capsys):
    lines = explained(capsys, "a.png")
    assert "used as      112 x 112 pixels, viewed frame" in lines
    assert "at training  4 tiles of 32 x 32 pixels" in lines
    assert "             instances.json#1: cat, kept, 108 px, 108 visible" in lines
