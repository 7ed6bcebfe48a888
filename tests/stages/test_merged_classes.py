"""ingest.classes as a mapping: several classes of the source become one, from the masks to the report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segpipe.__main__ import main
from segpipe.core.errors import UserError
from tests import data_half
from tests.ingest.folders import coco, drawn, put_images, put_json, put_mask

LEFT = [[0.0, 0.0, 8.0, 0.0, 8.0, 16.0, 0.0, 16.0]]  # 8 x 16 pixels
MIDDLE = [[4.0, 0.0, 12.0, 0.0, 12.0, 16.0, 4.0, 16.0]]
CORNER = [[0.0, 0.0, 4.0, 0.0, 4.0, 4.0, 0.0, 4.0]]
MERGED = {"vehicle": ["bus", "car"], "human": "person"}


def put_coco(folder: Path) -> None:
    """A source with a car, a bus over half of the car, a person in the corner, and a tree."""
    put_images(folder, ["a.png"], (16, 16))
    names = ("car", "person", "tree", "bus")
    shapes = ((1, LEFT), (4, MIDDLE), (2, CORNER), (3, MIDDLE))
    annotations = [
        drawn(n, image_id=1, category_id=number, segmentation=ring) for n, (number, ring) in enumerate(shapes)
    ]
    photo = {"id": 1, "file_name": "a.png", "width": 16, "height": 16}
    categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
    put_json(folder / "instances.json", coco([photo], annotations, categories))


def put_masks(folder: Path) -> None:
    """The scene of put_coco as a mask, with later objects on top."""
    put_images(folder, ["images/a.png"], (16, 16))
    values = np.zeros((16, 16), np.uint8)
    values[:, :8], values[:, 4:12], values[:4, :4] = 1, 4, 2
    put_mask(folder / "masks/a.png", values)
    (folder / "classes.txt").write_text("background\ncar\nperson\ntree\nbus\n")


def run(folder: Path, **settings: object) -> None:
    data_half.run(
        folder, Path("source"), **{"ingest__classes": MERGED, "split__val": 0.0, "split__test": 0.0} | settings
    )


def label_map(folder: Path) -> np.ndarray:
    (path,) = (folder / "data/masks").glob("*.png")
    return np.asarray(Image.open(path))


def scene(human: int = 2) -> np.ndarray:
    """The expected label map: a vehicle from the left edge to the end of the bus, and the person in its corner."""
    expected = np.zeros((16, 16), np.uint8)
    expected[:, :12], expected[:4, :4] = 1, human
    return expected


@pytest.mark.parametrize("put", [put_coco, put_masks])
def test_merged_classes_are_drawn_as_one(tmp_path, put):
    put(tmp_path / "source")
    run(tmp_path)
    np.testing.assert_array_equal(label_map(tmp_path), scene())
    classes = json.loads((tmp_path / "data/masks/classes.json").read_text())["classes"]
    assert [entry["name"] for entry in classes] == ["background", "vehicle", "human"]
    metrics = json.loads((tmp_path / "metrics/rasterize.json").read_text())
    assert metrics["class_pixels"] == {"background": 64, "vehicle": 176, "human": 16}


def test_the_ledger_has_the_names_of_the_source_and_the_classes(tmp_path):
    put_coco(tmp_path / "source")
    run(tmp_path)
    rows = pd.read_parquet(tmp_path / "data/ledger.parquet")
    rows = rows[rows.kind == "annotation"]
    assert list(zip(rows.category, rows.class_name, rows.verdict, strict=True)) == [
        ("car", "vehicle", "kept"),
        ("bus", "vehicle", "kept"),
        ("person", "human", "kept"),
        ("tree", "", "discarded"),
    ]


def test_the_report_lists_the_source_classes_of_a_class(tmp_path):
    put_coco(tmp_path / "source")
    run(tmp_path)
    page = (tmp_path / "results/data_report.html").read_text(encoding="utf-8")
    assert 'vehicle <span class="faint">(car, bus)</span>' in page  # in the order of the source
    assert 'human <span class="faint">(person)</span>' in page
    assert "1 class of the source not used" in page


def test_priorities_name_merged_classes(tmp_path):
    put_coco(tmp_path / "source")
    run(tmp_path, rasterize__priority=["vehicle", "human"])
    np.testing.assert_array_equal(label_map(tmp_path), scene(human=1))
    with pytest.raises(UserError, match=r"rasterize\.priority names 'car'; the classes are vehicle, human"):
        run(tmp_path, rasterize__priority=["car"])


def test_task_binary_joins_merged_classes(tmp_path):
    put_coco(tmp_path / "source")
    run(tmp_path, ingest__task="binary")
    np.testing.assert_array_equal(label_map(tmp_path), scene(human=1))


def test_explain_names_the_source_class_and_the_class(tmp_path, monkeypatch, capsys):
    put_coco(tmp_path / "source")
    run(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "instances.json#1"]) == 0
    assert "class        bus, counts as vehicle" in capsys.readouterr().out
