import numpy as np
import pytest
from PIL import Image

from segpipe.data.classes import voc_colours
from segpipe.ingest.formats import voc, voc_masks
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images, put_mask

ROOM = [[0] * 8 for _ in range(6)]


def read(root, **options):
    source = list_source(root)
    return voc.read(source, voc.recognise(source), **options)


def box(name="cat", edges=(2, 2, 5, 4), more=""):
    corners = "".join(
        f"<{key}>{edge}</{key}>" for key, edge in zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True)
    )
    return f"<object><name>{name}</name>{more}<bndbox>{corners}</bndbox></object>"


def put_xml(root, *objects, stem="a", photo=None, size="<width>8</width><height>6</height><depth>3</depth>"):
    put_images(root, [f"JPEGImages/{stem}.jpg"])
    (root / "Annotations").mkdir(exist_ok=True)
    (root / f"Annotations/{stem}.xml").write_text(
        f"<annotation><filename>{photo or f'{stem}.jpg'}</filename><size>{size}</size>{''.join(objects)}</annotation>"
    )
    return root


def put_masks(root, classes, objects=None, mode="L"):
    put_images(root, ["JPEGImages/a.jpg"], (len(classes[0]), len(classes)))
    put_mask(root / "SegmentationClass/a.png", classes, mode)
    if objects:
        put_mask(root / "SegmentationObject/a.png", objects, mode)
    return root


def test_a_voc_box_counts_pixels_from_one_and_includes_the_last(tmp_path):
    dataset = read(put_xml(tmp_path, box(edges=(1, 2, 5, 4))))
    (instance,) = dataset.instances
    assert (instance.category, instance.kind, instance.rings) == (
        "cat",
        "box",
        ((0.0, 1.0, 5.0, 1.0, 5.0, 4.0, 0.0, 4.0),),
    )
    assert (instance.id, instance.place) == ("Annotations/a.xml#0", "Annotations/a.xml: object[0]")
    (image,) = dataset.images
    assert (image.file, image.width, image.height, image.place) == ("JPEGImages/a.jpg", 8, 6, "Annotations/a.xml")


@pytest.mark.parametrize("other", [(0, 2, 5, 4), (2, 2, 5.5, 4)])
def test_one_box_that_cannot_be_voc_s_decides_for_all(tmp_path, other):
    instances = read(put_xml(tmp_path, box(edges=(1, 2, 5, 4)), box(edges=other))).instances
    assert instances[0].rings == ((1.0, 2.0, 5.0, 2.0, 5.0, 4.0, 1.0, 4.0),)


def test_flags_are_in_the_detail(tmp_path):
    flags = "<difficult>1</difficult><truncated>1</truncated><occluded>0</occluded>"
    assert read(put_xml(tmp_path, box(more=flags))).instances[0].detail == "difficult, truncated"


def test_an_outline_beside_the_box_is_a_region(tmp_path):
    polygon = "<polygon><x1>1</x1><y1>1</y1><x2>5</x2><y2>1</y2><x3>5</x3><y3>4</y3></polygon>"
    (instance,) = read(put_xml(tmp_path, box(more=polygon))).instances
    assert (instance.kind, instance.rings) == ("region", ((1.0, 1.0, 5.0, 1.0, 5.0, 4.0),))


@pytest.mark.parametrize(
    ("entry", "reason", "detail"),
    [
        (box(edges=("x", 1, 2, 3)), "bad_ring", "xmin 'x' is not a number of pixels; correct it or delete the object"),
        (
            box(edges=("nan", 1, 2, 3)),
            "bad_ring",
            "xmin 'nan' is not a number of pixels; correct it or delete the object",
        ),
        (
            "<object><name>cat</name></object>",
            "bad_ring",
            "xmin '' is not a number of pixels; correct it or delete the object",
        ),
        (box(name=""), "unknown_category", "has no name; add its class or delete it"),
        (
            box(more="<polygon><x1>1</x1></polygon>"),
            "bad_ring",
            "its polygon is not x1, y1, x2, y2 ... in pixels; draw it again",
        ),
    ],
)
def test_an_object_that_cannot_be_used_is_an_instance_with_a_problem(tmp_path, entry, reason, detail):
    instances = read(put_xml(tmp_path, box(), entry)).instances
    assert [i.problem for i in instances] == ["", reason]
    assert instances[1].detail == detail


def test_a_broken_file_loses_only_its_photo(tmp_path):
    put_xml(tmp_path, box())
    put_xml(tmp_path, stem="b")
    (tmp_path / "Annotations/b.xml").write_text("<annotation>")
    dataset = read(tmp_path)
    assert [(i.file, i.problem) for i in dataset.images] == [
        ("JPEGImages/a.jpg", ""),
        ("JPEGImages/b.jpg", "bad_record"),
    ]
    assert dataset.images[1].detail == (
        "line 1, column 13: not valid XML (no element found); export it again, or remove it from the source"
    )


def test_the_name_of_the_file_comes_before_a_copied_name(tmp_path):
    put_xml(tmp_path, box())
    put_xml(tmp_path, box(), stem="b", photo="a.jpg")
    assert [i.image_key for i in read(tmp_path).instances] == ["JPEGImages__a", "JPEGImages__b"]


