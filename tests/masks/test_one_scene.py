"""One scene in every format: read and drawn, all give one label map."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from segpipe.ingest.read import FORMATS, read_source
from segpipe.masks import rle
from segpipe.masks.regions import region_of
from tests.ingest.folders import put_images, put_mask

WIDTH, HEIGHT = 64, 32  # powers of two: fractions of them are exact
ROAD = [2.0, 20.0, 60.0, 16.5, 62.0, 30.0, 3.0, 31.0]
CAR = [10.0, 12.25, 30.5, 10.0, 33.0, 25.0, 12.0, 24.0]
NAMES = ("road", "car")


def expected() -> np.ndarray:
    """The road, 1, and the car, 2, on top of it, drawn by pycocotools."""
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    for value, ring in ((1, ROAD), (2, CAR)):
        label_map[coco_mask.decode(coco_mask.frPyObjects([ring], HEIGHT, WIDTH)[0]) > 0] = value
    return label_map


def put_text(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


def points(ring: list[float]) -> list[list[float]]:
    return [[x, y] for x, y in zip(ring[::2], ring[1::2], strict=True)]


def runs_by_row(mask: np.ndarray) -> list[int]:
    """CVAT's run lengths: row by row, the first run counts zeros."""
    counts, last = [0], 0
    for value in mask.ravel().tolist():
        if value != last:
            counts.append(0)
        counts[-1] += 1
        last = value
    return counts


def cvat_polygons(root: Path) -> None:
    shapes = "".join(
        f'<polygon label="{name}" z_order="{z}" points="{";".join(f"{x},{y}" for x, y in points(ring))}"/>'
        for name, ring, z in (("car", CAR, 1), ("road", ROAD, 0))
    )
    put_text(root, "annotations.xml", cvat_document(shapes))


def cvat_masks(root: Path) -> None:
    label_map = expected()
    shapes = ""
    for value, name in enumerate(NAMES, start=1):
        crop = (label_map == value)[8:32, 1:64].astype(int)
        runs = ", ".join(map(str, runs_by_row(crop)))
        shapes += f'<mask label="{name}" rle="{runs}" left="1" top="8" width="63" height="24" z_order="0"/>'
    put_text(root, "annotations.xml", cvat_document(shapes))


def cvat_document(shapes: str) -> str:
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES)
    return (
        f"<annotations><meta><task><labels>{labels}</labels></task></meta>"
        f'<image id="0" name="a.png" width="{WIDTH}" height="{HEIGHT}">{shapes}</image></annotations>'
    )


def yolo_polygons(root: Path) -> None:
    lines = [
        " ".join([str(number), *(f"{x / WIDTH} {y / HEIGHT}" for x, y in points(ring))])
        for number, ring in enumerate((ROAD, CAR))
    ]
    put_text(root, "images/a.txt", "\n".join(lines))
    put_text(root, "data.yaml", f"names: {json.dumps(NAMES)}\n")


def coco_polygons(root: Path) -> None:
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 5, "name": "road"}, {"id": 9, "name": "car"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": category, "segmentation": [ring], "iscrowd": 0}
            for n, (category, ring) in enumerate(((5, ROAD), (9, CAR)))
        ],
    }
    put_text(root, "instances.json", json.dumps(document))


