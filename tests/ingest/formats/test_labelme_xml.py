import numpy as np
import pytest
from PIL import Image

from segpipe.data.records import Rle
from segpipe.ingest.formats import labelme_xml
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images

TRIANGLE = ((1, 1), (5, 1), (5, 4))


def polygon(points=TRIANGLE):
    return f"<polygon>{''.join(f'<pt><x>{x}</x><y>{y}</y></pt>' for x, y in points)}<username/></polygon>"


def thing(inside=None, name="cat", deleted=0):
    return f"<object><name>{name}</name><deleted>{deleted}</deleted>{polygon() if inside is None else inside}</object>"


def text(*objects, name="a.jpg", folder=""):
    size = "<imagesize><nrows>6</nrows><ncols>8</ncols></imagesize>"
    return f"<annotation><filename>{name}</filename><folder>{folder}</folder>{''.join(objects)}{size}</annotation>"


def put(root, file, content):
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(content)
    return root


def read(root):
    source = list_source(root)
    return labelme_xml.read(source, labelme_xml.recognise(source))


def read_one(tmp_path, *objects):
    return read(put(put_images(tmp_path, ["a.jpg"]), "a.xml", text(*objects)))


def test_a_polygon_keeps_its_points_class_and_place(tmp_path):
    dataset = read_one(tmp_path, thing())
    (instance,), (image,) = dataset.instances, dataset.images
    assert (instance.id, instance.place, instance.image_key) == ("a.xml#0", "a.xml: object[0]", "a")
    assert (instance.category, instance.kind, instance.rings) == ("cat", "region", ((1, 1, 5, 1, 5, 4),))
    assert (image.file, image.width, image.height) == ("a.jpg", 8, 6)


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ("<type>bounding_box</type>" + polygon(((1, 1), (5, 1), (5, 4), (1, 4))), "box"),
        (polygon(((1, 1), (5, 1))), "line"),
        (polygon(((1, 1),)), "point"),
    ],
)
def test_boxes_lines_and_points_have_their_kind(tmp_path, inside, kind):
    (instance,) = read_one(tmp_path, thing(inside)).instances
    assert (instance.problem, instance.kind) == ("", kind)


def test_a_box_is_rotated(tmp_path):
    corners = polygon(((2, 2), (6, 2), (6, 4), (2, 4)))  # 4 x 2 about (4, 3); upright after a quarter turn
    inside = f"<type>bounding_box</type>{corners}<attributes>size=big, rotation=90.0</attributes>"
    (instance,) = read_one(tmp_path, thing(inside)).instances
    np.testing.assert_allclose(instance.rings[0], (5, 1, 5, 5, 3, 5, 3, 1))


def test_a_deleted_object_has_the_problem_deleted(tmp_path):
    (instance,) = read_one(tmp_path, thing(deleted=1)).instances
    assert (instance.problem, instance.category) == ("deleted", "cat")


@pytest.mark.parametrize("mode", ["RGBA", "L"])
def test_a_mask_is_read_from_its_folder_and_is_not_a_photo(tmp_path, mode):
    put_images(tmp_path, ["Images/set/a.jpg"])
    segment = thing("<segm><box/><mask>a_mask_0.png</mask></segm>")
    put(tmp_path, "Annotations/set/a.xml", text(segment, folder="set"))
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 1] = 255
    mask_image = Image.fromarray(mask) if mode == "L" else Image.merge("RGBA", [Image.fromarray(mask)] * 4)
    (tmp_path / "Masks/set").mkdir(parents=True)
    mask_image.save(tmp_path / "Masks/set/a_mask_0.png")
    dataset = read(tmp_path)
    assert dataset.instances[0].rle == Rle(size_hw=(6, 8), counts=(8, 2, 38))
    assert [image.file for image in dataset.images] == ["Images/set/a.jpg"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["Images/y/a.jpg"], ("Images/y/a.jpg", ["other_folder"])),
        (["Images/y/a.jpg", "Images/z/a.jpg"], ("", [])),
        (["photos/x/a.jpg", "photos/y/a.jpg"], ("photos/x/a.jpg", ["found_elsewhere"])),
        (["Images/x/a.jpg", "Images/y/a.jpg"], ("Images/x/a.jpg", [])),
    ],
)
def test_the_folder_written_in_the_file_is_used(tmp_path, files, expected):
    put(put_images(tmp_path, files), "Annotations/set/a.xml", text(thing(), folder="x"))
    image = next(image for image in read(tmp_path).images if image.annotated)
    assert (image.file, [code for code, _ in image.notes]) == expected


@pytest.mark.parametrize(
    ("inside", "name", "reason", "detail"),
    [
        (None, "", "unknown_category", "has no name; add its class or delete it"),
        (polygon(()), "cat", "bad_ring", "0 points instead of 1 or more"),
        (polygon(((1, "x"), (2, 2), (3, 3))), "cat", "bad_ring", "points[0] [1.0, \"'x'\"] is not [x, y] in pixels"),
        (polygon(((1, "nan"), (2, 2), (3, 3))), "cat", "bad_ring", "points[0] [1.0, nan] is not [x, y] in pixels"),
        ("<segm><mask>../../etc/passwd</mask></segm>", "cat", "missing_file", "no mask '../../etc/passwd' in Masks"),
        ("<segm><mask>a.xml</mask></segm>", "cat", "missing_file", "no mask 'a.xml' in Masks"),
    ],
)
def test_the_detail_names_the_problem_of_an_object(tmp_path, inside, name, reason, detail):
    (instance,) = read_one(tmp_path, thing(inside, name)).instances
    assert instance.problem == reason
    assert detail in instance.detail


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ("<annotation><filename>", "not valid XML"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>', "entities or external"),
        ('<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><annotation>&y;</annotation>', "entities or external"),
    ],
)
def test_a_broken_file_loses_only_its_photo(tmp_path, content, detail):
    put(put_images(tmp_path, ["a.jpg", "b.jpg"]), "a.xml", text(thing()))
    put(tmp_path, "b.xml", content)
    good, bad = read(tmp_path).images
    assert (good.file, good.problem, bad.file, bad.problem) == ("a.jpg", "", "b.jpg", "bad_record")
    assert detail in bad.detail


def test_the_xml_of_pascal_voc_is_not_recognised(tmp_path):
    box = "<object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object>"
    put(put_images(tmp_path, ["a.jpg"]), "a.xml", f"<annotation><filename>a.jpg</filename>{box}</annotation>")
    assert labelme_xml.recognise(list_source(tmp_path)) == ()
