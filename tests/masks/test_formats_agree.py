"""Images that exist in several formats give equal label maps, where the formats can express them."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from segpipe.data.records import Dataset
from segpipe.ingest.read import read_source
from segpipe.masks import rle
from segpipe.masks.regions import region_of
from tests.ingest.folders import put_images

IGNORED = 255


def label_maps(root: Path, dataset: Dataset, index: dict[str, int]) -> dict[str, np.ndarray]:
    """A label map per photo, by the name of its file; the later record is on top."""
    size_of = {image.key: (image.file, _size_hw(root / image.file)) for image in dataset.images}
    maps = {file: np.zeros(size_hw, np.uint8) for file, size_hw in size_of.values()}
    for instance in dataset.instances:
        if instance.kind == "region" and not instance.problem:
            file, size_hw = size_of[instance.image_key]
            mask = coco_mask.decode(rle.compressed(region_of(instance, size_hw, root))) > 0
            maps[file][mask] = index.get(instance.category, IGNORED)
    return {Path(file).name: label_map for file, label_map in maps.items()}


def _size_hw(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.height, image.width


def kinds_of(dataset: Dataset) -> dict[str, int]:
    return dict(Counter(instance.kind for instance in dataset.instances))


@pytest.mark.parametrize(
    ("folder", "format", "kinds"),
    [
        ("multi_format/labelme", "labelme", {"box": 18, "region": 5, "line": 2}),
        ("multi_format/grapes", "labelme", {"region": 39}),
        ("multi_format/labelme3.0", "labelme_xml", {"box": 18, "region": 5}),
        ("multi_format/via", "via", {"box": 35, "region": 5, "line": 2}),
        ("labelme/semantic", "labelme", {"region": 18}),
        ("labelme/primitives", "labelme", {"box": 2, "region": 3, "line": 2, "point": 1}),
        ("labelme/tutorial", "labelme", {"region": 4}),
    ],
)
def test_real_sources_are_recognised_and_every_shape_is_read(real_data, folder, format, kinds):
    dataset = read_source(real_data / folder)
    assert (dataset.format, kinds_of(dataset)) == (format, kinds)
    assert not [record for record in (*dataset.images, *dataset.instances) if record.problem]


def test_vias_csv_has_the_shapes_of_its_json(real_data, tmp_path):
    source = real_data / "multi_format/via"
    put_images(tmp_path, [file.name for file in source.glob("*.jp*g")])
    (tmp_path / "via.csv").write_bytes((source / "via_region_data.csv").read_bytes())
    json_shapes, csv_shapes = (
        Counter((i.image_key, i.category, i.kind, i.rings) for i in read_source(root).instances)
        for root in (source, tmp_path)
    )
    assert json_shapes.keys() == csv_shapes.keys()
    # this JSON has each of the 17 strawberries twice
    assert Counter(count for count in json_shapes.values()) == {2: 17, 1: 8}
    assert set(csv_shapes.values()) == {1}


def test_coco_cvat_and_labelme_3_draw_the_same_regions(real_data):
    folders = [real_data / "multi_format" / name for name in ("coco1.0", "labelme3.0", "cvat1.1")]
    index = {"triangle": 1, "ellipse": 2, "bird": 3}
    coco, labelme3, cvat = (label_maps(root, read_source(root), index) for root in folders)
    assert coco.keys() == labelme3.keys() == cvat.keys()
    for file in coco:
        np.testing.assert_array_equal(coco[file], labelme3[file])
        # CVAT's file has ellipses; its exports have masks of them, which are up to a pixel larger
        differs = coco[file] != cvat[file]
        assert set(coco[file][differs]) | set(cvat[file][differs]) <= {0, 2}
        assert differs.sum() < 0.02 * max(1, (coco[file] == 2).sum())
    assert {file for file, label_map in coco.items() if label_map.any()} == {"birds.jpg", "shapes.jpg"}


def test_labelme_3_has_the_boxes_of_cvat(real_data):
    """COCO has them as bbox only; LabelMe 3.0 writes two decimals, like CVAT."""
    rings = {}
    for name in ("labelme3.0", "cvat1.1"):
        dataset = read_source(real_data / "multi_format" / name)
        rings[name] = sorted(instance.rings for instance in dataset.instances if instance.kind == "box")
    np.testing.assert_allclose(rings["labelme3.0"], rings["cvat1.1"], atol=0.011)


@pytest.mark.parametrize("name", ["2011_000003", "2011_000006", "2011_000025"])
def test_labelme_draws_equal_regions_with_a_thicker_outline(real_data, name):
    """labelme fills with PIL, whose outline adds a rim of half a pixel: 0.47 to 0.56 % of the pixels differ."""
    root = real_data / "labelme/semantic"
    names = (real_data / "labelme/semantic_class_png/class_names.txt").read_text().splitlines()
    ours = label_maps(root, read_source(root), {name: i for i, name in enumerate(names)})[f"{name}.jpg"]
    with Image.open(real_data / f"labelme/semantic_class_png/{name}.png") as image:
        theirs = np.asarray(image)
    rim = Image.new("1", ours.shape[::-1])
    for shape in json.loads((root / f"{name}.json").read_text())["shapes"]:
        points = [tuple(point) for point in shape["points"]]
        ImageDraw.Draw(rim).line([*points, points[0]], fill=1, width=3)
    differs = ours != theirs
    assert not (differs & ~np.asarray(rim)).any()
    assert 0 < differs.mean() < 0.006
