import json
import logging

import pytest

from segpipe.annotations.detect import read_source
from segpipe.errors import UserError
from tests.annotations.folders import coco, drawn, photo, put_json, put_mask, put_pictures


def put_coco(root, **changes):
    put_pictures(root, ["images/a.jpg"])
    put_json(root / "annotations/instances.json", coco([photo()], [drawn(**changes)]))


def put_masks(root, names="background\nroad\n"):
    put_pictures(root, ["images/a.jpg"], (2, 1))
    put_mask(root / "masks/a.png", [[0, 1]])
    (root / "classes.txt").write_text(names)


def put_via(root, label="cat"):
    put_pictures(root, ["a.jpg"])
    shape = {"name": "polygon", "all_points_x": [1, 5, 5], "all_points_y": [1, 1, 4]}
    region = {"shape_attributes": shape, "region_attributes": {"label": label}}
    put_json(root / "via.json", {"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": [region]}})


def test_folders_of_their_own_format_become_one_data_set(tmp_path):
    put_coco(tmp_path / "first")
    put_masks(tmp_path / "more/second/train")
    put_pictures(tmp_path, ["new/b.jpg"])
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


def test_keys_that_clash_across_folders_are_told_apart(tmp_path):
    put_coco(tmp_path / "x")
    put_pictures(tmp_path, ["x__images/a.jpg"])
    put_masks(tmp_path / "y")
    dataset = read_source(tmp_path)
    keys = {image.file: image.key for image in dataset.images}
    assert len(set(keys.values())) == 3
    assert dataset.instances[0].image_key == keys["x/images/a.jpg"] != "x__images__a"


def test_a_folder_that_two_formats_claim_is_an_error_that_names_both(tmp_path):
    put_coco(tmp_path / "x")
    put_via(tmp_path / "y")
    put_masks(tmp_path / "y")
    with pytest.raises(UserError) as error:
        read_source(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: y: recognised as via (VGG Image Annotator: y/via.json) and index_masks (index masks, images/ + "
        "masks/: 1 of 1 photographs have one); keep the annotations of one of them there, or point ingest.source in "
        "params.yaml at that folder and set ingest.format to one of them"
    )


def test_annotations_apart_from_their_pictures_are_no_data_set_of_their_own(tmp_path):
    put_coco(tmp_path)
    put_mask(tmp_path / "masks/a.png", [[0, 1]])
    with pytest.raises(UserError, match=r"recognised as coco \(.*\) and index_masks \(.*\); set ingest\.format"):
        read_source(tmp_path)


def test_spellings_of_one_class_are_warned_of(tmp_path, caplog):
    put_coco(tmp_path / "x")
    put_masks(tmp_path / "y", "background\nCat\n")
    with caplog.at_level(logging.WARNING):
        assert read_source(tmp_path).categories == ("cat", "dog", "Cat")
    assert "class 'cat' (x) and 'Cat' (y) are two classes; merge them under ingest.classes if" in caplog.text


def test_a_broken_data_set_is_named_with_its_folder(tmp_path):
    put_coco(tmp_path / "x")
    put_masks(tmp_path / "y")
    (tmp_path / "x/annotations/instances.json").write_text(json.dumps({"images": []}))
    with pytest.raises(UserError, match=r"x/annotations/instances\.json: has no list 'annotations'"):
        read_source(tmp_path)
