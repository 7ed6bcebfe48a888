"""Flags of objects, and objects of an unknown class, in each format."""

import json
from pathlib import Path

import pytest

from segpipe.data.records import Instance
from segpipe.ingest.parsing import UNKNOWN
from segpipe.ingest.read import read_source
from tests.ingest.folders import coco, drawn, photo, put_images

RING = (1.0, 1.0, 5.0, 1.0, 5.0, 4.0)
PAIRS = list(zip(RING[::2], RING[1::2], strict=True))
SIZE = {"imageHeight": 6, "imageWidth": 8}


def put(root: Path, file: str, content: object) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(content if isinstance(content, str) else json.dumps(content))


def put_coco(root: Path, number: int = 1, **noted: object) -> None:
    put_images(root, ["a.jpg"])
    put(root, "instances.json", coco([photo()], [drawn(category_id=number, segmentation=[list(RING)], **noted)]))


def put_labelme(root: Path, **noted: object) -> None:
    put_images(root, ["a.jpg"])
    shape = {"label": "cat", "points": PAIRS, "shape_type": "polygon"} | noted
    put(root, "a.json", {"imagePath": "a.jpg", "shapes": [shape]} | SIZE)


def put_cvat(root: Path, label: str = ' label="cat"', noted: str = "", inside: str = "") -> None:
    put_images(root, ["a.jpg"])
    points = ";".join(f"{x},{y}" for x, y in PAIRS)
    shape = f'<polygon{label}{noted} points="{points}">{inside}</polygon>'
    image = f'<image id="0" name="a.jpg" width="8" height="6">{shape}</image>'
    put(root, "annotations.xml", f"<annotations><meta/>{image}</annotations>")


def put_labelme_xml(root: Path, name: str = "cat", noted: str = "") -> None:
    put_images(root, ["a.jpg"])
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in PAIRS)
    shape = f"<object><name>{name}</name><deleted>0</deleted>{noted}<polygon>{points}<username/></polygon></object>"
    put(root, "a.xml", f"<annotation><filename>a.jpg</filename><folder/>{shape}</annotation>")


def put_voc(root: Path, name: str = "cat", noted: str = "") -> None:
    put_images(root, ["JPEGImages/a.jpg"])
    numbers = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate(PAIRS))
    shape = f"<object><name>{name}</name>{noted}<polygon>{numbers}</polygon></object>"
    size = "<size><width>8</width><height>6</height></size>"
    put(root, "Annotations/a.xml", f"<annotation><filename>a.jpg</filename>{size}{shape}</annotation>")


def put_via(root: Path, **attributes: object) -> None:
    put_images(root, ["a.jpg"])
    shape = {"name": "polygon", "all_points_x": RING[::2], "all_points_y": RING[1::2]}
    regions = [{"shape_attributes": shape, "region_attributes": {"label": "cat"} | attributes}]
    put(root, "via.json", {"a.jpg9": {"filename": "a.jpg", "size": 9, "regions": regions}})


def put_supervisely(root: Path, title: str = "cat", tags: object = ()) -> None:
    put_images(root, ["ds/img/a.jpg"])
    points = {"exterior": PAIRS, "interior": []}
    shape = {"classTitle": title, "geometryType": "polygon", "tags": list(tags), "points": points}
    put(root, "ds/ann/a.jpg.json", {"tags": [], "size": {"height": 6, "width": 8}, "objects": [shape]})
    put(root, "meta.json", {"classes": [{"title": "cat", "shape": "polygon"}]})


def put_yolo(root: Path, number: int) -> None:
    put_images(root, ["a.jpg"])
    put(root, "a.txt", " ".join([str(number), *(f"{x / 8} {y / 6}" for x, y in PAIRS)]))
    put(root, "data.yaml", "names: [cat]\n")


def put_cityscapes(root: Path, label: str) -> None:
    put_images(root, ["leftImg8bit/train/x/x_1_leftImg8bit.png"])
    objects = [{"label": label, "polygon": PAIRS}]
    put(root, "gtFine/train/x/x_1_gtFine_polygons.json", {"imgHeight": 6, "imgWidth": 8, "objects": objects})


def only(root: Path) -> Instance:
    (annotation,) = [instance for instance in read_source(root).instances if instance.rings]
    return annotation


@pytest.mark.parametrize(
    ("write", "noted", "flags"),
    [
        (put_coco, {"attributes": {"occluded": True, "difficult": False}}, ("occluded",)),
        (put_coco, {"ignore": 1}, ("difficult",)),
        (put_labelme, {"flags": {"Difficult": True, "occluded": False}}, ("difficult",)),
        (put_labelme, {"difficult": True, "attributes": {"truncated": "yes"}}, ("difficult", "truncated")),
        (put_cvat, {"noted": ' occluded="1"'}, ("occluded",)),
        (put_cvat, {"inside": '<attribute name="difficult">true</attribute>'}, ("difficult",)),
        (put_labelme_xml, {"noted": "<occluded>yes</occluded>"}, ("occluded",)),
        (put_labelme_xml, {"noted": "<attributes>truncated=true, age=1</attributes>"}, ("truncated",)),
        (put_voc, {"noted": "<difficult>1</difficult><truncated>1</truncated>"}, ("difficult", "truncated")),
        (put_voc, {"noted": "<occluded>1</occluded>"}, ("occluded",)),
        (put_via, {"occluded": "yes"}, ("occluded",)),
        (put_supervisely, {"tags": [{"name": "difficult", "value": None}]}, ("difficult",)),
        (put_supervisely, {"tags": [{"name": "occluded", "value": "no"}]}, ()),
    ],
)
def test_flags_are_read_in_each_format(tmp_path, write, noted, flags):
    write(tmp_path, **noted)
    instance = only(tmp_path)
    assert (instance.flags, instance.category, instance.problem) == (flags, "cat", "")


def test_a_group_has_the_flags_of_all_its_shapes(tmp_path):
    put_labelme(tmp_path)
    document = json.loads((tmp_path / "a.json").read_text())
    (shape,) = document["shapes"]
    document["shapes"] = [shape | {"group_id": 1}, shape | {"group_id": 1, "flags": {"occluded": True}}]
    put(tmp_path, "a.json", document)
    assert only(tmp_path).flags == ("occluded",)


@pytest.mark.parametrize(
    ("write", "unknown", "detail"),
    [
        (put_coco, {"number": 7}, "category_id 7 is not among the categories"),
        (put_cvat, {"label": ""}, "has no label"),
        (put_labelme_xml, {"name": ""}, "has no name"),
        (put_voc, {"name": ""}, "has no name"),
        (put_via, {"label": True}, "attribute 'label' is True, which is not a class name"),
        (put_supervisely, {"title": "cow"}, "class 'cow' is not in meta.json"),
        (put_yolo, {"number": 4}, "data.yaml has no name for the class 4"),
        (put_cityscapes, {"label": "lorry"}, "'lorry' is not a label of Cityscapes"),
    ],
)
def test_an_object_of_an_unknown_class_keeps_its_shape(tmp_path, write, unknown, detail):
    write(tmp_path, **unknown)
    instance = only(tmp_path)
    assert (instance.category, instance.problem, instance.rings) == ("", UNKNOWN, (RING,))
    assert instance.detail.startswith(detail)
