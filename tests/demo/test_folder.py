"""The COCO folder: equal bytes for any number of workers, and records that agree with the drawn images."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from segpipe.__main__ import main
from segpipe.demo import folder

COUNT, SIZE = 45, 64  # the 41st image has a crowd


def made(out: Path, workers: int) -> dict[str, bytes]:
    numbers = ["--count", str(COUNT), "--size", str(SIZE), "--seed", "1", "--workers", str(workers)]
    assert main(["demo", str(out), *numbers, "--clean"]) == 0
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    return made(tmp_path_factory.mktemp("demo") / "one", workers=1)


@pytest.fixture(scope="module")
def document(files) -> dict:
    return json.loads(files["annotations/instances.json"])


def test_the_files_do_not_depend_on_the_number_of_workers(files, tmp_path):
    assert made(tmp_path / "two", workers=2) == files


def test_a_clean_folder_has_every_listed_photo_and_no_other_file(files, document):
    listed = {f"images/{image['file_name']}" for image in document["images"]}
    assert listed | {"annotations/instances.json"} == files.keys()
    assert len(listed) == COUNT
    assert any(not name.isascii() and " " in name for name in listed)


def test_declared_sizes_are_those_of_the_photos(files, document, tmp_path):
    for image in document["images"]:
        path = tmp_path / "photo"
        path.write_bytes(files[f"images/{image['file_name']}"])
        with Image.open(path) as photo:
            assert photo.size == (image["width"], image["height"])


def test_area_and_box_are_those_of_the_mask_that_pycocotools_draws(document):
    sizes = {image["id"]: (image["height"], image["width"]) for image in document["images"]}
    for record in document["annotations"]:
        region = as_region(record["segmentation"], sizes[record["image_id"]])
        assert coco_mask.area(region) == record["area"]
        np.testing.assert_array_equal(coco_mask.toBbox(region), record["bbox"])


def test_all_three_forms_of_segmentation_occur(document):
    forms = {
        type(r["segmentation"].get("counts")) if isinstance(r["segmentation"], dict) else "rings"
        for r in document["annotations"]
    }
    assert forms == {"rings", str, list}
    assert [r["iscrowd"] for r in document["annotations"]].count(1) == 1


def test_a_folder_that_is_not_empty_is_not_changed(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["demo", str(tmp_path), "--clean", "--count", "1"]) == 1
    assert (
        capsys.readouterr().err
        == f"segpipe demo: {tmp_path}: is not an empty folder; remove it or choose another folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("wrong", [["--count", "99"], ["--size", "63"], ["--seed", "-1"], ["--workers", "-1"]])
def test_a_number_out_of_range_is_an_error_of_one_line(wrong, tmp_path, capsys):
    assert main(["demo", str(tmp_path / "out"), *wrong]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_file_names_are_unique():
    assert len({folder.file_name(index) for index in range(2000)}) == 2000


def as_region(segmentation: list | dict, size_hw: tuple[int, int]) -> dict:
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, *size_hw))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, *size_hw)
    return segmentation
