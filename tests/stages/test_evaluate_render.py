"""The last two stages on tiny images and a network with a known answer: it predicts cat for every pixel."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from markupsafe import escape
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.data import split_table, tables
from segpipe.data.classes import ClassTable
from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.data.records import Photo
from segpipe.data.split_table import Assignment
from segpipe.evaluate import score_tables
from segpipe.masks import label_png
from segpipe.models import model_file
from segpipe.models.segmenter import build_segmenter
from stages import evaluate, render

ROOT = Path(__file__).resolve().parent.parent.parent
CLASSES = ClassTable(("background", "cat", "dog"))
MASKS = {
    "a": np.array([[1, 1, 1, 0]], np.uint8),
    "b": np.array([[1, 2, 255, 255]], np.uint8),
    "c": np.array([[1, 1, 1, 1]], np.uint8),
    "d": np.array([[0, 0, 0, 0]], np.uint8),
}
SPLITS = {"a": "test", "b": "test", "c": "val", "d": "train"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the outputs of the first six stages."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["ingest"]["source"] = "photos"
    params["tracking"]["mlflow"] = False
    params["render"]["samples"] = 6
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for folder in ("photos", "data/masks", "data/checked", "models"):
        Path(folder).mkdir(parents=True)
    for key, mask in MASKS.items():
        Image.new("RGB", mask.shape[::-1], "olive").save(f"photos/{key}.png")
        label_png.write(Path(f"data/masks/{key}.png"), mask, CLASSES)
    CLASSES.write(Path("data/masks/classes.json"))
    write_photos([photo(key) for key in MASKS])
    write_splits(SPLITS)
    write_model(CLASSES.names)
    return tmp_path


def photo(key):
    return Photo(
        key=key,
        file=f"{key}.png",
        split=None,
        width=4,
        height=1,
        frame="viewed",
        orientation=1,
        undecidable=False,
        sha256="",
        background=False,
    )


def write_photos(photos):
    table = tables.table_of_photos([(photo, bytes(FINGERPRINT_BYTES)) for photo in photos])
    tables.write(Path("data/checked/images.parquet"), tables.numbered(table))


def write_splits(splits):
    rows = [Assignment(key=key, split=split, group=key) for key, split in splits.items()]
    split_table.write(Path("data/splits.csv"), rows)


def write_model(names):
    seen = tuple(index == 1 for index in range(len(names)))
    facts = model_file.ModelCard(
        architecture="unet",
        encoder="mobilenetv3_small_050",
        classes=names,
        seen=seen,
        fit_mode="stretch",
        size_hw=(32, 32),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        facts={"best epoch": 3},
    )
    model_file.save(Path("models/model.pt"), build_segmenter("unet", facts.encoder, len(names), seen), facts)


def test_scores_are_those_of_the_pixels_of_each_split(project):
    evaluate.main()
    document = json.loads(Path("metrics/evaluate.json").read_text())
    # test: truth 4 cats, 1 background, 1 dog, 2 ignored; all 6 counted pixels predicted as cat
    test = document["test"]
    assert test["iou"] == {"background": 0.0, "cat": 4 / 6, "dog": 0.0}
    assert test["mean_iou"] == pytest.approx(4 / 6 / 3)
    assert test["pixel_accuracy"] == pytest.approx(4 / 6)
    assert test["precision"] == {"cat": 4 / 6}
    assert test["image_recall"] == {"background": 0.0, "cat": 1.0, "dog": 0.0}
    # val: nothing but cats, all found; the other classes are absent
    assert document["val"]["iou"] == {"cat": 1.0}
    assert document["val"]["absent_classes"] == 2


def test_each_scored_image_has_its_row(project):
    evaluate.main()
    with Path("metrics/per_image.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    assert {key: row["split"] for key, row in rows.items()} == {"a": "test", "b": "test", "c": "val"}
    assert (rows["a"]["pixels"], rows["a"]["mean_iou"]) == ("4", "0.375000")  # cat 3/4, background 0
    assert (rows["b"]["pixels"], rows["b"]["mean_iou"]) == ("2", "0.250000")  # cat 1/2, dog 0
    assert rows["b"]["missed"] == "dog"


def test_the_page_shows_the_written_sheets(project):
    Path("results/samples").mkdir(parents=True)
    Path("results/samples/worst-99.png").write_bytes(b"from an earlier run")
    evaluate.main()
    render.main()
    # two images in test: both are among the six worst, the worse one first
    assert sorted(path.name for path in Path("results/samples").iterdir()) == ["worst-1.png", "worst-2.png"]
    page = Path("results/index.html").read_text(encoding="utf-8")
    assert page.index("<code>b</code>") < page.index("<code>a</code>")
    assert "samples/worst-2.png" in page


def test_the_page_has_the_counts_of_classes_with_any_name(project):
    hard = ("cat; dog", "cat", "dog", "=cmd|' /C calc'!A0", 'a "b", c', "a\r\nb", "nan", "True", "-1", "'", "cat; ")
    classes = ClassTable(("background", *hard))
    classes.write(Path("data/masks/classes.json"))
    mask = np.arange(len(classes), dtype=np.uint8)[None]
    Image.new("RGB", mask.shape[::-1], "olive").save("photos/b.png")
    label_png.write(Path("data/masks/b.png"), mask, classes)
    photos = [photo(key) for key in "acd"] + [replace(photo("b"), width=len(classes))]
    write_photos(photos)
    write_splits({"b": "test"})
    write_model(classes.names)
    evaluate.main()
    render.main()
    [b] = score_tables.read_per_image(Path("metrics/per_image.csv"))
    assert (b.found, b.missed) == (("cat; dog",), ("background", *hard[1:]))
    assert b.iou.keys() == set(classes.names)
    recall = json.loads(Path("metrics/evaluate.json").read_text())["test"]["image_recall"]
    assert recall == {name: float(name == "cat; dog") for name in classes.names}
    table = Path("results/index.html").read_bytes().decode().partition("<h2>Classes")[2].partition("</table>")[0]
    counted = re.findall(r'class="name"><span[^>]*></span>(.*?)</td>.*?(\d+) / (\d+)</td>', table, re.DOTALL)
    assert counted == [(escape(n), *(("1", "0") if n == "cat; dog" else ("0", "1"))) for n in classes.names]


def test_equal_inputs_make_equal_bytes(project):
    written = []
    for _ in range(2):
        for folder in ("metrics", "results"):
            shutil.rmtree(folder, ignore_errors=True)
        evaluate.main()
        render.main()
        files = [path for folder in ("metrics", "results") for path in sorted(Path(folder).rglob("*.*"))]
        written.append({path.as_posix(): path.read_bytes() for path in files})
    assert written[0] == written[1]


def test_without_a_test_split_val_is_the_headline(project):
    write_splits({"c": "val", "d": "train"})
    evaluate.main()
    render.main()
    assert list(json.loads(Path("metrics/evaluate.json").read_text())) == ["val"]
    assert "Scores on the val split" in Path("results/index.html").read_text(encoding="utf-8")


def test_a_split_without_val_and_test_is_an_error_of_one_line(project):
    write_splits({"a": "train", "b": ""})
    message = r"^data/splits\.csv: no image is in val or test; raise split\.val or split\.test"
    with pytest.raises(UserError, match=message):
        evaluate.main()


def test_the_remedy_for_nothing_to_score_is_a_setting_that_method_source_uses(project):
    write_splits({"a": "train", "b": ""})
    text = Path("params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(text.replace("method: content", "method: source"), encoding="utf-8")
    with pytest.raises(UserError, match=r"no image is in val or test; raise split\.val in params\.yaml$"):
        evaluate.main()


def test_a_model_with_other_classes_is_an_error(project):
    write_model(("background", "horse"))
    with pytest.raises(UserError, match=r"^models/model\.pt: its classes are not those of data/masks"):
        evaluate.main()
    assert not Path("metrics").exists()
