import json
import logging

import numpy as np
import pytest

from segpipe.core.errors import UserError
from segpipe.ingest.formats import via
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images, put_json

POLYGON = {"name": "polygon", "all_points_x": [1, 5, 5], "all_points_y": [1, 1, 4]}


def region(shape=POLYGON, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes or {"label": "cat"}}


def record(*regions, name="a.jpg"):
    return {"filename": name, "size": 99, "regions": list(regions), "file_attributes": {}}


def read(root):
    source = list_source(root)
    return via.read(source, via.recognise(source))


def read_one(tmp_path, *regions):
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "via.json", {"a.jpg99": record(*regions)})
    return read(tmp_path)


def test_a_region_keeps_its_points_class_and_place(tmp_path):
    (instance,) = read_one(tmp_path, region()).instances
    assert (instance.id, instance.place) == ("via.json#[0].regions[0]", "via.json: file[0].regions[0]")
    assert (instance.image_key, instance.category, instance.rings) == ("a", "cat", ((1, 1, 5, 1, 5, 4),))


def test_photos_of_one_name_are_distinguished_by_their_size_in_bytes(tmp_path):
    put_images(tmp_path, ["f.jpg", "video2/f.jpg", "video3/f.jpg"])
    for number, file in enumerate(["f.jpg", "video2/f.jpg", "video3/f.jpg"], start=1):
        with (tmp_path / file).open("ab") as photo:
            photo.write(bytes(number))
    sizes = [(tmp_path / file).stat().st_size for file in ("video2/f.jpg", "f.jpg")]
    records = {f"f.jpg{size}": record(region(), name="f.jpg") | {"size": size} for size in [*sizes, 7]}
    put_json(tmp_path / "via.json", records)
    dataset = read(tmp_path)
    file_of = {image.key: image.file or image.problem for image in dataset.images}
    assert [file_of[instance.image_key] for instance in dataset.instances] == ["video2/f.jpg", "f.jpg", "missing_file"]


def test_no_record_is_lost_if_two_have_one_key(tmp_path):
    put_images(tmp_path, ["a.jpg", "b.jpg"])
    first, second = (json.dumps(record(region(), name=name)) for name in ("a.jpg", "b.jpg"))
    (tmp_path / "via.json").write_text(f'{{"a.jpg99": {first}, "a.jpg99": {second}}}')
    assert [instance.image_key for instance in read(tmp_path).instances] == ["a", "b"]


@pytest.mark.parametrize(
    ("shape", "kind", "rings"),
    [
        ({"name": "rect", "x": 1, "y": 2, "width": 3, "height": 2}, "box", ((1, 2, 4, 2, 4, 4, 1, 4),)),
        ({**POLYGON, "name": "polyline"}, "line", ((1, 1, 5, 1, 5, 4),)),
        ({"name": "point", "cx": 3, "cy": 2}, "point", ((3, 2),)),
    ],
)
def test_boxes_lines_and_points_have_their_kind(tmp_path, shape, kind, rings):
    (instance,) = read_one(tmp_path, region(shape)).instances
    assert (instance.problem, instance.kind, instance.rings) == ("", kind, rings)


def test_circles_and_rotated_ellipses_are_regions(tmp_path):
    turned = {"name": "ellipse", "cx": 4, "cy": 3, "rx": 2, "ry": 1, "theta": np.pi / 2}
    circle, ellipse = read_one(tmp_path, region({"name": "circle", "cx": 4, "cy": 3, "r": 2}), region(turned)).instances
    np.testing.assert_allclose(np.hypot(*(np.reshape(circle.rings[0], (-1, 2)) - [4, 3]).T), 2)
    x, y = np.reshape(ellipse.rings[0], (-1, 2)).T
    np.testing.assert_allclose((x - 4) ** 2 + (y - 3) ** 2 / 4, 1)  # the longer axis now upright


@pytest.mark.parametrize(
    "document",
    [
        {"a.jpg99": record(region())},
        {"a.jpg99": {**record(), "regions": {"0": region()}}},  # VIA 1
        {"_via_settings": {}, "_via_attributes": {}, "_via_img_metadata": {"a.jpg99": record(region())}},
    ],
)
def test_exports_and_projects_of_every_version_are_read(tmp_path, document):
    put_images(tmp_path, ["images/a.jpg"])
    put_json(tmp_path / "x.json", document)
    dataset = read(tmp_path)
    assert [image.file for image in dataset.images] == ["images/a.jpg"]
    assert [instance.category for instance in dataset.instances] == ["cat"]


