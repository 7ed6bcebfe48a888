"""Parts of real exports (exports/README.md). The expected numbers were counted in the files by hand."""

import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from segpipe.data.records import Dataset
from segpipe.ingest.names import FORMAT_NAMES
from segpipe.ingest.read import read_source
from tests.ingest.folders import put_images

EXPORTS = Path(__file__).parent / "exports"
BIRDS, CRACK, SHAPES, STRAWBERRY = (1000, 666), (1280, 720), (588, 643), (800, 800)  # width, height
FOUR = {"birds.jpg": BIRDS, "crack.jpeg": CRACK, "shapes.jpg": SHAPES, "strawberry.jpg": STRAWBERRY}
TWO = {"birds.jpg": BIRDS, "shapes.jpg": SHAPES}
LABELS = ("rectangle", "triangle", "circle", "ellipse", "line", "crack", "bird", "strawberry")


def read(root: Path, export: str, photos: dict[str, tuple[int, int]]) -> Dataset:
    """The export with plain photos. photos: (width, height) by file."""
    shutil.copytree(EXPORTS / export, root, dirs_exist_ok=True)
    for file, size_wh in photos.items():
        put_images(root, [file], size_wh)
    dataset = read_source(root)
    assert not [record for record in (*dataset.images, *dataset.instances) if record.problem]
    assert {image.file for image in dataset.images} == photos.keys()
    assert all((image.width, image.height) in ((None, None), photos[image.file]) for image in dataset.images)
    return dataset


