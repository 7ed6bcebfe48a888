"""`segpipe convert`: its report and its errors."""

import subprocess
import sys

import pytest

from segpipe.__main__ import main
from segpipe.commands import convert
from segpipe.convert.convert import WRITERS
from segpipe.masks import label_png
from tests.conftest import ROOT
from tests.ingest.folders import coco, drawn, photo, put_images, put_json, put_mask


@pytest.fixture
def source(tmp_path):
    put_images(tmp_path / "source", ["a.jpg", "b.jpg"])
    annotations = [
        drawn(1),
        drawn(2, category_id=90),
        drawn(3, segmentation=[[1, 2]]),
        drawn(4, iscrowd=1, segmentation={"size": [6, 8], "counts": [0, 4, 44]}),
    ]
    put_json(tmp_path / "source/instances.json", coco([photo()], annotations))
    return tmp_path / "source"


def refused(capsys, *arguments: object) -> str:
    assert main(["convert", *map(str, arguments), "--workers", "1"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip("\n")


def test_the_report_counts_everything_written_changed_and_left_out(source, tmp_path, capsys):
    before = {path: path.read_bytes() for path in source.iterdir()}
    out = tmp_path / "out"
    assert main(["convert", str(source), "--to", "yolo", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"coco -> yolo: {out}",
        "  written: 2 objects",
        "  written: 1 image",
        "  changed: 1 image: without a split, so listed for both train and val",
        "  left out: 1 annotation: bad_ring",
        "  left out: 1 annotation: crowd (YOLO has no ignored pixels; they become background)",
        "  left out: 1 image: not_annotated",
        "  photos: not copied (--copy-images); put them under images/ with the paths of labels/",
    ]
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == ["data.yaml", "labels/a.txt"]
    assert (out / "data.yaml").read_text() == "path: .\ntrain: images\nval: images\nnames:\n  0: cat\n  1: dog\n"
    assert (out / "labels/a.txt").read_text().splitlines()[0] == (
        "0 0.125 0.16666666666666666 0.625 0.16666666666666666 0.625 0.6666666666666666"
    )
    assert {path: path.read_bytes() for path in source.iterdir()} == before


def test_two_conversions_give_equal_bytes(source, tmp_path):
    for to in ("coco", "labelme", "masks", "voc", "yolo"):
        trees = []
        for run in ("first", "second"):
            out = tmp_path / run / to
            assert main(["convert", str(source), str(out), "--to", to, "--copy-images", "--workers", "1"]) == 0
            files = sorted(path for path in out.rglob("*") if path.is_file())
            trees.append({path.relative_to(out): path.read_bytes() for path in files})
        assert trees[0] == trees[1]
        assert any(path.suffix == ".jpg" for path in trees[0])


def test_only_selected_classes_are_written(source, tmp_path):
    out = tmp_path / "out"
    assert main(["convert", str(source), str(out), "--to", "masks", "--classes", "dog", "--workers", "1"]) == 0
    assert (out / "classes.txt").read_text() == "background\ndog\n"


def test_classes_can_be_renamed_and_merged(source, tmp_path):
    out = tmp_path / "out"
    merged = ["animal=dog", "animal=cat"]
    assert main(["convert", str(source), str(out), "--to", "masks", "--classes", *merged, "--workers", "1"]) == 0
    assert (out / "classes.txt").read_text() == "background\nanimal\n"
    assert label_png.read(out / "masks/a.png").max() == 255  # the crowd
    assert (label_png.read(out / "masks/a.png") == 1).any()


@pytest.mark.parametrize(("option", "message"), [("animal=", "animal="), ("=dog", "=dog"), ("b=cat", "b=cat")])
def test_an_invalid_class_option_is_an_error(source, tmp_path, capsys, option, message):
    assert refused(capsys, source, tmp_path / "out", "--to", "coco", "--classes", "a=cat", option) == (
        f"segpipe convert: --classes {message}: write each class of the source once, like car or vehicle=car"
    )


@pytest.mark.parametrize(("holes", "pixels"), [("union", 16), ("even_odd", 12)])
def test_nested_rings_are_holes_with_even_odd(tmp_path, holes, pixels):
    put_images(tmp_path / "source", ["a.jpg"])
    rings = [[1, 1, 5, 1, 5, 5, 1, 5], [2, 2, 4, 2, 4, 4, 2, 4]]
    put_json(tmp_path / "source/instances.json", coco([photo()], [drawn(segmentation=rings)]))
    out = tmp_path / "out"
    options = ["--to", "masks", "--holes", holes, "--workers", "1"]
    assert main(["convert", str(tmp_path / "source"), str(out), *options]) == 0
    assert (label_png.read(out / "masks/a.png") == 1).sum() == pixels


def test_mask_values_name_the_classes_of_masks(tmp_path):
    put_images(tmp_path / "source/images", ["a.jpg"], (3, 2))
    put_mask(tmp_path / "source/masks/a.png", [[0, 7, 7], [0, 9, 255]])
    out = tmp_path / "out"
    options = ["--mask-values", "7=car", "9=ignore", "--workers", "1"]
    assert main(["convert", str(tmp_path / "source"), str(out), "--to", "masks", *options]) == 0
    assert (out / "classes.txt").read_text() == "background\ncar\n"
    assert label_png.read(out / "masks/images/a.png").tolist() == [[0, 1, 1], [0, 255, 255]]


@pytest.mark.parametrize("message", ["car", "x=car", "7=", "1,2=car"])
def test_an_invalid_mask_value_is_an_error(source, tmp_path, capsys, message):
    assert refused(capsys, source, tmp_path / "out", "--to", "coco", "--mask-values", message) == (
        f"segpipe convert: --mask-values {message!r}: write a stored number or colour and its name, "
        "like 7=car or 128,0,0=car"
    )


def test_an_unknown_class_is_an_error(source, tmp_path, capsys):
    message = refused(capsys, source, tmp_path / "out", "--to", "coco", "--classes", "dgo")
    assert message == "segpipe convert: --classes: no class 'dgo' in the source; it has cat, dog"


def test_a_folder_that_is_not_empty_is_an_error(source, tmp_path, capsys):
    put_images(tmp_path / "out", ["mine.jpg"])
    message = refused(capsys, source, tmp_path / "out", "--to", "coco")
    assert message == f"segpipe convert: {tmp_path / 'out'}: is not empty; name a new folder, or empty this one"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.jpg"]


def test_a_folder_in_the_source_is_an_error(source, capsys):
    message = refused(capsys, source, source / "out", "--to", "coco")
    assert message == (
        f"segpipe convert: {source / 'out'}: is in the source folder, which is only read; name another folder"
    )


def test_a_file_in_place_of_the_folder_is_an_error(source, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    message = refused(capsys, source, tmp_path / "out", "--to", "coco")
    assert message == f"segpipe convert: {tmp_path / 'out'}: cannot be written (Not a directory); name another folder"


def test_a_missing_source_is_an_error(tmp_path, capsys):
    assert "no such folder" in refused(capsys, tmp_path / "nothing", tmp_path / "out", "--to", "voc")


def test_a_source_without_a_usable_image_is_an_error(tmp_path, capsys):
    source = put_images(tmp_path / "source", ["b.jpg"])
    put_json(source / "instances.json", coco([photo()], [drawn()]))
    message = refused(capsys, source, tmp_path / "out", "--to", "coco")
    assert "no annotated image can be used" in message
    assert not (tmp_path / "out").exists()


def test_the_module_ends_with_exit_code_1_and_no_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "segpipe", "convert", "nothing", "out", "--to", "coco"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("segpipe convert: nothing: no such folder")
    assert "Traceback" not in done.stderr


def test_the_command_offers_exactly_the_formats_that_have_a_writer():
    assert sorted(convert.FORMATS) == sorted(WRITERS)