def coco_panoptic(root: Path) -> None:
    put_numbers(root / "panoptic/a.png", np.array([0, 70_000, 300])[expected()])
    document = {
        "images": [{"id": 1, "file_name": "images/a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 5, "name": "road"}, {"id": 9, "name": "car"}],
        "annotations": [
            {
                "image_id": 1,
                "file_name": "a.png",
                "segments_info": [{"id": 70_000, "category_id": 5}, {"id": 300, "category_id": 9}],
            }
        ],
    }
    put_text(root, "panoptic.json", json.dumps(document))


def put_numbers(path: Path, numbers: np.ndarray) -> None:
    """A PNG whose colours are numbers: red + 256 green + 65536 blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=-1)
    Image.fromarray(rgb.astype(np.uint8)).save(path)


def cityscapes(root: Path) -> None:
    photo = root / "leftImg8bit/train/x/x_1_leftImg8bit.png"
    photo.parent.mkdir(parents=True)
    (root / "images/a.png").rename(photo)
    objects = [{"label": name, "polygon": points(ring)} for name, ring in zip(NAMES, (ROAD, CAR), strict=True)]
    document = {"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": objects}
    put_text(root, "gtFine/train/x/x_1_gtFine_polygons.json", json.dumps(document))


def voc_palette(root: Path) -> None:
    (root / "images").rename(root / "JPEGImages")
    put_mask(root / "SegmentationClass/a.png", expected(), "P")
    put_mask(root / "SegmentationObject/a.png", np.array([0, 2, 1])[expected()], "P")
    put_text(root, "classes.txt", "background\nroad\ncar\n")


def voc_colours(root: Path) -> None:
    (root / "images").rename(root / "JPEGImages")
    put_numbers(root / "SegmentationClass/a.png", np.array([0, 128, 128 * 256])[expected()])
    put_text(root, "labelmap.txt", "car:0,128,0::\nroad:128,0,0::\nbackground:0,0,0::\n")


def index_masks(root: Path) -> None:
    put_mask(root / "masks/a.png", np.array([0, 300, 7])[expected()], "I;16")
    put_text(root, "classes.txt", "background\n" + "\n" * 6 + "car\n" + "\n" * 292 + "road\n")


def coloured_masks(root: Path) -> None:
    put_numbers(root / "masks/a.png", np.array([0, 128, 128 * 256])[expected()])
    put_text(root, "class_dict.csv", "name,r,g,b\nroad,128,0,0\ncar,0,128,0\n")


def object_masks(root: Path) -> None:
    put_mask(root / "masks/a_road_0.png", (expected() == 1) * 255)
    put_mask(root / "masks/a_car_1.png", (expected() == 2) * 255)


def labelme(root: Path) -> None:
    shapes = [
        {"label": name, "points": points(ring), "shape_type": "polygon"}
        for name, ring in zip(NAMES, (ROAD, CAR), strict=True)
    ]
    document = {"imagePath": "a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes}
    put_text(root, "images/a.json", json.dumps(document))


def labelme_xml(root: Path) -> None:
    shapes = "".join(
        f"<object><name>{name}</name><deleted>0</deleted><polygon><username/>"
        + "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in points(ring))
        + "</polygon></object>"
        for name, ring in zip(NAMES, (ROAD, CAR), strict=True)
    )
    size = f"<imagesize><nrows>{HEIGHT}</nrows><ncols>{WIDTH}</ncols></imagesize>"
    put_text(root, "images/a.xml", f"<annotation><filename>a.png</filename><folder/>{shapes}{size}</annotation>")


def via(root: Path) -> None:
    regions = [
        {
            "shape_attributes": {"name": "polygon", "all_points_x": ring[::2], "all_points_y": ring[1::2]},
            "region_attributes": {"label": name},
        }
        for name, ring in zip(NAMES, (ROAD, CAR), strict=True)
    ]
    put_text(root, "via.json", json.dumps({"a.png9": {"filename": "a.png", "size": 9, "regions": regions}}))


def supervisely(root: Path) -> None:
    (root / "ds").mkdir()
    (root / "images").rename(root / "ds/img")
    objects = [
        {
            "classTitle": name,
            "geometryType": "polygon",
            "points": {"exterior": points(ring), "interior": []},
            "tags": [],
        }
        for name, ring in zip(NAMES, (ROAD, CAR), strict=True)
    ]
    document = {"tags": [], "size": {"height": HEIGHT, "width": WIDTH}, "objects": objects}
    put_text(root, "ds/ann/a.png.json", json.dumps(document))
    put_text(root, "meta.json", json.dumps({"classes": [{"title": name, "shape": "polygon"} for name in NAMES]}))


def coco_results(root: Path) -> None:
    """Detections as run lengths; their image and classes are in a file without annotations."""
    coco_polygons(root)
    document = json.loads((root / "instances.json").read_text())
    for record in document["annotations"]:
        rle = coco_mask.frPyObjects(record["segmentation"], HEIGHT, WIDTH)[0]
        record |= {"segmentation": {"size": rle["size"], "counts": rle["counts"].decode()}, "score": 0.9}
    put_text(root, "results.json", json.dumps(document["annotations"]))
    put_text(root, "instances.json", json.dumps(document | {"annotations": []}))


@pytest.mark.parametrize(
    ("put", "format"),
    [
        (cvat_polygons, "cvat"),
        (cvat_masks, "cvat"),
        (yolo_polygons, "yolo"),
        (coco_polygons, "coco"),
        (coco_panoptic, "coco_panoptic"),
        (cityscapes, "cityscapes"),
        (voc_palette, "voc"),
        (voc_colours, "voc"),
        (index_masks, "index_masks"),
        (coloured_masks, "index_masks"),
        (object_masks, "object_masks"),
        (labelme, "labelme"),
        (labelme_xml, "labelme_xml"),
        (via, "via"),
        (supervisely, "supervisely"),
        (coco_results, "coco_results"),
    ],
)
def test_every_format_gives_one_label_map(tmp_path: Path, put: Callable[[Path], None], format: str):
    put_images(tmp_path, ["images/a.png"], (WIDTH, HEIGHT))
    put(tmp_path)
    dataset = read_source(tmp_path)
    assert dataset.format == format
    assert {instance.category for instance in dataset.instances if instance.role == "object"} == set(NAMES)
    assert len(dataset.images) == 1
    assert not any(record.problem for record in [*dataset.images, *dataset.instances])
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    for instance in dataset.instances:  # in the order of the records, the later on top
        if instance.role == "object":
            region = region_of(instance, (HEIGHT, WIDTH), tmp_path)
            label_map[coco_mask.decode(rle.compressed(region)) > 0] = 1 + NAMES.index(instance.category)
    np.testing.assert_array_equal(label_map, expected())


def test_every_format_has_a_scene():
    """Each name in read.FORMATS has a writer above."""
    (marks,) = (mark for mark in test_every_format_gives_one_label_map.pytestmark if mark.name == "parametrize")
    assert {format for _, format in marks.args[1]} == set(FORMATS)


def test_the_voc_export_of_the_real_scene_has_the_masks_of_its_coco_export(real_data):
    """CVAT's VOC 1.1 has ellipses as masks, which equal COCO's, and rectangles as boxes, but no polygons or lines."""
    voc, coco = (read_source(real_data / "multi_format" / name) for name in ("voc1.1", "coco1.0"))
    size_hw = (643, 588)
    masks = [
        [
            coco_mask.decode(rle.compressed(region_of(i, size_hw, real_data / "multi_format" / name)))
            for i in dataset.instances
            if i.category == "ellipse" and not i.problem
        ]
        for name, dataset in (("voc1.1", voc), ("coco1.0", coco))
    ]
    np.testing.assert_array_equal(*(np.any(of_kind, axis=0) for of_kind in masks))
    assert {i.category for i in voc.instances} == {"ellipse", "rectangle", "strawberry"}


def rounded(ring: tuple[float, ...]) -> list[int]:
    return [round(number) for number in ring]


@pytest.mark.parametrize(("name", "tolerance_px"), [("voc1.1", 0.011), ("yolo1.1", 0.002)])
def test_the_boxes_of_the_real_scene_agree(real_data, name, tolerance_px):
    """VOC's export has two decimals of a pixel, YOLO's six of the image's size; both have boxes only."""
    rings = [
        sorted(
            (i.rings[0] for i in read_source(real_data / "multi_format" / folder).instances if i.kind == "box"),
            key=rounded,
        )
        for folder in (name, "cvat1.1")
    ]
    assert len(rings[0]) == 18
    np.testing.assert_allclose(*rings, atol=tolerance_px)