def within(folder: str, photos: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {f"{folder}/{name}": size_wh for name, size_wh in photos.items()}


def counts(dataset: Dataset) -> dict[tuple[str, str], int]:
    return Counter((instance.category, instance.kind) for instance in dataset.instances)


def area_px(runs: tuple[int, ...]) -> int:
    return sum(runs[1::2])


def test_each_format_has_an_export_or_is_in_the_list_of_those_without():
    with_export = {folder.name for folder in EXPORTS.iterdir() if folder.is_dir()}
    _, _, rest = (EXPORTS / "README.md").read_text().partition("No export")
    assert sorted([*with_export, *re.findall(r"`(\w+)`", rest)]) == sorted(FORMAT_NAMES)


def test_coco_2017_has_two_splits_rings_in_parts_and_a_crowd(tmp_path):
    photos = {"train2017/000000433998.jpg": (640, 427), "val2017/000000403353.jpg": (640, 480)}
    dataset = read(tmp_path, "coco/coco2017", photos)
    assert [(image.split, image.width, image.height) for image in dataset.images] == [
        ("train", 640, 427), ("val", 640, 480),
    ]  # fmt: skip
    assert dataset.format == "coco"
    assert dataset.categories == ("person", "sports ball", "baseball glove", "tv", "bed", "book")
    assert counts(dataset) == {
        ("person", "region"): 14, ("sports ball", "region"): 1, ("baseball glove", "region"): 1, ("tv", "region"): 1,
        ("bed", "region"): 1, ("book", "region"): 1,
    }  # fmt: skip
    (crowd,) = (instance for instance in dataset.instances if instance.role == "crowd")
    assert (crowd.rle.size_hw, crowd.rle.counts[:4], crowd.area) == ((427, 640), (99168, 8, 418, 10), 860.0)
    assert area_px(crowd.rle.counts) == 860
    (bed,) = (instance for instance in dataset.instances if instance.category == "bed")
    assert [len(ring) // 2 for ring in bed.rings] == [13, 4]


def test_roboflow_coco_has_its_split_in_a_folder_and_a_class_that_nothing_uses(tmp_path):
    names = (
        "1734155285_7443_jpg.rf.64cf5ea8e1661001eaee7fabbae08ef6.jpg",
        "2053113140_3459_jpg.rf.61c8596f1ea4abc067c6fd124525ba50.jpg",
    )
    dataset = read(tmp_path, "coco/roboflow", within("valid", dict.fromkeys(names, (640, 640))))
    assert dataset.categories[0] == "car"
    assert len(dataset.categories) == 9
    assert [image.split for image in dataset.images] == ["val", "val"]
    assert counts(dataset) == {
        ("far_hasar", "region"): 1, ("gocuk", "region"): 5, ("kirik-kayip", "region"): 4, ("cizik", "region"): 1,
    }  # fmt: skip
    assert [len(ring) // 2 for i in dataset.instances for ring in i.rings] == [22, 19, 25, 6, 8, 12, 8, 11, 5, 10, 8]


def test_cvat_coco_writes_a_box_without_a_ring_and_an_ellipse_as_crowd(tmp_path):
    dataset = read(tmp_path, "coco/cvat", within("images", TWO))
    assert dataset.categories == LABELS
    bird, other_bird, triangle, box, circle, ellipse = dataset.instances
    assert [len(i.rings[0]) // 2 for i in (bird, other_bird, triangle)] == [28, 30, 3]
    assert (box.kind, box.rings) == ("box", ((45.8, 45.8, 230.61, 45.8, 230.61, 186.32, 45.8, 186.32),))
    assert [(i.role, i.rle.size_hw, area_px(i.rle.counts)) for i in (circle, ellipse)] == [
        ("crowd", (643, 588), 21359), ("crowd", (643, 588), 26287),
    ]  # fmt: skip


def test_cvat_xml(tmp_path):
    dataset = read(tmp_path, "cvat", within("images", FOUR))
    assert (dataset.format, dataset.categories) == ("cvat", LABELS)
    assert [image.split for image in dataset.images] == ["test"] * 4
    assert counts(dataset) == {
        ("bird", "region"): 2, ("crack", "line"): 1, ("triangle", "region"): 1, ("line", "line"): 1,
        ("rectangle", "box"): 1, ("ellipse", "region"): 2, ("strawberry", "box"): 17,
    }  # fmt: skip
    bird, other_bird, crack, triangle, line, box, circle = dataset.instances[:7]
    points = [len(i.rings[0]) // 2 for i in (bird, other_bird, crack, triangle, line, box)]
    assert points == [28, 30, 25, 3, 11, 4]
    x, y = np.reshape(circle.rings[0], (-1, 2)).T  # cx="447.89" cy="314.61" rx="82.09" ry="82.09"
    np.testing.assert_allclose((x.min(), x.max(), y.min(), y.max()), (365.80, 529.98, 232.52, 396.70))


def test_labelme_json(tmp_path):
    dataset = read(tmp_path, "labelme", TWO)
    assert (dataset.format, len(dataset.images)) == ("labelme", 2)
    assert [(i.category, i.kind, i.id) for i in dataset.instances] == [
        ("bird", "region", "birds.json#0"), ("bird", "region", "birds.json#1"),
        ("rectangle", "box", "shapes.json#0"), ("triangle", "region", "shapes.json#1"),
        ("circle", "region", "shapes.json#2"), ("line", "line", "shapes.json#3"),
        ("ellipse", "region", "shapes.json#4"),
    ]  # fmt: skip
    assert [len(i.rings[0]) // 2 for i in dataset.instances if i.category != "circle"] == [25, 23, 4, 3, 12, 13]
    centre, edge = np.array([448.4776119402985, 314.41044776119406]), np.array([505.94029850746267, 371.8731343283582])
    points = np.reshape(dataset.instances[4].rings[0], (-1, 2))
    np.testing.assert_allclose(np.linalg.norm(points - centre, axis=1), np.linalg.norm(edge - centre))


def test_labelme_xml_reads_polygons_a_box_and_masks(tmp_path):
    dataset = read(tmp_path, "labelme_xml", {"crack.jpeg": CRACK, "shapes.jpg": SHAPES})
    assert dataset.format == "labelme_xml"
    assert [image.annotated for image in dataset.images] == [True, True]
    triangle, box, circle, ellipse = dataset.instances
    assert triangle.rings == ((426.87, 30.53, 322.25, 201.59, 548.29, 198.54),)
    assert (box.kind, box.rings) == ("box", ((45.8, 45.8, 230.61, 45.8, 230.61, 186.32, 45.8, 186.32),))
    assert [(i.category, i.rle.size_hw, area_px(i.rle.counts)) for i in (circle, ellipse)] == [
        ("ellipse", (643, 588), 21359), ("ellipse", (643, 588), 26287),
    ]  # fmt: skip


@pytest.mark.parametrize(("export", "strawberries"), [("via/json", 34), ("via/csv", 17)])
def test_via_json_lists_each_strawberry_twice_and_its_csv_once(tmp_path, export, strawberries):
    dataset = read(tmp_path, export, FOUR)
    assert (dataset.format, len(dataset.images)) == ("via", 4)
    assert counts(dataset) == {
        ("strawberry", "box"): strawberries, ("rectangle", "box"): 1, ("triangle", "region"): 1,
        ("ellipse", "region"): 1, ("circle", "region"): 1, ("line", "line"): 1, ("crack", "line"): 1,
        ("bird", "region"): 2,
    }  # fmt: skip
    (box,) = (instance for instance in dataset.instances if instance.category == "rectangle")
    assert box.rings == ((47, 45, 230, 45, 230, 186, 47, 186),)  # x 47, y 45, width 183, height 141


def test_voc_reads_boxes_and_coloured_masks(tmp_path):
    dataset = read(tmp_path, "voc", within("JPEGImages", TWO))
    assert (dataset.format, dataset.categories) == ("voc", LABELS)
    assert [image.annotated for image in dataset.images] == [True, True]
    red, green = 128, 128 * 256  # the colours (128, 0, 0) and (0, 128, 0) of the object mask
    assert [(i.category, i.kind, i.mask_value, i.area) for i in dataset.instances] == [
        ("ellipse", "region", red, 21359.0), ("ellipse", "region", green, 26287.0), ("rectangle", "box", None, None),
    ]  # fmt: skip
    # edges between pixels: they are not counted from 1
    assert dataset.instances[2].rings == ((45.8, 45.8, 230.61, 45.8, 230.61, 186.32, 45.8, 186.32),)


def test_yolo_boxes_are_fractions_of_the_image(tmp_path):
    dataset = read(tmp_path, "yolo", within("obj_train_data", FOUR))
    assert (dataset.format, dataset.categories) == ("yolo", LABELS)
    assert [(image.split, image.annotated) for image in dataset.images] == [("train", True)] * 4
    assert counts(dataset) == {("rectangle", "box"): 1, ("strawberry", "box"): 17}
    # the rectangle of the CVAT export: 45.80 to 230.61 and 45.80 to 186.32, here to six digits of the width and height
    corners = (45.8, 45.8, 230.61, 45.8, 230.61, 186.32, 45.8, 186.32)
    np.testing.assert_allclose(dataset.instances[0].rings[0], corners, atol=1e-3)
