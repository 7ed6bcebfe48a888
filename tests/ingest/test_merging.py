import json
import logging

import pytest

from segpipe.core.errors import UserError
from segpipe.data import tables
from segpipe.ingest.read import read_source
from segpipe.validate import conflicts
from tests.ingest.folders import coco, drawn, photo, put_images, put_json, put_mask


def put_coco(root, **changes):
    put_images(root, ["images/a.jpg"])
    put_json(root / "annotations/instances.json", coco([photo()], [drawn(**changes)]))


def put_masks(root, names="background\nroad\n"):
    put_images(root, ["images/a.jpg"], (2, 1))
    put_mask(root / "masks/a.png", [[0, 1]])
    (root / "classes.txt").write_text(names)


def put_via(root, label="cat"):
    put_images(root, ["a.jpg"])
    shape = {"name": "polygon", "all_points_x": [1, 5, 5], "all_points_y": [1, 1, 4]}
    region = {"shape_attributes": shape, "region_attributes": {"label": label}}
    put_json(root / "via.json", {"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": [region]}})


def test_folders_of_different_formats_become_one_data_set(tmp_path):
    put_coco(tmp_path / "first")
    put_masks(tmp_path / "more/second/train")
    put_images(tmp_path, ["new/b.jpg"])
    dataset = read_source(tmp_path)
    assert dataset.format == "coco + index_masks"
    assert dataset.categories == ("cat", "dog", "road")
    assert [(i.key, i.file, i.split, i.annotated) for i in dataset.images] == [
        ("first__images__a", "first/images/a.jpg", None, True),
        ("more__second__train__images__a", "more/second/train/images/a.jpg", "train", True),
        ("new__b", "new/b.jpg", None, False),
    ]
    assert [(i.id, i.image_key) for i in dataset.instances] == [
        ("first/annotations/instances.json#1", "first__images__a"),
        ("more/second/train/masks/a.png#1", "more__second__train__images__a"),
    ]


def test_equal_keys_in_different_folders_get_a_hash(tmp_path):
    put_coco(tmp_path / "x")
    put_images(tmp_path, ["x__images/a.jpg"])
    put_masks(tmp_path / "y")
    dataset = read_source(tmp_path)
    keys = {image.file: image.key for image in dataset.images}
    assert len(set(keys.values())) == 3
    assert dataset.instances[0].image_key == keys["x/images/a.jpg"] != "x__images__a"


def test_a_folder_of_two_formats_is_a_user_error(tmp_path):
    put_coco(tmp_path / "x")
    put_via(tmp_path / "y")
    put_masks(tmp_path / "y")
    with pytest.raises(UserError) as error:
        read_source(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: y: recognised as via (VGG Image Annotator: y/via.json) and index_masks (index masks, images/ + "
        "masks/: 1 mask for 1 photo); keep the annotations of one format there, or set ingest.source in params.yaml "
        "to that folder and ingest.format to one of them"
    )


def test_a_folder_of_masks_without_photos_is_not_a_data_set(tmp_path):
    put_coco(tmp_path)
    put_mask(tmp_path / "masks/a.png", [[0, 1]])
    with pytest.raises(UserError, match=r"recognised as coco \(.*\) and index_masks \(.*\); set ingest\.format"):
        read_source(tmp_path)


def refused(dataset, chosen=None) -> str:
    """The error about the conflicts, "" without an error."""
    try:
        conflicts.refuse(dataset.conflicts, chosen)
    except UserError as error:
        return str(error)
    return ""


def test_two_spellings_of_a_class_in_two_data_sets_are_a_user_error(tmp_path):
    put_coco(tmp_path / "x")
    put_masks(tmp_path / "y", "background\nCat\n")
    dataset = read_source(tmp_path)
    assert dataset.categories == ("cat", "dog", "Cat")
    assert refused(dataset) == (
        "class 'cat' of x (coco) and 'Cat' of y (index_masks) differ only in spelling; join them under "
        "ingest.classes in params.yaml (convert: --classes), like {cat: [cat, Cat]}, or list both"
    )


@pytest.mark.parametrize(
    ("chosen", "is_refused"), [(["cat", "Cat"], False), (["dog"], False), (["cat", "dog"], True), (["Cat"], True)]
)
def test_two_spellings_are_not_a_conflict_if_the_user_lists_both_or_neither(tmp_path, chosen, is_refused):
    put_coco(tmp_path / "x")
    put_masks(tmp_path / "y", "background\nCat\n")
    assert bool(refused(read_source(tmp_path), chosen)) == is_refused


def test_two_spellings_in_one_data_set_give_a_warning(tmp_path, caplog):
    put_masks(tmp_path, "background\nroad\nRoad \n")
    with caplog.at_level(logging.WARNING):
        assert not read_source(tmp_path).conflicts
    assert ". (index_masks): 'road' and 'Road' are separate classes; join them under ingest.classes" in caplog.text


def test_a_photo_annotated_twice_with_different_classes_is_a_user_error(tmp_path):
    put_coco(tmp_path / "x")  # a cat
    put_via(tmp_path / "y", label="owl")
    (tmp_path / "y/a.jpg").write_bytes((tmp_path / "x/images/a.jpg").read_bytes())
    dataset = read_source(tmp_path)
    assert refused(dataset) == (
        "x/images/a.jpg (coco: cat) and y/a.jpg (via: owl) are the same photo, annotated twice with different classes; "
        "keep one of them, or remove the differing classes from ingest.classes in params.yaml"
    )
    assert refused(dataset, ["cat"]) != ""
    assert refused(dataset, ["dog"]) == ""


def test_a_photo_annotated_twice_with_equal_classes_is_not_a_conflict(tmp_path):
    put_coco(tmp_path / "x")
    put_via(tmp_path / "y", label="cat")
    (tmp_path / "y/a.jpg").write_bytes((tmp_path / "x/images/a.jpg").read_bytes())
    assert read_source(tmp_path).conflicts == ()


def test_conflicts_are_kept_with_the_records_for_validate(tmp_path):
    put_coco(tmp_path / "source/x")
    put_masks(tmp_path / "source/y", "background\nCat\n")
    dataset = read_source(tmp_path / "source")
    tables.write_dataset(tmp_path / "records", dataset)
    assert tables.read_dataset(tmp_path / "records").conflicts == dataset.conflicts != ()


def test_the_real_scene_in_seven_formats_has_conflicts(real_data):
    """CVAT exports no polygons to VOC and YOLO, and no lines to COCO: there, these images have no objects."""
    dataset = read_source(real_data / "multi_format")
    assert refused(dataset).startswith(
        "coco1.0/images/birds.jpg (coco: bird) and voc1.1/JPEGImages/birds.jpg (voc: no object) are the same photo, "
    )
    assert not [conflict for conflict in dataset.conflicts if conflict.kind == "spelling"]
    assert refused(dataset, ["strawberry"]) == ""  # boxes, which every format has


def test_a_broken_data_set_is_reported_with_its_folder(tmp_path):
    put_coco(tmp_path / "x")
    put_masks(tmp_path / "y")
    (tmp_path / "x/annotations/instances.json").write_text(json.dumps({"images": []}))
    with pytest.raises(UserError, match=r"x/annotations/instances\.json: has no list 'annotations'"):
        read_source(tmp_path)
