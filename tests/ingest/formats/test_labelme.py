import base64
import io

import numpy as np
import pytest
from PIL import Image

from segpipe.data.records import Rle
from segpipe.ingest.formats import labelme
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images, put_json

TRIANGLE = [[1, 1], [5, 1], [5, 4]]


def shape(**changes):
    entry = {"label": "cat", "points": TRIANGLE, "group_id": None, "shape_type": "polygon", "flags": {}}
    return {key: value for key, value in {**entry, **changes}.items() if value is not ...}


def document(*shapes, **changes):
    head = {"version": "5.2.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.jpg", "imageData": None}
    return {**head, "imageHeight": 6, "imageWidth": 8, **changes}


def png(rows):
    buffer = io.BytesIO()
    Image.fromarray(np.array(rows, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def read(root):
    source = list_source(root)
    return labelme.read(source, labelme.recognise(source))


def read_one(tmp_path, *shapes, **changes):
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "a.json", document(*shapes, **changes))
    return read(tmp_path)


def only(dataset):
    (instance,) = dataset.instances
    return instance


# ---- shapes


def test_a_polygon_keeps_its_points_class_and_place(tmp_path):
    instance = only(read_one(tmp_path, shape()))
    assert (instance.id, instance.place, instance.image_key) == ("a.json#0", "a.json: shapes[0]", "a")
    assert (instance.category, instance.kind, instance.rings) == ("cat", "region", ((1.0, 1.0, 5.0, 1.0, 5.0, 4.0),))


@pytest.mark.parametrize(
    ("form", "points", "kind", "rings"),
    [
        ("rectangle", [[5, 1], [2, 4]], "box", ((2, 1, 5, 1, 5, 4, 2, 4),)),
        ("rectangle", [[2, 1], [5, 1], [5, 4], [2, 4]], "box", ((2, 1, 5, 1, 5, 4, 2, 4),)),  # X-AnyLabeling
        ("oriented_rectangle", [[2, 0], [4, 2], [2, 4], [0, 2]], "box", ((2, 0, 4, 2, 2, 4, 0, 2),)),
        ("line", [[1, 1], [5, 1]], "line", ((1, 1, 5, 1),)),
        ("linestrip", TRIANGLE, "line", ((1, 1, 5, 1, 5, 4),)),
        ("point", [[3, 2]], "point", ((3, 2),)),
        ("points", [[3, 2], [4, 4]], "point", ((3, 2), (4, 4))),
        (None, TRIANGLE, "region", ((1, 1, 5, 1, 5, 4),)),  # labelme 2 wrote no type
    ],
)
def test_each_type_of_shape_has_its_kind_and_rings(tmp_path, form, points, kind, rings):
    instance = only(read_one(tmp_path, shape(shape_type=form, points=points)))
    assert (instance.problem, instance.kind, instance.rings) == ("", kind, rings)


def test_a_circle_is_its_centre_and_a_point_on_it(tmp_path):
    (ring,) = only(read_one(tmp_path, shape(shape_type="circle", points=[[4, 3], [4, 5]]))).rings
    assert len(ring) == 128
    points = np.reshape(ring, (-1, 2))
    np.testing.assert_allclose(np.hypot(*(points - [4, 3]).T), 2)


def test_a_mask_starts_in_the_pixel_of_its_first_point(tmp_path):
    mask = shape(shape_type="mask", points=[[2.4, 1.4], [4.4, 2.4]], mask=png([[1, 0, 1], [1, 1, 0]]))
    # columns of 6 pixels: 2 has rows 1, 2; 3 has row 2; 4 has row 1
    assert only(read_one(tmp_path, mask)).rle == Rle(size_hw=(6, 8), counts=(13, 2, 5, 1, 4, 1, 22))


def test_shapes_of_one_group_and_class_are_one_instance(tmp_path):
    shapes = [shape(group_id=3), shape(group_id=3, label="dog"), shape(group_id=3, points=[[0, 0], [2, 0], [2, 2]])]
    cat, dog = read_one(tmp_path, *shapes).instances
    assert cat.rings == ((1, 1, 5, 1, 5, 4), (0, 0, 2, 0, 2, 2))
    assert (cat.id, cat.detail, dog.category) == ("a.json#0", "2 shapes of one group", "dog")


def test_an_invalid_ring_is_counted_in_its_group(tmp_path):
    instance = only(read_one(tmp_path, shape(group_id=3, points=[[1, 1], [2, 2]]), shape(group_id=3)))
    assert (instance.problem, len(instance.rings), instance.rings_refused) == ("", 1, 1)


def test_pixels_that_labelme_ignores_are_ignored(tmp_path):
    instance = only(read_one(tmp_path, shape(label="__ignore__")))
    assert (instance.role, instance.category) == ("ignore", "")


def test_flags_are_in_the_detail(tmp_path):
    instance = only(read_one(tmp_path, shape(flags={"difficult": True, "occluded": False})))
    assert instance.detail == "flags: ['difficult']"


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"label": ...}, "bad_record", "has no label; add it"),
        ({"label": " "}, "bad_record", "label ' ' is not a name; correct it"),
        ({"points": [[1, 1], [2, 2]]}, "bad_ring", "2 points instead of 3 or more"),
        ({"points": [[1, 1], [2, "2"], [3, 3]]}, "bad_ring", "points[1] [2, '2'] is not [x, y] in pixels"),
        ({"points": None}, "bad_ring", "points None is not a list"),
        ({"shape_type": "circle"}, "bad_ring", "it has 3 points instead of 2"),
        ({"shape_type": "spiral"}, "bad_record", "shape_type 'spiral' is unknown"),
        ({"shape_type": "mask", "points": [[1, 1], [2, 2]]}, "bad_rle", "None is not base64"),
        ({"shape_type": "mask", "points": [[1, 1], [2, 2]], "mask": "AAAA"}, "bad_rle", "its mask cannot be decoded"),
        (
            {"shape_type": "mask", "points": [[1, 1], [6, 5]], "mask": png([[1]])},
            "bad_rle",
            "its mask has 1 x 1 pixels, but its points span 6 x 5",
        ),
    ],
)
def test_the_detail_names_the_problem_of_a_shape(tmp_path, changes, reason, detail):
    instance = only(read_one(tmp_path, shape(**changes)))
    assert instance.problem == reason
    assert detail in instance.detail


