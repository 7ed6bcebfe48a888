"""One tiny source for each format: photos a and b of 12 x 8 pixels, with a cat on a and a dog on b."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE_WH = (12, 8)
RING = [2, 2, 6, 2, 6, 5, 2, 5]  # 12 pixels
CAT_RGB, DOG_RGB = (128, 0, 0), (0, 128, 0)
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 90, "name": "dog"}]
PANOPTIC = {"cat": 300, "dog": 70000}  # segment numbers that need two and three bytes


def put_photo(path: Path, seed: int = 0, size_wh: tuple[int, int] = SIZE_WH) -> None:
    """Write a photo of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    Image.fromarray(noise).save(path)


def put(root: Path, file: str, content: Any) -> None:
    """Write a text or JSON file."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def put_values(path: Path, value: int, background: int = 0) -> None:
    """Write a grey mask with `value` in the rectangle of RING."""
    stored = np.full(SIZE_WH[::-1], background, np.uint8)
    stored[2:5, 2:6] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored).save(path)


def put_colours(path: Path, colour: tuple[int, int, int]) -> None:
    """Write a colour mask with `colour` in the rectangle of RING."""
    stored = np.zeros((*SIZE_WH[::-1], 3), np.uint8)
    stored[2:5, 2:6] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored).save(path)


def photo(number: int, file: str) -> dict[str, Any]:
    return {"id": number, "file_name": file, "width": SIZE_WH[0], "height": SIZE_WH[1]}


def drawn(number: int, image: int, category: int = 1, **changes: Any) -> dict[str, Any]:
    record = {"id": number, "image_id": image, "category_id": category, "segmentation": [RING], "iscrowd": 0}
    return record | {"area": 12, "bbox": [2, 2, 4, 3]} | changes


def coco_document(*annotations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A document with the annotations, and with a valid dog on b."""
    images = [photo(1, "a.png"), photo(2, "b.png")]
    return {"images": images, "annotations": [*annotations, drawn(9, 2, 90)], "categories": CATEGORIES} | changes


def put_coco(root: Path) -> None:
    _photos(root, "a.png", "b.png")
    put(root, "instances.json", coco_document(drawn(1, 1)))


def put_panoptic(root: Path) -> None:
    _photos(root, "val/a.png", "val/b.png")
    records = []
    for number, (name, label, category) in enumerate([("a", "cat", 1), ("b", "dog", 90)], start=1):
        value = PANOPTIC[label]
        put_colours(root / f"panoptic_val/{name}.png", (value & 255, value >> 8 & 255, value >> 16))
        segments = [{"id": value, "category_id": category, "iscrowd": 0, "area": 12}]
        records.append({"image_id": number, "file_name": f"{name}.png", "segments_info": segments})
    images = [photo(1, "a.png"), photo(2, "b.png")]
    put(root, "panoptic_val.json", {"images": images, "annotations": records, "categories": CATEGORIES})


def put_results(root: Path) -> None:
    _photos(root, "a.png", "b.png")
    put(root, "image_info.json", coco_document() | {"annotations": []})
    detections = [
        {"image_id": image, "category_id": category, "segmentation": [RING], "score": 0.9}
        for image, category in ((1, 1), (2, 90))
    ]
    put(root, "results.json", detections)


def labelme_document(name: str, label: str) -> dict[str, Any]:
    points = [RING[i : i + 2] for i in range(0, len(RING), 2)]
    shape = {"label": label, "points": points, "group_id": None, "shape_type": "polygon", "flags": {}}
    head = {"version": "5.2.1", "flags": {}, "shapes": [shape], "imagePath": name, "imageData": None}
    return {**head, "imageHeight": SIZE_WH[1], "imageWidth": SIZE_WH[0]}


def put_labelme(root: Path) -> None:
    _photos(root, "a.png", "b.png")
    put(root, "a.json", labelme_document("a.png", "cat"))
    put(root, "b.json", labelme_document("b.png", "dog"))


def put_labelme_xml(root: Path) -> None:
    _photos(root, "a.png", "b.png")
    points = "".join(f"<pt><x>{RING[i]}</x><y>{RING[i + 1]}</y></pt>" for i in range(0, len(RING), 2))
    for name, label in (("a", "cat"), ("b", "dog")):
        shape = f"<object><name>{label}</name><deleted>0</deleted><polygon>{points}</polygon></object>"
        size = f"<imagesize><nrows>{SIZE_WH[1]}</nrows><ncols>{SIZE_WH[0]}</ncols></imagesize>"
        put(root, f"{name}.xml", f"<annotation><filename>{name}.png</filename><folder/>{shape}{size}</annotation>")


def put_voc(root: Path) -> None:
    _photos(root, "JPEGImages/a.png", "JPEGImages/b.png")
    for name, label in (("a", "cat"), ("b", "dog")):
        size = f"<size><width>{SIZE_WH[0]}</width><height>{SIZE_WH[1]}</height><depth>3</depth></size>"
        box = "<bndbox><xmin>3</xmin><ymin>3</ymin><xmax>6</xmax><ymax>5</ymax></bndbox>"
        shape = f"<object><name>{label}</name>{box}</object>"
        put(root, f"Annotations/{name}.xml", f"<annotation><filename>{name}.png</filename>{size}{shape}</annotation>")


