import numpy as np
import pytest
from PIL import Image

from segpipe.ingest.formats import object_masks
from segpipe.ingest.read import read_source
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images, put_mask


def put(root, photos, masks, rows=((0, 255),)):
    put_images(root, photos, (len(rows[0]), len(rows)))
    for mask in masks:
        put_mask(root / mask, rows)
    return root


def read(root, **options):
    source = list_source(root)
    return object_masks.read(source, object_masks.recognise(source), **options)


@pytest.mark.parametrize(
    ("photos", "masks", "categories"),
    [
        (["x1/images/x1.png"], ["x1/masks/07a9bf1d.png", "x1/masks/0e548d0a.png"], ["object"] * 2),  # DSB 2018
        (["images/a.jpg"], ["masks/a_0.png", "masks/a_1.png"], ["object"] * 2),
        (["images/a.jpg"], ["masks/a_cat_0.png", "masks/a_mask_dog2.png"], ["cat", "dog"]),
        (["images/a.jpg"], ["masks/a/0.png", "masks/a/wild cat.png"], ["object", "wild_cat"]),
        (["images/a.jpg"], ["masks/cat/a.png", "masks/dog/a.png"], ["cat", "dog"]),
        (["images/train/a.jpg"], ["masks/train/a_0.png", "masks/train/a_1.png"], ["object"] * 2),
    ],
)
def test_each_file_is_an_object_of_its_photo(tmp_path, photos, masks, categories):
    dataset = read(put(tmp_path, photos, masks))
    assert [(i.id, i.category, i.mask_value, i.area) for i in dataset.instances] == [
        (mask, category, 255, 1.0) for mask, category in zip(masks, categories, strict=True)
    ]
    assert [(i.file, i.annotated, i.width, i.height) for i in dataset.images] == [(photos[0], True, 2, 1)]
    assert dataset == read_source(tmp_path)


@pytest.mark.parametrize(
    "masks", [["masks/a.png"], ["masks/a_mask.png"], ["masks/a.png", "masks/b.png"], ["masks/train/a.png"]]
)
def test_one_mask_per_photo_is_an_index_mask(tmp_path, masks):
    put(tmp_path, ["images/a.jpg", "images/b.jpg"], masks)
    assert object_masks.recognise(list_source(tmp_path)) is None


def test_the_photo_with_the_longest_matching_name_is_used(tmp_path):
    dataset = read(
        put(tmp_path, ["images/a.jpg", "images/a_1.jpg"], ["masks/a_1_0.png", "masks/a_1_1.png", "masks/a_2.png"])
    )
    assert [i.image_key for i in dataset.instances] == ["images__a_1", "images__a_1", "images__a"]


def test_mask_values_may_name_the_class(tmp_path):
    put(tmp_path, ["images/a.jpg"], ["masks/a_0.png", "masks/a_1.png"])
    assert read(tmp_path, values={0: "background", 255: "nucleus"}).categories == ("nucleus",)


def test_a_soft_edge_is_cut_at_128(tmp_path):
    put(tmp_path, ["images/a.jpg"], ["masks/a_0.png", "masks/a_1.png"], [[0, 127, 128, 255]])
    instance = read(tmp_path).instances[0]
    assert (instance.rle.counts, instance.area) == ((2, 2), 2.0)
    assert instance.detail == "3 values other than 0, as of soft edges; the object is the pixels from 128 on"


def test_masks_without_a_photo_and_masks_without_an_object(tmp_path):
    put(
        tmp_path,
        ["images/a.jpg"],
        ["masks/a_0.png", "masks/a_1.png", "masks/a_2.png", "masks/a_3.png", "masks/z_0.png"],
    )
    put_mask(tmp_path / "masks/a_1.png", [[0, 0]])
    (tmp_path / "masks/a_2.png").write_bytes(b"not an image")
    Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(tmp_path / "masks/a_3.png")
    dataset = read(tmp_path)
    assert [(i.id, i.problem, i.area) for i in dataset.instances] == [
        ("masks/a_0.png", "", 1.0), ("masks/a_1.png", "", 0.0), ("masks/a_2.png", "bad_record", None),
        ("masks/a_3.png", "bad_record", None), ("masks/z_0.png", "", 1.0),
    ]  # fmt: skip
    assert [(i.file, i.place, i.problem) for i in dataset.images] == [
        ("", "masks/z_0.png", "missing_file"), ("images/a.jpg", "", ""),
    ]  # fmt: skip
