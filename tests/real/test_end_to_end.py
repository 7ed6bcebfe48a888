"""The pipeline over real photos, compared with counts and drawings made from their files by hand."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tests.project import Project

pytestmark = pytest.mark.real
DATA_STAGES = ("ingest", "validate", "rasterize", "split")
CLASSES = ["person", "cat", "dog", "car"]


def project_of(folder, source, **settings) -> Project:
    """A project over `source`; settings: section__key=value."""
    project = Project(folder)
    for key, value in ({"ingest__source": str(source), "ingest__classes": "auto"} | settings).items():
        project.set(key.replace("__", "."), value)
    return project


def run_data_stages(project: Project) -> Project:
    for stage in DATA_STAGES:
        project.run("python", "-m", f"stages.{stage}")
    return project


def coco_documents(source) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((source / "annotations").glob("*.json"))]


def drawn_by_the_usual_loop(document: dict, image: dict, classes: list[str]) -> np.ndarray:
    """The label map of one COCO image by a simple loop: crowds as 255 first, then objects by falling size."""
    names = {category["id"]: category["name"] for category in document["categories"]}
    size_hw = (image["height"], image["width"])
    paints = []
    for order, annotation in enumerate(document["annotations"]):
        if annotation["image_id"] == image["id"] and names[annotation["category_id"]] in classes:
            shape = coco_mask.frPyObjects(annotation["segmentation"], *size_hw)
            mask = coco_mask.decode(coco_mask.merge(shape) if isinstance(shape, list) else shape).astype(bool)
            value = 255 if annotation["iscrowd"] else classes.index(names[annotation["category_id"]]) + 1
            paints.append((not annotation["iscrowd"], -mask.sum(), order, value, mask))
    label_map = np.zeros(size_hw, np.uint8)
    for *_, value, mask in sorted(paints, key=lambda paint: paint[:3]):
        label_map[mask] = value
    return label_map


def stored(project: Project, key: str) -> np.ndarray:
    with Image.open(project.folder / f"data/masks/{key}.png") as mask:
        return np.asarray(mask)


@pytest.fixture(scope="module")
def coco(real_data, tmp_path_factory) -> Project:
    source = real_data / "coco_mini"
    settings = {"ingest__classes": CLASSES, "photos__height": 96, "photos__width": 96}
    project = project_of(tmp_path_factory.mktemp("coco"), source, **settings)
    project.start()
    project.dvc("repro")
    return project


def test_every_coco_mask_equals_that_of_pycocotools(coco, real_data):
    compared = 0
    for document in coco_documents(real_data / "coco_mini"):
        names = {c["id"]: c["name"] for c in document["categories"]}
        used = {a["image_id"] for a in document["annotations"] if names[a["category_id"]] in CLASSES}
        for image in document["images"]:
            if image["id"] in used:
                (key,) = [k for k in coco_keys(coco) if k.endswith(image["file_name"].removesuffix(".jpg"))]
                np.testing.assert_array_equal(stored(coco, key), drawn_by_the_usual_loop(document, image, CLASSES))
                compared += 1
    assert compared == len(coco_keys(coco)) == 84


def coco_keys(project: Project) -> list[str]:
    return pd.read_csv(project.folder / "data/splits.csv")["key"].tolist()


def test_the_coco_ledger_has_the_counts_of_the_json_files(coco, real_data):
    documents = coco_documents(real_data / "coco_mini")
    names = {c["id"]: c["name"] for c in documents[0]["categories"]}
    annotations = [a for document in documents for a in document["annotations"]]
    wanted = [a for a in annotations if names[a["category_id"]] in CLASSES]
    ledger = pd.read_parquet(coco.folder / "data/ledger.parquet")
    rows = ledger[ledger.kind == "annotation"]
    assert len(rows) == len(annotations) == 1363
    assert Counter(rows.verdict)["discarded"] == len(annotations) - len(wanted)
    assert Counter(rows.verdict)["ignored"] == sum(a["iscrowd"] for a in wanted)
    kept = rows[rows.verdict.isin(["kept", "repaired", "clipped", "hidden"])]
    objects = Counter(names[a["category_id"]] for a in wanted if not a["iscrowd"])
    assert Counter(kept.category) == objects
    images = ledger[ledger.kind == "image"]
    assert len(images) == sum(1 for path in (real_data / "coco_mini").rglob("*.jpg"))


def test_the_coco_scores_are_those_of_the_masks_that_inference_writes(coco, real_data, tmp_path):
    splits = pd.read_csv(coco.folder / "data/splits.csv")
    files = pd.read_parquet(coco.folder / "data/checked/images.parquet").set_index("key")["file"]
    keys = splits[splits.split == "test"]["key"].tolist()
    (tmp_path / "photos").mkdir()
    for key in keys:
        shutil.copyfile(real_data / "coco_mini" / files[key], tmp_path / "photos" / f"{key}.jpg")
    predict(coco, tmp_path / "photos", tmp_path / "masks")
    counts = np.zeros((256, 256), np.int64)
    for key in keys:
        with Image.open(tmp_path / f"masks/{key}.png") as mask:
            np.add.at(counts, (stored(coco, key), np.asarray(mask)), 1)
    matrix = counts[:5, :5]  # background and four classes; ignored pixels are in row 255
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - matrix.diagonal()
    scores = json.loads((coco.folder / "metrics/evaluate.json").read_text())["test"]
    assert scores["mean_iou"] == pytest.approx((matrix.diagonal()[union > 0] / union[union > 0]).mean())
    assert scores["pixel_accuracy"] == pytest.approx(matrix.diagonal().sum() / matrix.sum())


def test_the_coco_page_shows_its_score_and_the_worst_images(coco):
    score = json.loads((coco.folder / "metrics/evaluate.json").read_text())["test"]["mean_iou"]
    page = (coco.folder / "results/index.html").read_text(encoding="utf-8")
    assert f"<b>{score:.3f}</b><span>mIoU over the" in page
    shown = re.findall(r'<img src="samples/(worst-[0-9]+\.png)"', page)
    assert shown == sorted(path.name for path in (coco.folder / "results/samples").glob("worst-*.png"))
    assert shown


def predict(project: Project, photos: Path, masks: Path, *options: str) -> str:
    paths = ["--weights", "models/model.pt", "--input", str(photos), "--output", str(masks)]
    return project.run("python", "inference.py", *paths, *options)


def test_the_model_predicts_photos_of_every_orientation(coco, real_data, tmp_path):
    assert "18 of 18 images predicted" in predict(coco, real_data / "exif", tmp_path, "--overlay")
    for orientation in range(9):
        with Image.open(tmp_path / f"Portrait_{orientation}.png") as mask:
            assert mask.size == (1200, 1800)  # upright, as a viewer shows each of them
            assert mask.mode == "P"


def test_a_binary_run_has_one_class(real_data, tmp_path):
    source = real_data / "coco_mini"
    project = run_data_stages(project_of(tmp_path, source, ingest__classes=["person"], ingest__task="binary"))
    document = coco_documents(source)[0]
    image = next(i for i in document["images"] if any(k.endswith(i["file_name"][:-4]) for k in coco_keys(project)))
    (key,) = [k for k in coco_keys(project) if k.endswith(image["file_name"][:-4])]
    np.testing.assert_array_equal(stored(project, key), drawn_by_the_usual_loop(document, image, ["person"]))
    classes = json.loads((project.folder / "data/masks/classes.json").read_text())["classes"]
    assert [row["name"] for row in classes] == ["background", "person"]


def test_camvid_masks_are_the_annotated_ones_with_unlabelled_as_ignore(real_data, tmp_path):
    roles = {"train": "train", "val": "test"}
    settings = {"split__method": "source", "split__source_roles": roles, "split__val": 0.1}
    project = run_data_stages(project_of(tmp_path, real_data / "camvid", **settings))
    frames = 0
    for part in ("train", "val"):
        for path in sorted((real_data / f"camvid/{part}annot").glob("*.png"))[:40]:
            annotated = np.asarray(Image.open(path))
            expected = np.where(annotated == 11, 255, annotated + 1)
            np.testing.assert_array_equal(stored(project, f"{part}__{path.stem}"), expected)
            frames += 1
    assert frames == 80
    sides = pd.read_csv(project.folder / "data/splits.csv")
    assert (sides.split[sides.key.str.startswith("val__")] == "test").all()


def test_pets_masks_are_the_annotated_ones_with_their_ignored_edges(real_data, tmp_path):
    values = {"0": "background", "1": "cat", "2": "dog", "255": "ignore"}
    project = run_data_stages(project_of(tmp_path, real_data / "pets", ingest__mask_values=values))
    masks = sorted((real_data / "pets/masks").glob("*.png"))
    for path in masks:
        np.testing.assert_array_equal(stored(project, f"images__{path.stem}"), np.asarray(Image.open(path)))
    assert len(masks) == len(coco_keys(project)) == 26


def test_every_car_damage_annotation_is_kept(real_data, tmp_path):
    roles = {"train": "train", "val": "test"}
    settings = {"split__method": "source", "split__source_roles": roles}
    project = run_data_stages(project_of(tmp_path, real_data / "car_damage", **settings))
    sides = Counter(pd.read_csv(project.folder / "data/splits.csv").split)
    assert sides["test"] == 492
    assert sides["train"] + sides["val"] == 1491
    assert project.metrics("rasterize")["annotations"] == {"in": 4930, "verdicts": {"kept": 4930}, "reasons": {}}