def test_the_csv_is_read_if_there_is_no_json(tmp_path):
    put_images(tmp_path, ["a.jpg", "b.jpg"])
    columns = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    cells = ['"' + json.dumps(part).replace('"', '""') + '"' for part in (POLYGON, {"label": "cat"})]
    rows = [columns, f'a.jpg,99,"{{}}",1,0,{cells[0]},{cells[1]}', 'b.jpg,99,"{}",0,0,"{}","{}"']
    (tmp_path / "via.csv").write_text("\n".join(rows))
    dataset = read(tmp_path)
    assert [(image.file, image.annotated) for image in dataset.images] == [("a.jpg", True), ("b.jpg", True)]
    assert [(i.category, i.rings) for i in dataset.instances] == [("cat", ((1, 1, 5, 1, 5, 4),))]
    put_json(tmp_path / "via.json", {"a.jpg99": record()})
    assert read(tmp_path).instances == ()


# ---- classes


def classes_of(tmp_path, *regions):
    return [instance.category or instance.problem for instance in read_one(tmp_path, *regions).instances]


def test_the_class_is_the_attribute_of_most_regions(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert classes_of(tmp_path, region(kind="a", note="x"), region(kind="b"), region(note="y", kind="c")) == [*"abc"]
    assert "the class is the region attribute 'kind', in 3 of 3 regions; others are 'note'" in caplog.text


def test_of_several_attributes_one_named_like_a_class_is_used(tmp_path):
    assert classes_of(tmp_path, region(age="old", label="cat"), region(age="new", label="dog")) == ["cat", "dog"]


def test_regions_without_any_attribute_are_objects(tmp_path):
    bare = {"shape_attributes": POLYGON, "region_attributes": {}}
    assert classes_of(tmp_path, bare, bare) == ["object", "object"]


def test_a_ticked_box_and_an_option_name_a_class(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    options = {"region": {"label": {"type": "dropdown", "options": {"1": "cat", "2": "dog", "3": ""}}}}
    regions = [region(label="1"), region(label={"2": True, "1": False}), region(label={"1": True, "2": True})]
    images = {"a": record(*regions, region(label="3"))}
    put_json(tmp_path / "via.json", {"_via_attributes": options, "_via_img_metadata": images})
    categories = [(i.category, i.problem) for i in read(tmp_path).instances]
    assert categories == [("cat", ""), ("dog", ""), ("", "unknown_category"), ("3", "")]


@pytest.mark.parametrize(
    ("bad", "reason", "detail"),
    [
        (7, "bad_record", "7 is not an object"),
        (region(other="x"), "unknown_category", "attribute 'label' is None, which is not a class name"),
        (region({"name": "blob"}), "bad_record", "shape 'blob' is unknown"),
        (region({**POLYGON, "all_points_y": [1]}), "bad_ring", "its x and y are not two lists of equal length"),
        (region({"name": "rect", "x": 1, "y": 1, "width": "3"}), "bad_ring", "width '3' is not a number of pixels"),
    ],
)
def test_the_detail_names_the_problem_of_a_region(tmp_path, bad, reason, detail):
    instance = read_one(tmp_path, region(), region(), bad).instances[2]
    assert instance.problem == reason
    assert detail in instance.detail


def test_records_that_cannot_be_used_are_kept(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    put_json(
        tmp_path / "via.json", {"a": record(region()), "b": record(region(), name="gone.jpg"), "c": record(name=3)}
    )
    dataset = read(tmp_path)
    assert [(image.file, image.problem) for image in dataset.images] == [
        ("", "missing_file"),
        ("", "bad_record"),
        ("a.jpg", ""),
    ]
    assert len(dataset.instances) == 2


def test_a_broken_file_is_a_user_error(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    (tmp_path / "via.json").write_text('{"a": {"regions": [{"shape_attributes": ')
    with pytest.raises(UserError, match=r"^via\.json: line 1, column \d+: not valid JSON"):
        via.recognise(list_source(tmp_path))