# ---- photos


@pytest.mark.parametrize("path", ["..\\photos\\b.jpg", "C:\\old\\b.jpg", "/home/x/b.jpg", "photos/b.jpg"])
def test_a_path_of_another_machine_is_found_by_its_name(tmp_path, path):
    put_images(tmp_path, ["photos/b.jpg"])
    put_json(tmp_path / "labels/x.json", document(imagePath=path))
    (image,) = read(tmp_path).images
    assert (image.file, image.problem, image.width, image.height) == ("photos/b.jpg", "", 8, 6)


@pytest.mark.parametrize("path", ["gone.jpg", "a.json", "", None, 7])
def test_a_wrong_path_is_replaced_by_the_name_of_the_file(tmp_path, path):
    (image,) = read_one(tmp_path, shape(), imagePath=path).images
    assert (image.file, image.problem) == ("a.jpg", "")


def test_a_copied_path_does_not_claim_the_photo_of_another_file(tmp_path):
    put_images(tmp_path, ["a.jpg", "b.jpg"])
    put_json(tmp_path / "a.json", document(shape()))
    put_json(tmp_path / "b.json", document(shape(), shape()))  # its imagePath is still a.jpg
    dataset = read(tmp_path)
    assert [image.file for image in dataset.images] == ["a.jpg", "b.jpg"]
    assert [instance.image_key for instance in dataset.instances] == ["a", "b", "b"]


def test_a_photo_without_a_file_is_read_from_the_json(tmp_path):
    put_images(tmp_path, ["other.jpg"])
    put_json(tmp_path / "train/x.json", document(shape(), imagePath="gone.jpg", imageData=png([[0] * 8] * 6)))
    dataset = read(tmp_path)
    image = next(image for image in dataset.images if image.annotated)
    assert (image.key, image.file, image.place) == ("train__x", "train/x.json", "train/x.json")
    assert (image.width, image.height, image.split, image.problem, image.detail) == (8, 6, "train", "", "")
    assert only(dataset).image_key == "train__x"


def test_a_source_may_have_only_photos_inside_json(tmp_path):
    put_json(tmp_path / "x.json", document(shape(), imageData=png([[0] * 8] * 6)))
    assert [image.file for image in read(tmp_path).images] == ["x.json"]


@pytest.mark.parametrize(
    ("size_wh", "detail"),
    [
        ((8, 6), ""),
        ((16, 12), "the photo inside a.json has 8 x 6 pixels, a.jpg 16 x 12; the file is used"),
    ],
)
def test_the_file_is_used_and_another_size_inside_is_in_the_detail(tmp_path, size_wh, detail):
    put_images(tmp_path, ["a.jpg"], size_wh)
    put_json(tmp_path / "a.json", document(shape(), imageData=png([[0] * 8] * 6)))
    (image,) = read(tmp_path).images
    assert (image.file, image.problem, image.detail) == ("a.jpg", "", detail)


def test_a_missing_photo_that_is_not_inside_is_missing(tmp_path):
    put_images(tmp_path, ["other.jpg"])
    for data in (None, "", 7):
        put_json(tmp_path / "x.json", document(shape(), imageData=data))
        missing = next(image for image in read(tmp_path).images if image.problem)
        assert (missing.problem, missing.place, missing.file) == ("missing_file", "x.json", "")


@pytest.mark.parametrize("text", ["", "{", '{"shapes": 3}', "[]", '{"shapes": [], "imagePath": "a.jpg'])
def test_a_broken_file_loses_only_its_photo(tmp_path, text):
    put_images(tmp_path, ["a.jpg", "b.jpg"])
    put_json(tmp_path / "a.json", document(shape()))
    (tmp_path / "b.json").write_text(text)
    dataset = read(tmp_path)
    assert [(image.file, image.problem) for image in dataset.images] == [("a.jpg", ""), ("b.jpg", "bad_record")]
    assert len(dataset.instances) == 1


def test_files_of_other_formats_are_not_recognised(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "a.json", {"images": [], "annotations": [], "categories": []})
    assert labelme.recognise(list_source(tmp_path)) == ()


def test_nothing_outside_the_source_is_read(tmp_path):
    put_images(tmp_path / "outside", ["a.jpg"])
    put_images(tmp_path / "source", ["b.jpg"])
    put_json(tmp_path / "source/x.json", document(shape(), imagePath="../outside/a.jpg"))
    (tmp_path / "source/a.jpg").symlink_to(tmp_path / "outside/a.jpg")
    assert {(image.file, image.problem) for image in read(tmp_path / "source").images} == {
        ("b.jpg", ""),
        ("a.jpg", "unreadable"),
        ("", "missing_file"),
    }