def put_voc_masks(root: Path) -> None:
    _photos(root, "JPEGImages/a.png", "JPEGImages/b.png")
    put(root, "labelmap.txt", "background:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n")
    for name, colour in (("a", CAT_RGB), ("b", DOG_RGB)):
        put_colours(root / f"SegmentationClass/{name}.png", colour)
    put(root, "ImageSets/Segmentation/train.txt", "a\nb\n")


def put_cvat(root: Path) -> None:
    _photos(root, "images/a.png", "images/b.png")
    points = ";".join(f"{RING[i]},{RING[i + 1]}" for i in range(0, len(RING), 2))
    images = "".join(
        f'<image id="{number}" name="{name}.png" width="12" height="8">'
        f'<polygon label="{label}" points="{points}"/></image>'
        for number, (name, label) in enumerate((("a", "cat"), ("b", "dog")))
    )
    put(root, "annotations.xml", f"<annotations><version>1.1</version>{images}</annotations>")


def put_via(root: Path) -> None:
    _photos(root, "a.png", "b.png")
    shape = {"name": "polygon", "all_points_x": RING[::2], "all_points_y": RING[1::2]}
    regions = {
        label: {"shape_attributes": shape, "region_attributes": {"label": label}, "timestamp": 0} for label in "ab"
    }
    regions["a"]["region_attributes"], regions["b"]["region_attributes"] = {"label": "cat"}, {"label": "dog"}
    records = {
        f"{name}.png99": {"filename": f"{name}.png", "size": 99, "regions": [regions[name]], "file_attributes": {}}
        for name in "ab"
    }
    put(root, "via.json", records)


def put_yolo(root: Path) -> None:
    _photos(root, "images/a.png", "images/b.png")
    fractions = " ".join(str(value / SIZE_WH[i % 2]) for i, value in enumerate(RING))
    put(root, "labels/a.txt", f"0 {fractions}\n")
    put(root, "labels/b.txt", f"1 {fractions}\n")
    put(root, "data.yaml", "names: [cat, dog]\n")


def put_supervisely(root: Path) -> None:
    _photos(root, "ds/img/a.png", "ds/img/b.png")
    put(root, "meta.json", {"classes": [{"title": name, "shape": "polygon"} for name in ("cat", "dog")], "tags": []})
    points = [RING[i : i + 2] for i in range(0, len(RING), 2)]
    for name, label in (("a", "cat"), ("b", "dog")):
        figure = {"id": 5, "classTitle": label, "geometryType": "polygon", "tags": []}
        figure["points"] = {"exterior": points, "interior": []}
        size = {"height": SIZE_WH[1], "width": SIZE_WH[0]}
        put(root, f"ds/ann/{name}.png.json", {"description": "", "tags": [], "size": size, "objects": [figure]})


def put_cityscapes(root: Path) -> None:
    _photos(root, *(f"leftImg8bit/train/x/x_{name}_leftImg8bit.png" for name in "ab"))
    points = [RING[i : i + 2] for i in range(0, len(RING), 2)]
    for name, label in (("a", "car"), ("b", "person")):
        head = {"imgHeight": SIZE_WH[1], "imgWidth": SIZE_WH[0]}
        put(
            root,
            f"gtFine/train/x/x_{name}_gtFine_polygons.json",
            {**head, "objects": [{"label": label, "polygon": points}]},
        )


def put_cityscapes_ids(root: Path) -> None:
    _photos(root, *(f"leftImg8bit/train/x/x_{name}_leftImg8bit.png" for name in "ab"))
    for name, value in (("a", 26), ("b", 24)):  # car, person
        put_values(root / f"gtFine/train/x/x_{name}_gtFine_labelIds.png", value, background=7)


def put_index_masks(root: Path) -> None:
    _photos(root, "images/a.png", "images/b.png")
    put(root, "classes.txt", "background\ncat\ndog\n")
    put_values(root / "masks/a.png", 1)
    put_values(root / "masks/b.png", 2)


def put_colour_masks(root: Path) -> None:
    _photos(root, "images/a.png", "images/b.png")
    put(root, "class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncat,128,0,0\ndog,0,128,0\n")
    put_colours(root / "masks/a.png", CAT_RGB)
    put_colours(root / "masks/b.png", DOG_RGB)


def put_object_masks(root: Path) -> None:
    _photos(root, "images/a.png", "images/b.png")
    for stem in ("a_0", "a_1", "b_0"):
        put_values(root / f"masks/{stem}.png", 255)


FORMATS: dict[str, Callable[[Path], None]] = {
    "coco": put_coco,
    "coco_panoptic": put_panoptic,
    "coco_results": put_results,
    "labelme": put_labelme,
    "labelme_xml": put_labelme_xml,
    "voc": put_voc,
    "voc_masks": put_voc_masks,
    "cvat": put_cvat,
    "via": put_via,
    "yolo": put_yolo,
    "supervisely": put_supervisely,
    "cityscapes": put_cityscapes,
    "cityscapes_ids": put_cityscapes_ids,
    "index_masks": put_index_masks,
    "colour_masks": put_colour_masks,
    "object_masks": put_object_masks,
}


def _photos(root: Path, *files: str) -> None:
    for seed, file in enumerate(files):
        put_photo(root / file, seed)
