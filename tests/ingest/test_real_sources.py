"""The readers on real data sets: every count is compared with a simple reading of the files."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.data.records import Dataset
from segpipe.ingest.read import MaskOptions, read_source


def plain(files: list[Path]) -> list[dict]:
    return [json.loads(file.read_text()) for file in files]


def assert_counts_equal(dataset: Dataset, documents: list[dict], num_images: int) -> None:
    assert dataset.format == "coco"
    assert len(dataset.images) == num_images
    assert sum(image.annotated for image in dataset.images) == sum(len(d["images"]) for d in documents)
    assert len(dataset.instances) == sum(len(d["annotations"]) for d in documents)
    assert dataset.categories == tuple(category["name"] for category in documents[0]["categories"])
    wanted: Counter[str] = Counter()
    for document in documents:
        names = {category["id"]: category["name"] for category in document["categories"]}
        wanted.update(names[annotation["category_id"]] for annotation in document["annotations"])
    assert Counter(instance.category for instance in dataset.instances) == wanted


@pytest.mark.parametrize(
    ("name", "pattern", "annotated", "instances", "categories", "splits"),
    [
        ("coco_mini", "annotations/*.json", 159, 1363, 80, {"train": 80, "val": 159}),
        ("car_damage", "*/*.json", 1983, 4930, 9, {"train": 1491, "val": 492}),
        ("multi_format/coco1.0", "annotations/*.json", 4, 23, 8, {None: 4}),
    ],
)
def test_coco(real_data, name, pattern, annotated, instances, categories, splits):
    root = real_data / name
    dataset = read_source(root)
    documents = plain(sorted(root.glob(pattern)))
    assert_counts_equal(dataset, documents, len([*root.rglob("*.jpg"), *root.rglob("*.jpeg")]))
    assert sum(image.annotated for image in dataset.images) == annotated
    assert (len(dataset.instances), len(dataset.categories)) == (instances, categories)
    assert Counter(image.split for image in dataset.images) == splits
    assert not any(image.problem for image in dataset.images)


def test_crowds_rings_and_sizes_of_coco_mini_equal_the_file(real_data):
    documents = plain(sorted((real_data / "coco_mini/annotations").glob("*.json")))
    annotations = [annotation for document in documents for annotation in document["annotations"]]
    dataset = read_source(real_data / "coco_mini")
    assert Counter(instance.role for instance in dataset.instances) == {"object": 1350, "crowd": 13}
    assert not any(instance.problem or instance.rings_refused for instance in dataset.instances)
    for instance, annotation in zip(dataset.instances, annotations, strict=True):
        if annotation["iscrowd"]:
            assert list(instance.rle.counts) == annotation["segmentation"]["counts"]
        else:
            assert [list(ring) for ring in instance.rings] == annotation["segmentation"]
    sizes = {photo["file_name"]: (photo["width"], photo["height"]) for d in documents for photo in d["images"]}
    for image in dataset.images:
        if image.annotated:
            assert (image.width, image.height) == sizes[Path(image.file).name]


def test_cvat_annotations_without_a_region_are_boxes(real_data):
    dataset = read_source(real_data / "multi_format/coco1.0")
    assert Counter(instance.kind for instance in dataset.instances) == {"box": 18, "region": 5}


def test_camvid(real_data):
    root = real_data / "camvid"
    names = (root / "classes.txt").read_text().split()
    dataset = read_source(root)
    assert dataset.format == "index_masks"
    assert dataset.categories == tuple(names[:11])  # the twelfth, unlabelled, is ignore
    assert Counter(image.split for image in dataset.images) == {"train": 367, "val": 101}
    assert {(image.width, image.height) for image in dataset.images} == {(480, 360)}
    stored: Counter[int] = Counter()
    for mask in sorted(root.glob("*annot/*.png")):
        stored.update(np.unique(np.asarray(Image.open(mask))).tolist())
    assert Counter(instance.mask_value for instance in dataset.instances) == stored
    assert Counter(instance.category for instance in dataset.instances if instance.role == "object") == {
        names[value]: count for value, count in stored.items() if value != 11
    }
    assert sum(instance.role == "ignore" for instance in dataset.instances) == stored[11]
    assert sum(instance.area for instance in dataset.instances) == 468 * 480 * 360


def test_pets(real_data):
    dataset = read_source(real_data / "pets", masks=MaskOptions(values={1: "cat", 2: "dog"}))
    assert dataset.categories == ("cat", "dog")
    # each photo shows one pet, in a mask of 0, 1 or 2, and 255 along its edge
    assert Counter(instance.role for instance in dataset.instances) == {"object": 26, "ignore": 26}
    assert len(dataset.images) == 26
    assert not any(record.problem for record in [*dataset.images, *dataset.instances])


def test_voc_boxes_and_coloured_masks(real_data):
    dataset = read_source(real_data / "multi_format/voc1.1")
    assert dataset.format == "voc"
    assert dataset.categories == (
        "rectangle", "triangle", "circle", "ellipse", "line", "crack", "bird", "strawberry",
    )  # fmt: skip
    assert Counter((i.category, i.kind) for i in dataset.instances) == {
        ("strawberry", "box"): 17, ("rectangle", "box"): 1, ("ellipse", "region"): 2,
    }  # fmt: skip
    # SegmentationObject/shapes.png: 26287 pixels of (0, 128, 0), 21359 of (128, 0, 0)
    assert {i.mask_value: i.area for i in dataset.instances if i.mask_file} == {128: 21359.0, 128 * 256: 26287.0}


def test_cvat(real_data):
    dataset = read_source(real_data / "multi_format/cvat1.1")
    assert (dataset.format, len(dataset.images)) == ("cvat", 4)
    assert Counter((i.category, i.kind) for i in dataset.instances) == {
        ("strawberry", "box"): 17, ("rectangle", "box"): 1, ("ellipse", "region"): 2, ("triangle", "region"): 1,
        ("bird", "region"): 2, ("line", "line"): 1, ("crack", "line"): 1,
    }  # fmt: skip


def test_yolo_boxes(real_data):
    dataset = read_source(real_data / "multi_format/yolo1.1")
    assert (dataset.format, len(dataset.categories)) == ("yolo", 8)
    assert Counter((i.category, i.kind) for i in dataset.instances) == {
        ("strawberry", "box"): 17,
        ("rectangle", "box"): 1,
    }
    assert Counter(image.split for image in dataset.images) == {"train": 4}


def test_eight_folders_of_seven_formats_become_one_data_set(real_data):
    dataset = read_source(real_data / "multi_format")
    assert dataset.format == "coco + cvat + labelme + labelme_xml + via + voc + yolo"
    folders = ("coco1.0", "cvat1.1", "grapes", "labelme", "labelme3.0", "via", "voc1.1", "yolo1.1")
    parts = {folder: read_source(real_data / "multi_format" / folder) for folder in folders}
    assert Counter(i.id.split("/")[0] for i in dataset.instances) == {
        folder: len(part.instances) for folder, part in parts.items()
    }
    assert Counter(i.file.split("/")[0] for i in dataset.images) == {
        folder: 11 if folder == "grapes" else 4 for folder in folders
    }
    assert set(dataset.categories) == {name for part in parts.values() for name in part.categories}
    assert {i.image_key for i in dataset.instances} <= {image.key for image in dataset.images}


def test_photos_without_annotations_are_refused(real_data):
    with pytest.raises(UserError, match=r"no annotations of format coco, .* or .* among its files"):
        read_source(real_data / "exif")
