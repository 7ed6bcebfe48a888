import logging
import subprocess
import sys
from dataclasses import replace

import pytest

from segpipe.core.errors import LedgerError, UserError
from segpipe.ingest.formats import coco as coco_reader
from segpipe.ingest.names import FORMAT_NAMES
from segpipe.ingest.read import FORMATS, MaskOptions, read_source
from tests.ingest.folders import coco, drawn, photo, put_images, put_json, put_mask


def put_coco(root):
    put_images(root, ["images/a.jpg"])
    put_json(root / "annotations/instances.json", coco([photo()], [drawn()]))


def put_masks(root):
    put_images(root, ["images/a.jpg"], (2, 1))
    put_mask(root / "masks/a.png", [[0, 1]])


@pytest.mark.parametrize(
    ("put", "format", "what"),
    [
        (put_coco, "coco", "COCO instances JSON: annotations/instances.json"),
        (put_masks, "index_masks", "index masks, images/ + masks/: 1 mask for 1 photo"),
    ],
)
def test_auto_recognises_a_format_and_logs_it(tmp_path, caplog, put, format, what):
    caplog.set_level(logging.INFO)
    put(tmp_path)
    assert read_source(tmp_path).format == format
    assert f"{tmp_path}: recognised as {format} ({what})" in caplog.text


def test_the_setting_decides_between_two_formats(tmp_path):
    put_coco(tmp_path)
    put_masks(tmp_path)
    with pytest.raises(UserError) as error:
        read_source(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: recognised as coco (COCO instances JSON: annotations/instances.json) and index_masks "
        "(index masks, images/ + masks/: 1 mask for 1 photo); set ingest.format in params.yaml to one of them"
    )
    assert read_source(tmp_path, "coco").format == "coco"
    assert read_source(tmp_path, "index_masks").format == "index_masks"


def test_patterns_select_the_mask_reader(tmp_path):
    put_coco(tmp_path)
    put_mask(tmp_path / "painted/a.png", [[0, 1]])
    masks = MaskOptions(image_pattern="images/*.jpg", mask_pattern="painted/*.png", values={1: "cat"})
    dataset = read_source(tmp_path, masks=masks)
    assert (dataset.format, dataset.categories) == ("index_masks", ("cat",))


def message(root, *arguments):
    with pytest.raises(UserError) as error:
        read_source(root, *arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_of_an_unknown_format_is_a_user_error(tmp_path):
    put_images(tmp_path, ["a.jpg", "b.jpg"])
    (tmp_path / "a.xml").write_text("<annotation/>")
    *formats, last = FORMATS
    assert message(tmp_path) == (
        f"{tmp_path}: no annotations of format {', '.join(formats)} or {last} among its files (2 .jpg, 1 .xml); set "
        "ingest.source in params.yaml to the folder of one data set, or set ingest.image_pattern and "
        "ingest.mask_pattern"
    )


def test_a_chosen_format_without_files_is_a_user_error(tmp_path):
    put_masks(tmp_path)
    assert "no annotations of format coco among its files (1 .jpg, 1 .png)" in message(tmp_path, "coco")


def test_an_unknown_format_is_a_user_error(tmp_path):
    put_coco(tmp_path)
    assert message(tmp_path, "cocoa") == (
        f"{tmp_path}: ingest.format 'cocoa' is unknown; set it to auto, {', '.join(FORMATS)} in params.yaml"
    )


def test_one_pattern_alone_is_a_user_error(tmp_path):
    put_masks(tmp_path)
    assert message(tmp_path, "auto", MaskOptions(image_pattern="images/*.jpg")) == (
        f"{tmp_path}: ingest.image_pattern and ingest.mask_pattern belong together; set both in params.yaml, or neither"
    )


def test_a_broken_annotation_file_is_reported_with_its_source(tmp_path):
    put_coco(tmp_path)
    (tmp_path / "annotations/instances.json").write_text("{\n")
    assert message(tmp_path) == (
        f"{tmp_path}: annotations/instances.json: line 2, column 1: not valid JSON (Expecting property name enclosed "
        "in double quotes); export it again, or remove it from the source"
    )


def test_readers_import_no_heavy_packages():
    code = "import sys, segpipe.ingest.read; print({'torch', 'pandas', 'pydantic', 'pyarrow'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}, capture_output=True, check=True)
    assert process.stdout.decode().strip() == "set()"


def test_every_format_name_has_a_reader():
    assert tuple(FORMATS) == FORMAT_NAMES


def put_three(root):
    put_images(root, ["a.jpg", "b.jpg", "c.jpg"])
    put_json(root / "instances.json", coco([photo(), photo(2, "b.jpg")], [drawn(1), drawn(2), {"no": "record"}]))


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ({"instances": lambda records: records[:-1]}, "3 annotations in the files, 2 read"),
        ({"instances": lambda records: (*records, records[0])}, "3 annotations in the files, 4 read"),
        ({"images": lambda records: records[1:]}, "image files of the source without a record: .'a.jpg'"),
        ({"images": lambda records: (*records, records[0])}, "image files with several records: .'a.jpg'"),
    ],
)
def test_a_record_lost_or_doubled_by_a_reader_stops_the_stage(tmp_path, monkeypatch, lost, message):
    put_three(tmp_path)
    assert len(read_source(tmp_path).instances) == 3
    read = coco_reader.read

    def changed(*arguments):
        dataset = read(*arguments)
        return replace(dataset, **{name: change(getattr(dataset, name)) for name, change in lost.items()})

    monkeypatch.setattr(coco_reader, "read", changed)
    with pytest.raises(LedgerError, match=message):
        read_source(tmp_path)