def test_class_masks_alone_have_voc_s_numbers(tmp_path):
    (instance,) = read(put_masks(tmp_path, [[0, 15, 15, 255]]), values={15: "person"}).instances[:1]
    assert (instance.id, instance.category, instance.mask_value, instance.area) == (
        "SegmentationClass/a.png#15",
        "person",
        15,
        2.0,
    )


def test_voc_s_names_are_used_if_the_boxes_have_no_others(tmp_path):
    put_masks(tmp_path, [[0, 15, 1, 255]])
    put_xml(tmp_path, box("person", (50, 50, 60, 60)), stem="b")
    dataset = read(tmp_path)
    assert [(i.category, i.role) for i in dataset.instances[:3]] == [
        ("aeroplane", "object"), ("person", "object"), ("", "ignore"),
    ]  # fmt: skip
    assert dataset.categories == voc_masks.VOC_CLASSES


def test_objects_have_the_class_of_most_of_their_pixels(tmp_path):
    classes = [[15, 15, 1, 0], [1, 1, 255, 0]]
    objects = [[1, 1, 1, 0], [2, 2, 255, 0]]
    dataset = read(put_masks(tmp_path, classes, objects), values={15: "person", 1: "plane"})
    assert [(i.id, i.category, i.role, i.area, i.detail) for i in dataset.instances] == [
        (
            "SegmentationObject/a.png#1",
            "person",
            "object",
            3.0,
            "1 of its 3 pixels have another class in the class mask",
        ),
        ("SegmentationObject/a.png#2", "plane", "object", 2.0, ""),
        ("SegmentationClass/a.png#255", "", "ignore", 1.0, ""),
    ]


def test_the_pixels_of_a_class_beyond_the_objects_are_an_instance(tmp_path):
    classes = [[1, 1, 1, 2]]
    objects = [[7, 0, 0, 0]]
    dataset = read(put_masks(tmp_path, classes, objects), values={1: "plane", 2: "sky"})
    assert [(i.id, i.category, i.area, i.mask_value) for i in dataset.instances] == [
        ("SegmentationObject/a.png#7", "plane", 1.0, 7),
        ("SegmentationClass/a.png#1", "plane", 2.0, None),
        ("SegmentationClass/a.png#2", "sky", 1.0, 2),
    ]
    assert dataset.instances[1].rle.counts == (1, 2, 1)


def test_an_object_without_a_class_has_a_problem(tmp_path):
    instances = read(put_masks(tmp_path, [[0, 1]], [[5, 0]]), values={1: "plane"}).instances
    assert [(i.id, i.problem) for i in instances] == [
        ("SegmentationObject/a.png#5", "unknown_category"), ("SegmentationClass/a.png#1", ""),
    ]  # fmt: skip


def test_an_object_mask_of_another_size_is_not_used(tmp_path):
    (instance,) = read(put_masks(tmp_path, [[0, 1]], [[5, 0], [1, 1]]), values={1: "plane"}).instances
    assert (instance.id, instance.detail) == (
        "SegmentationClass/a.png#1",
        "SegmentationObject/a.png has 2 x 2 pixels, the class mask 2 x 1; it is not used",
    )


def test_colours_are_voc_s_unless_others_are_declared(tmp_path):
    put_masks(tmp_path, [[0, 0, 0]])
    colours = voc_colours(256)
    pixels = [[colours[0], colours[15], colours[255]]]
    Image.fromarray(np.array(pixels, np.uint8)).save(tmp_path / "SegmentationClass/a.png")
    assert [(i.category, i.role) for i in read(tmp_path).instances] == [("class_15", "object"), ("", "ignore")]


def test_a_box_is_repeated_if_the_mask_shows_its_class_inside(tmp_path):
    room = [row[:] for row in ROOM]
    room[2][3] = 1
    put_masks(tmp_path, room)
    put_xml(tmp_path, box("cat", (3, 2, 5, 4)), box("cat", (6, 4, 7, 5)), box("dog", (3, 2, 5, 4)))
    dataset = read(tmp_path, values={1: "cat", 2: "dog"})
    assert [(i.id, i.kind, i.problem) for i in dataset.instances] == [
        ("SegmentationClass/a.png#1", "region", ""),
        ("Annotations/a.xml#0", "box", "repeated"),
        ("Annotations/a.xml#1", "box", ""),
        ("Annotations/a.xml#2", "box", ""),
    ]


def test_the_lists_of_main_name_splits_too(tmp_path):
    put_xml(tmp_path, box())
    put_xml(tmp_path, box(), stem="b")
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a 1\n")
    (lists / "val.txt").write_text("b -1\nmissing\n")
    assert [image.split for image in read(tmp_path).images] == ["train", "val"]


def test_the_xml_of_labelme_is_not_recognised(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    (tmp_path / "a.xml").write_text(
        "<annotation><filename>a.jpg</filename><object><polygon><pt><x>1</x></pt></polygon></object>"
        "<imagesize><nrows>6</nrows></imagesize></annotation>"
    )
    assert not voc.recognise(list_source(tmp_path))
