import numpy as np
import pytest

from segpipe.ingest.formats import cityscapes
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images, put_json, put_mask

PHOTO = "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png"
TRUTH = "gtFine/train/aachen/aachen_000000_000019_gtFine"
SQUARE = [[1, 1], [5, 1], [5, 4], [1, 4]]


def read(root):
    source = list_source(root)
    return cityscapes.read(source, cityscapes.recognise(source))


def objects(root, *entries):
    """The instances of the objects of one file, without the instance of the pixels that they do not cover."""
    put_images(root, [PHOTO])
    put_json(root / f"{TRUTH}_polygons.json", {"imgHeight": 6, "imgWidth": 8, "objects": list(entries)})
    return read(root).instances[1:]


def drawn(label, **changes):
    return {"label": label, "polygon": SQUARE, **changes}


def test_the_official_table():
    # cityscapesScripts, helpers/labels.py: the 19 labels of the benchmark by their ids
    assert {label.id: label.name for label in cityscapes.LABELS if label.scored} == {
        7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
        20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car",
        27: "truck", 28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
    }  # fmt: skip
    assert {label.id for label in cityscapes.LABELS} == {-1, *range(34)}
    assert {label.id for label in cityscapes.LABELS if label.instances} == set(range(24, 34))


def test_the_photo_and_its_split(tmp_path):
    put_images(tmp_path, [PHOTO, "leftImg8bit/test/bonn/bonn_000000_000019_leftImg8bit.png"])
    put_json(tmp_path / f"{TRUTH}_polygons.json", {"imgHeight": 6, "imgWidth": 8, "objects": []})
    for ending in ("color", "labelIds", "instanceIds"):
        put_mask(tmp_path / f"{TRUTH}_{ending}.png", [[0]])
    dataset = read(tmp_path)
    assert [(i.file, i.split, i.annotated, i.width, i.height) for i in dataset.images] == [
        ("leftImg8bit/test/bonn/bonn_000000_000019_leftImg8bit.png", "test", False, None, None),
        (PHOTO, "train", True, 8, 6),
    ]


def test_an_object_is_a_region_in_the_order_of_the_file(tmp_path):
    road, car = objects(tmp_path, drawn("road"), drawn("car", polygon=[[0.5, 0], [2, 0], [2, 2]]))
    assert (road.id, road.place) == (f"{TRUTH}_polygons.json#0", f"{TRUTH}_polygons.json: objects[0]")
    assert [(i.category, i.role, i.layered) for i in (road, car)] == [
        ("road", "object", False),
        ("car", "object", False),
    ]
    assert car.rings == ((0.5, 0.0, 2.0, 0.0, 2.0, 2.0),)


@pytest.mark.parametrize(
    ("label", "category", "role"),
    [
        ("cargroup", "car", "crowd"),
        ("persongroup", "person", "crowd"),
        ("fencegroup", "fence", "object"),  # fences have no instances
        ("polegroup", "", "ignore"),  # polegroup is itself a label, not scored
        ("ego vehicle", "", "ignore"),
        ("trailer", "", "ignore"),
        ("trailergroup", "", "ignore"),
    ],
)
def test_groups_and_labels_that_are_not_scored(tmp_path, label, category, role):
    (instance,) = objects(tmp_path, drawn(label))
    assert (instance.category, instance.role, instance.problem) == (category, role, "")
    assert instance.layered == (role != "object")


@pytest.mark.parametrize(
    ("entry", "reason", "detail"),
    [
        (drawn("license plate"), "deleted", "license plate has no id; cityscapesScripts does not draw it either"),
        (drawn("car", deleted=1), "deleted", "the file marks it as deleted"),
        (drawn("lorry"), "unknown_category", "'lorry' is not a label of Cityscapes; correct it or delete it"),
        (drawn("skiesgroup"), "unknown_category", "'skiesgroup' is not a label of Cityscapes; correct it or delete it"),
        (drawn("car", polygon=[[1, 1], [2, 2]]), "bad_ring", "2 points instead of 3 or more"),
        ({"polygon": SQUARE}, "bad_record", "has no label; add it"),
        (7, "bad_record", "7 is not an object; export it again"),
    ],
)
def test_an_object_that_cannot_be_used_is_an_instance_with_a_problem(tmp_path, entry, reason, detail):
    (instance,) = objects(tmp_path, entry)
    assert (instance.problem, instance.detail[: len(detail)]) == (reason, detail)


def test_pixels_that_no_object_covers_are_unlabeled(tmp_path):
    put_images(tmp_path, [PHOTO])
    put_json(tmp_path / f"{TRUTH}_polygons.json", {"imgHeight": 6, "imgWidth": 8, "objects": []})
    (rest,) = read(tmp_path).instances
    assert (rest.id, rest.role, rest.layered, rest.rle.counts) == (
        f"{TRUTH}_polygons.json#unlabeled", "ignore", False, (0, 48),
    )  # fmt: skip


def test_a_broken_file_loses_only_its_photo(tmp_path):
    put_images(tmp_path, [PHOTO])
    (tmp_path / TRUTH).parent.mkdir(parents=True)
    (tmp_path / f"{TRUTH}_polygons.json").write_text("{")
    dataset = read(tmp_path)
    assert ([i.problem for i in dataset.images], dataset.instances) == (["bad_record"], ())


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("labelIds", 26, ("car", "object", "")),
        ("labelIds", 9, ("", "ignore", "")),
        ("labelIds", 77, ("", "object", "unknown_category")),
        ("instanceIds", 26, ("car", "crowd", "")),  # below 1000: a group
        ("instanceIds", 26003, ("car", "object", "")),
        ("instanceIds", 7, ("road", "object", "")),
    ],
)
def test_the_values_of_id_images(tmp_path, kind, value, expected):
    put_images(tmp_path, [PHOTO])
    put_mask(tmp_path / f"{TRUTH}_{kind}.png", [[value, value]], "I;16")
    dataset = read(tmp_path)
    (instance,) = dataset.instances
    assert (instance.category, instance.role, instance.problem) == expected
    assert (instance.mask_value, instance.area) == (value, 2.0)
    (image,) = dataset.images
    assert (image.file, image.width, image.height) == (PHOTO, 2, 1)


def test_gt_coarse_is_used_without_gt_fine(tmp_path):
    stem = "troisdorf_000000_000073"
    put_images(tmp_path, [PHOTO, f"leftImg8bit/train_extra/troisdorf/{stem}_leftImg8bit.png"])
    document = {"imgHeight": 6, "imgWidth": 8, "objects": []}
    for folder, kind, name in (
        ("train/aachen", "gtFine", "aachen_000000_000019"),
        ("train/aachen", "gtCoarse", "aachen_000000_000019"),
        ("train_extra/troisdorf", "gtCoarse", stem),
    ):
        put_json(tmp_path / f"{kind}/{folder}/{name}_{kind}_polygons.json", document)
    assert [i.id.split("/")[0] for i in read(tmp_path).instances] == ["gtCoarse", "gtFine"]
    assert all(image.annotated and not image.problem for image in read(tmp_path).images)


def test_an_unreadable_id_image_is_an_instance_with_a_problem(tmp_path):
    put_images(tmp_path, [PHOTO])
    put_mask(tmp_path / f"{TRUTH}_labelIds.png", np.zeros((4, 4), int)).write_bytes(b"not an image")
    (instance,) = read(tmp_path).instances
    assert (instance.problem, instance.detail) == (
        "bad_record", "cannot be decoded (UnidentifiedImageError); export the mask again",
    )  # fmt: skip
