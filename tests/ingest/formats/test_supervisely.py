import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from segpipe.data.records import Rle
from segpipe.ingest.formats import supervisely
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images, put_json

META = {"classes": [{"title": "dog", "shape": "bitmap"}, {"title": "cat", "shape": "polygon"}], "tags": []}
TRIANGLE = [[1, 1], [5, 1], [5, 4]]


def figure(exterior=TRIANGLE, interior=(), form="polygon", **changes):
    points = {"exterior": exterior, "interior": list(interior)}
    return {"id": 5, "classTitle": "cat", "geometryType": form, "tags": [], "points": points, **changes}


def packed(rows, mode="P"):
    """A bitmap as the platform writes it: a palette PNG whose colour 0 is transparent, packed by zlib, as base64."""
    image = Image.fromarray(np.array(rows, np.uint8))
    buffer = io.BytesIO()
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(buffer, "PNG", transparency=0)
    else:
        image.convert(mode).save(buffer, "PNG")
    return base64.b64encode(zlib.compress(buffer.getvalue())).decode()


def document(*figures):
    return {"description": "", "tags": [], "size": {"height": 6, "width": 8}, "objects": list(figures)}


def read(root):
    source = list_source(root)
    return supervisely.read(source, supervisely.recognise(source))


def read_one(tmp_path, *figures, meta=META):
    put_images(tmp_path, ["ds/img/a.jpg"])
    put_json(tmp_path / "ds/ann/a.jpg.json", document(*figures))
    put_json(tmp_path / "meta.json", meta)
    return read(tmp_path)


def test_a_polygon_keeps_its_outline_and_holes(tmp_path):
    hole = [[3, 2], [4, 2], [4, 3]]
    dataset = read_one(tmp_path, figure(interior=[hole]))
    (instance,), (image,) = dataset.instances, dataset.images
    assert (instance.id, instance.place) == ("ds/ann/a.jpg.json#0", "ds/ann/a.jpg.json: objects[0]")
    assert (instance.category, instance.rings, instance.holes) == (
        "cat",
        ((1, 1, 5, 1, 5, 4),),
        ((3, 2, 4, 2, 4, 3),),
    )
    assert (image.file, image.width, image.height) == ("ds/img/a.jpg", 8, 6)
    assert dataset.categories == ("dog", "cat")  # meta.json's order


def test_an_invalid_hole_is_counted(tmp_path):
    (instance,) = read_one(tmp_path, figure(interior=[[[1, 1]], [[3, 2], [4, 2], [4, 3]]])).instances
    assert (instance.problem, len(instance.holes), instance.rings_refused) == ("", 1, 1)
    assert instance.detail.startswith("interior[0]: 1 point instead of 3 or more")


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_bitmap_starts_at_its_origin(tmp_path, mode):
    rows = [[1, 0], [1, 1]]
    bitmap = {"classTitle": "dog", "geometryType": "bitmap", "bitmap": {"data": packed(rows, mode), "origin": [2, 3]}}
    # columns of 6 pixels: 2 has rows 3, 4; 3 has row 4
    assert read_one(tmp_path, bitmap).instances[0].rle == Rle(size_hw=(6, 8), counts=(15, 2, 5, 1, 25))


@pytest.mark.parametrize(
    ("form", "exterior", "kind", "rings"),
    [
        ("rectangle", [[2, 1], [5, 4]], "box", ((2, 1, 5, 1, 5, 4, 2, 4),)),
        ("line", TRIANGLE, "line", ((1, 1, 5, 1, 5, 4),)),
        ("point", [[3, 2]], "point", ((3, 2),)),
    ],
)
def test_boxes_lines_and_points_have_their_kind(tmp_path, form, exterior, kind, rings):
    (instance,) = read_one(tmp_path, figure(exterior, form=form)).instances
    assert (instance.problem, instance.kind, instance.rings) == ("", kind, rings)


def test_an_object_without_a_type_has_the_shape_of_its_class(tmp_path):
    (instance,) = read_one(tmp_path, figure(form=None)).instances
    assert (instance.problem, instance.kind) == ("", "region")


@pytest.mark.parametrize(
    ("bad", "reason", "detail"),
    [
        (None, "bad_record", "None is not an object"),
        (figure(classTitle="cow"), "unknown_category", "class 'cow' is not in meta.json"),
        (figure(form="cuboid"), "bad_record", "geometry 'cuboid' is unknown"),
        (figure(points=None), "bad_ring", "geometry 'polygon' has no points"),
        (figure([[1, 1], [2, 2]]), "bad_ring", "2 points instead of 3 or more"),
        (figure(form="rectangle"), "bad_ring", "a rectangle has 2 points, not 3"),
        (figure(form="bitmap"), "bad_record", "None is not an object"),
        (
            figure(form="bitmap", bitmap={"data": "AAAA", "origin": [0, 0]}),
            "bad_rle",
            "its bitmap is not compressed by zlib",
        ),
        (figure(form="bitmap", bitmap={"data": "", "origin": [0]}), "bad_rle", "bitmap origin [0] is not [x, y]"),
    ],
)
def test_the_detail_names_the_problem_of_an_object(tmp_path, bad, reason, detail):
    (instance,) = read_one(tmp_path, bad).instances
    assert instance.problem == reason
    assert detail in instance.detail


@pytest.mark.parametrize("name", ["a.jpg.json", "a.json"])  # older projects left out the suffix of the photo
def test_a_photo_is_found_by_the_name_of_its_annotation_file(tmp_path, name):
    put_images(tmp_path, ["one/img/a.jpg", "two/img/a.jpg"])
    for folder in ("one", "two"):
        put_json(tmp_path / folder / "ann" / name, document(figure()))
    dataset = read(tmp_path)
    assert [image.file for image in dataset.images] == ["one/img/a.jpg", "two/img/a.jpg"]
    assert [instance.image_key for instance in dataset.instances] == ["one__img__a", "two__img__a"]
    assert dataset.categories == ("cat",)


def test_a_broken_file_loses_only_its_photo(tmp_path):
    put_images(tmp_path, ["ds/img/a.jpg", "ds/img/b.jpg"])
    put_json(tmp_path / "ds/ann/a.jpg.json", document(figure()))
    (tmp_path / "ds/ann/b.jpg.json").write_text("{")
    assert [(image.file, image.problem) for image in read(tmp_path).images] == [
        ("ds/img/a.jpg", ""),
        ("ds/img/b.jpg", "bad_record"),
    ]
