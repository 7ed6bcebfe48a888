import logging
from itertools import permutations

import pytest

from segpipe.core.errors import UserError
from segpipe.data.records import Rle
from segpipe.ingest.formats import coco
from segpipe.ingest.source import list_source
from tests.ingest.folders import TRIANGLE, drawn, photo, put_images, put_json
from tests.ingest.folders import coco as document

RLE = {"size": [6, 8], "counts": [40, 4, 4]}


def read(root):
    source = list_source(root)
    return coco.read(source, coco.recognise(source))


def read_one(tmp_path, *annotations, images=None, categories=None):
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "x.json", document(images or [photo()], list(annotations), categories))
    return read(tmp_path)


def only(dataset):
    (instance,) = dataset.instances
    return instance


# ---- annotations


def test_an_annotation_keeps_its_id_rings_class_and_place(tmp_path):
    instance = only(read_one(tmp_path, drawn(17, segmentation=[TRIANGLE, [0, 0, 2, 0, 2, 2, 0, 2]], category_id=90)))
    assert instance.id == "x.json#17"
    assert instance.place == "x.json: annotations[0] (id 17)"
    assert instance.image_key == "a"
    assert instance.category == "dog"
    assert instance.rings == ((1.0, 1.0, 5.0, 1.0, 5.0, 4.0), (0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0))
    assert (instance.role, instance.area, instance.problem) == ("object", 6.0, "")


@pytest.mark.parametrize("crowd", [0, 1])
@pytest.mark.parametrize("counts", [[40, 4, 4], "X144"])
def test_both_forms_of_rle_are_read_for_both_values_of_iscrowd(tmp_path, crowd, counts):
    instance = only(read_one(tmp_path, drawn(segmentation=RLE | {"counts": counts}, iscrowd=crowd)))
    assert instance.rle == Rle(size_hw=(6, 8), counts=tuple(counts) if isinstance(counts, list) else counts)
    assert instance.role == ("crowd" if crowd else "object")
    assert instance.rings == ()


def test_a_polygon_may_be_a_crowd(tmp_path):
    assert only(read_one(tmp_path, drawn(iscrowd=1))).role == "crowd"


@pytest.mark.parametrize(
    ("ring", "problem"),
    [
        ([1, 1, 5, 1, 5, 4, 7], "7 numbers cannot form a ring (an even count of 6 or more)"),
        ([1, 1, 5, 1], "4 numbers cannot form a ring (an even count of 6 or more)"),
        ([1, 1, 5, 1, 5, float("nan")], "nan is not a number of pixels"),
        ([1, 1, 5, 1, 5, float("-inf")], "-inf is not a number of pixels"),
        ([1, 1, 5, 1, 5, 1e300], "1e+300 is not a number of pixels"),
        ([1, 1, 5, 1, 5, True], "True is not a number of pixels"),
        ([1, 1, 5, 1, 5, "4"], "'4' is not a number of pixels"),
        ([1, 1, 5, 1, 5, 10**400], "100000000000000000...0000000000000000000 is not a number of pixels"),
        (7.5, "7.5 is not a list of numbers"),
    ],
)
def test_an_invalid_ring_is_counted_and_the_others_stay(tmp_path, ring, problem):
    instance = only(read_one(tmp_path, drawn(segmentation=[TRIANGLE, ring])))
    assert (instance.problem, instance.rings_refused, instance.detail) == ("", 1, f"segmentation[1]: {problem}")
    assert instance.rings == (tuple(TRIANGLE),)


def test_an_instance_without_a_valid_ring_cannot_be_used(tmp_path):
    instance = only(read_one(tmp_path, drawn(segmentation=[[1, 1, 5, 1, 5, 4, 7], [1, 1]])))
    assert (instance.problem, instance.rings) == ("bad_ring", ())
    assert instance.detail == (
        "segmentation[0]: 7 numbers cannot form a ring (an even count of 6 or more); draw it again or delete it"
    )
    assert (instance.image_key, instance.category) == ("a", "cat")  # what could be read stays


def test_a_record_with_only_a_bbox_is_a_box(tmp_path):
    instance = only(read_one(tmp_path, drawn(segmentation=[], bbox=[1, 1, 4, 2.5])))
    assert (instance.problem, instance.kind, instance.rings) == ("", "box", ((1, 1, 5, 1, 5, 3.5, 1, 3.5),))


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"segmentation": ...}, "bad_record", "has no segmentation and no bbox; draw its outline or delete it"),
        ({"segmentation": []}, "bad_record", "has no segmentation and no bbox; draw its outline or delete it"),
        ({"segmentation": {}}, "bad_record", "has no segmentation and no bbox; draw its outline or delete it"),
        ({"segmentation": None, "bbox": [1, 1, 2]}, "bad_record", "has no segmentation, and its bbox [1, 1, 2] is not"),
        ({"segmentation": [], "bbox": [1, 1, 0, 2]}, "bad_record", "has no segmentation, and its bbox [1, 1, 0, 2] is"),
        ({"segmentation": [], "bbox": "1 1 2 2"}, "bad_record", "has no segmentation, and its bbox '1 1 2 2' is not"),
        ({"segmentation": "POLYGON"}, "bad_record", "segmentation 'POLYGON' is neither a list of rings nor an RLE"),
        ({"segmentation": TRIANGLE}, "bad_ring", "segmentation[0]: 1.0 is not a list of numbers"),
        ({"segmentation": RLE | {"size": [6]}}, "bad_rle", "RLE size [6] is not [height, width]"),
        ({"segmentation": RLE | {"size": [6, True]}}, "bad_rle", "RLE size [6, True] is not [height, width]"),
        ({"segmentation": RLE | {"size": [6, 0]}}, "bad_rle", "RLE size [6, 0] is not [height, width]"),
        ({"segmentation": RLE | {"counts": [40, -4]}}, "bad_rle", "RLE counts [40, -4] are neither run lengths nor"),
        ({"segmentation": RLE | {"counts": [40.5]}}, "bad_rle", "RLE counts [40.5] are neither run lengths nor"),
        ({"segmentation": RLE | {"counts": "ü"}}, "bad_rle", "RLE counts 'ü' are neither run lengths nor"),
        ({"segmentation": {"size": [6, 8]}}, "bad_rle", "RLE counts None are neither run lengths nor"),
        ({"image_id": 5}, "unknown_image", "image_id 5 is not among the images; add its image or delete it"),
        ({"image_id": ...}, "bad_record", "has no image_id; add it"),
        ({"image_id": True}, "bad_record", "image_id True is neither a number nor a text; correct it"),
        ({"image_id": [1]}, "bad_record", "image_id [1] is neither a number nor a text; correct it"),
        ({"image_id": 1.5}, "bad_record", "image_id 1.5 is not a whole number; correct it"),
        ({"category_id": 2}, "unknown_category", "category_id 2 is not among the categories; correct the categories"),
        ({"category_id": float("nan")}, "bad_record", "category_id nan is not a whole number; correct it"),
        ({"iscrowd": "yes"}, "bad_record", "iscrowd 'yes' is neither 0 nor 1; write one of them"),
    ],
)
def test_the_detail_names_the_problem_of_an_annotation(tmp_path, changes, reason, detail):
    instance = only(read_one(tmp_path, drawn(**changes)))
    assert instance.problem == reason
    assert instance.detail.startswith(detail)


@pytest.mark.parametrize("entry", [None, 5, "text", []])
def test_an_annotation_that_is_not_an_object_is_still_a_record(tmp_path, entry):
    instance = only(read_one(tmp_path, entry))
    assert (instance.id, instance.problem, instance.image_key) == ("x.json#@0", "bad_record", "")
    assert instance.place == "x.json: annotations[0]"


@pytest.mark.parametrize("image_id", ["1", 1.0, 1])
def test_an_id_may_be_written_as_a_text_or_with_a_decimal_point(tmp_path, image_id):
    assert only(read_one(tmp_path, drawn("7", image_id=image_id, category_id="90"))).category == "dog"


def test_ids_may_be_texts(tmp_path):
    categories = [{"id": "c-1", "name": "cat"}]
    images = [{"id": "p-1", "file_name": "a.jpg"}]
    instance = only(read_one(tmp_path, drawn("z", image_id="p-1", category_id="c-1"), images=images,
                             categories=categories))  # fmt: skip
    assert (instance.id, instance.image_key, instance.category) == ("x.json#z", "a", "cat")


def test_a_repeated_id_gets_its_position_and_a_missing_id_is_its_position(tmp_path):
    dataset = read_one(tmp_path, drawn(5), drawn(5), drawn("5@1"), drawn(id=...), drawn(id=None))
    assert [instance.id for instance in dataset.instances] == [
        "x.json#5", "x.json#5@1", "x.json#5@1@2", "x.json#@3", "x.json#@4",
    ]  # fmt: skip
    assert not any(instance.problem for instance in dataset.instances)


@pytest.mark.parametrize("area", [..., None, "6", -1, float("inf"), True])
def test_an_invalid_area_is_left_out(tmp_path, area):
    instance = only(read_one(tmp_path, drawn(area=area)))
    assert (instance.area, instance.problem) == (None, "")


# ---- categories


def test_category_ids_may_have_gaps_and_a_name_of_two_ids_is_one_class(tmp_path):
    categories = [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 7, "name": " dog "}]
    dataset = read_one(tmp_path, drawn(1, category_id=7), drawn(2, category_id=3), categories=categories)
    assert dataset.categories == ("dog", "cat")
    assert [instance.category for instance in dataset.instances] == ["dog", "cat"]


def test_an_id_with_two_names_means_neither(tmp_path):
    categories = [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]
    instance = only(read_one(tmp_path, drawn(), categories=categories))
    assert (instance.problem, instance.detail) == (
        "unknown_category",
        "category_id 1 has two names; correct the categories",
    )


@pytest.mark.parametrize("entry", [None, {"id": 1}, {"id": 1, "name": 5}, {"id": 1, "name": "\ud800"}, {"name": "cat"}])
def test_a_category_that_cannot_be_read_is_unknown_and_logged(tmp_path, caplog, entry):
    instance = only(read_one(tmp_path, drawn(), categories=[entry, {"id": 90, "name": "dog"}]))
    assert instance.problem == "unknown_category"
    assert "x.json: categories[0]: " in caplog.text


# ---- images


def test_an_image_keeps_its_file_declared_size_and_place(tmp_path):
    (image,) = read_one(tmp_path, drawn()).images
    assert (image.key, image.file, image.width, image.height) == ("a", "a.jpg", 8, 6)
    assert (image.annotated, image.place, image.problem) == (True, "x.json: images[0] (id 1)", "")


def test_a_photo_that_no_record_names_is_not_annotated(tmp_path):
    put_images(tmp_path, ["b.jpg", "c.gif"])
    dataset = read_one(tmp_path, drawn())
    assert [(image.file, image.annotated) for image in dataset.images] == [
        ("a.jpg", True), ("b.jpg", False), ("c.gif", False),
    ]  # fmt: skip


@pytest.mark.parametrize("width", ["8", 0, -8, 8.5, True, float("nan")])
def test_an_invalid_declared_size_is_not_used(tmp_path, width):
    (image,) = read_one(tmp_path, images=[photo() | {"width": width}]).images
    assert (image.width, image.height, image.problem) == (None, None, "")
    assert image.detail.startswith("the declared size ")


@pytest.mark.parametrize(
    ("entry", "detail"),
    [
        ({"id": 1}, "has no file_name; add it"),
        ({"id": 1, "file_name": 7}, "file_name 7 is not a name; correct it"),
        ({"id": 1, "file_name": " "}, "file_name ' ' is not a name; correct it"),
        ({"id": 1, "file_name": "\udc80.jpg"}, "file_name '\\udc80.jpg' is not a name; correct it"),
        ({"file_name": "a.jpg"}, "has no id; add it"),
        (None, "None is not an object; export it again"),
    ],
)
def test_the_detail_names_the_problem_of_an_image_record(tmp_path, entry, detail):
    broken = next(image for image in read_one(tmp_path, images=[entry]).images if image.problem)
    assert (broken.problem, broken.detail, broken.place) == ("bad_record", detail, "x.json: images[0]")


def test_annotations_of_an_image_without_a_file_name_stay_with_it(tmp_path):
    dataset = read_one(tmp_path, drawn(), images=[{"id": 1}])
    broken = next(image for image in dataset.images if image.problem)
    assert only(dataset).image_key == broken.key


def test_an_image_whose_file_is_missing_is_kept_with_a_problem(tmp_path):
    dataset = read_one(tmp_path, drawn(), images=[photo(name="sub/gone.jpg")])
    gone = next(image for image in dataset.images if image.problem)
    assert (gone.file, gone.problem) == ("sub/gone.jpg", "missing_file")
    assert gone.detail == "no file 'sub/gone.jpg' in the source; add the photo or delete its record"
    assert only(dataset).image_key == gone.key


def test_two_records_of_one_file_are_one_image_with_the_annotations_of_both(tmp_path):
    images = [photo(1, "a.jpg"), photo(2, "./a.jpg"), photo(2, "a.jpg")]
    dataset = read_one(tmp_path, drawn(1, image_id=1), drawn(2, image_id=2), images=images)
    assert [image.file for image in dataset.images] == ["a.jpg"]
    assert [instance.image_key for instance in dataset.instances] == ["a", "a"]


def test_an_id_of_two_images_means_neither(tmp_path):
    put_images(tmp_path, ["b.jpg", "c.jpg"])
    images = [photo(1, "a.jpg"), photo(1, "b.jpg"), photo(2, "c.jpg")]
    dataset = read_one(tmp_path, drawn(1), drawn(2, image_id="1"), drawn(3, image_id=2), images=images)
    detail = "2 images ('a.jpg', 'b.jpg') share the id 1; give each image a different id"
    assert [(image.file, image.problem, image.detail) for image in dataset.images] == [
        ("a.jpg", "bad_record", detail), ("b.jpg", "bad_record", detail), ("c.jpg", "", ""),
    ]  # fmt: skip
    first, second, third = dataset.instances
    assert (third.image_key, third.problem) == ("c", "")
    for instance in (first, second):
        assert (instance.image_key, instance.problem) == ("", "ambiguous_image")
        assert instance.detail == "its image_id 1 is the id of several images; give each image a different id"


@pytest.mark.parametrize("other", [photo(1, "gone.jpg"), {"id": 1}, {"id": 1.0, "file_name": "b.jpg"}])
def test_an_id_of_a_valid_and_an_invalid_image_means_neither(tmp_path, other):
    put_images(tmp_path, ["b.jpg"])
    for images in ([photo(1, "a.jpg"), other], [other, photo(1, "a.jpg")]):
        dataset = read_one(tmp_path, drawn(), images=images)
        assert only(dataset).problem == "ambiguous_image"
        assert next(image for image in dataset.images if image.file == "a.jpg").problem == "bad_record"


def test_texts_that_are_equal_only_as_numbers_are_different_ids(tmp_path):
    put_images(tmp_path, ["b.jpg", "c.jpg"])
    ids = ["7", "007", "-0"]
    images = [photo(id_, name) for id_, name in zip(ids, ["a.jpg", "b.jpg", "c.jpg"], strict=True)]
    categories = [{"id": "1", "name": "cat"}, {"id": "01", "name": "dog"}]
    annotations = [
        drawn("5", image_id="7", category_id="1"),
        drawn("05", image_id="007", category_id="01"),
        drawn("6", image_id=7, category_id=1),
        drawn("7", image_id="-0", category_id="1"),
    ]
    dataset = read_one(tmp_path, *annotations, images=images, categories=categories)
    assert [(i.id, i.image_key, i.category) for i in dataset.instances] == [
        ("x.json#5", "a", "cat"), ("x.json#05", "b", "dog"), ("x.json#6", "a", "cat"), ("x.json#7", "c", "cat"),
    ]  # fmt: skip
    assert not any(instance.note or instance.problem for instance in dataset.instances)


def test_a_file_named_by_a_bad_and_a_good_record_belongs_to_the_good_one(tmp_path):
    put_images(tmp_path, ["b.jpg"])
    images = [photo(1, "a.jpg"), photo(1, "b.jpg"), photo(2, "b.jpg")]
    dataset = read_one(tmp_path, drawn(image_id=2), images=images)
    assert [(image.file, image.problem) for image in dataset.images] == [
        ("", "bad_record"), ("a.jpg", "bad_record"), ("b.jpg", ""),
    ]  # fmt: skip
    assert only(dataset).image_key == "b"


def test_a_missing_file_is_not_replaced_and_every_record_has_its_row_in_any_order(tmp_path):
    put_images(tmp_path, ["batch_1/000028.jpg", "batch_2/000028.jpg", "batch_3/000029.jpg"])
    names = ["batch_1/000028.JPG", "batch_1/000028.jpg", "batch_3/000029.JPG", "batch_4/000028.jpg"]
    for order in permutations(enumerate(names, start=1)):
        images = [photo(*pair) for pair in order]
        dataset = read_one(tmp_path, *(drawn(i, image_id=i) for i, _ in order), images=images)
        key_of = {image.key: image.file if not image.problem else "" for image in dataset.images}
        assert {instance.id: key_of[instance.image_key] for instance in dataset.instances} == {
            "x.json#1": "", "x.json#2": "batch_1/000028.jpg", "x.json#3": "batch_3/000029.jpg", "x.json#4": "",
        }  # fmt: skip
        assert sum(image.annotated for image in dataset.images) == 4


def test_a_moved_path_in_two_annotation_files_is_one_image(tmp_path):
    put_images(tmp_path, ["photos/a.jpg"])
    for name in ("people", "cars"):
        put_json(tmp_path / f"{name}.json", document([photo(1, "/home/me/set/a.jpg")], [drawn()]))
    (image,) = read(tmp_path).images
    assert (image.file, [code for code, _ in image.notes]) == ("photos/a.jpg", ["other_folder", "listed_twice"])


def test_a_file_that_two_splits_may_mean_belongs_to_neither(tmp_path):
    put_images(tmp_path, ["photos/a.jpg"])
    for split in ("train", "val"):
        put_json(tmp_path / f"{split}.json", document([photo()], [drawn()]))
    assert [image.problem for image in read(tmp_path).images] == ["missing_file", "missing_file", ""]


def test_nothing_outside_the_source_is_found(tmp_path):
    put_images(tmp_path, ["secret.jpg", "source/a.jpg"])
    names = ["../secret.jpg", str(tmp_path / "secret.jpg"), "..\\secret.jpg"]
    put_json(tmp_path / "source/x.json", document([photo(i, name) for i, name in enumerate(names)], []))
    dataset = read(tmp_path / "source")
    missing = [image for image in dataset.images if image.annotated]
    assert [image.problem for image in missing] == ["missing_file"] * 3
    assert not any(".." in image.file or image.file.startswith("/") for image in dataset.images)


def test_a_photo_that_is_a_link_out_of_the_source_is_one_unreadable_image(tmp_path):
    put_images(tmp_path, ["outside.jpg", "source/b.jpg"])
    (tmp_path / "source/images").mkdir()
    (tmp_path / "source/images/a.jpg").symlink_to(tmp_path / "outside.jpg")
    put_json(tmp_path / "source/x.json", document([photo()], [drawn()]))
    dataset = read(tmp_path / "source")
    assert [(image.file, image.problem) for image in dataset.images] == [("b.jpg", ""), ("images/a.jpg", "unreadable")]
    assert only(dataset).image_key == "images__a"


# ---- several files in one source


def test_coco_folders_and_their_splits(tmp_path):
    put_images(tmp_path, ["train2017/1.jpg", "val2017/1.jpg"])
    for split, name in (("train", "cat"), ("val", "dog")):
        categories = [{"id": 1, "name": name}]
        put_json(
            tmp_path / f"annotations/instances_{split}2017.json", document([photo(1, "1.jpg")], [drawn()], categories)
        )
    dataset = read(tmp_path)
    assert [(image.file, image.split) for image in dataset.images] == [
        ("train2017/1.jpg", "train"), ("val2017/1.jpg", "val"),
    ]  # fmt: skip
    assert [(instance.id, instance.image_key, instance.category) for instance in dataset.instances] == [
        ("annotations/instances_train2017.json#1", "train2017__1", "cat"),
        ("annotations/instances_val2017.json#1", "val2017__1", "dog"),
    ]
    assert dataset.categories == ("cat", "dog")


def test_roboflow_folders_and_their_splits(tmp_path):
    for folder in ("test", "train", "valid"):
        put_images(tmp_path, [f"{folder}/a.jpg"])
        put_json(tmp_path / folder / "_annotations.coco.json", document([photo()], [drawn()]))
    dataset = read(tmp_path)
    assert [(image.file, image.split) for image in dataset.images] == [
        ("test/a.jpg", "test"), ("train/a.jpg", "train"), ("valid/a.jpg", "val"),
    ]  # fmt: skip
    assert [instance.image_key for instance in dataset.instances] == ["test__a", "train__a", "valid__a"]


def test_a_photo_missing_in_a_split_is_not_replaced_by_a_photo_of_another_split(tmp_path):
    put_images(tmp_path, ["valid/a.jpg"])
    for folder in ("train", "valid"):
        put_json(tmp_path / folder / "_annotations.coco.json", document([photo()], [drawn()]))
    dataset = read(tmp_path)
    assert [(image.file, image.split, image.problem) for image in dataset.images] == [
        ("a.jpg", "train", "missing_file"), ("valid/a.jpg", "val", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("folder", ["images", "images/train", "train/images", "train", "data/images", "."])
def test_photos_are_found_in_the_usual_folders(tmp_path, folder):
    put_images(tmp_path, [f"{folder}/a.jpg", "other/a.jpg"])
    put_json(tmp_path / "data/annotations/instances_train.json", document([photo()], [drawn()]))
    files = [image.file for image in read(tmp_path).images if image.annotated]
    assert files == [f"{folder}/a.jpg".removeprefix("./")]


def test_one_photo_in_two_files_is_one_image(tmp_path):
    put_images(tmp_path, ["images/a.jpg"])
    for name in ("cats", "dogs"):
        put_json(tmp_path / f"{name}.json", document([photo()], [drawn()]))
    dataset = read(tmp_path)
    assert len(dataset.images) == 1
    assert {instance.image_key for instance in dataset.instances} == {"images__a"}


def test_the_split_of_a_photo_may_be_the_split_of_its_folder(tmp_path):
    put_images(tmp_path, ["images/train/a.jpg", "images/val/b.jpg"])
    put_json(tmp_path / "all.json", document([photo(1, "train/a.jpg"), photo(2, "val/b.jpg")], []))
    assert [image.split for image in read(tmp_path).images] == ["train", "val"]


# ---- which files are COCO's


def test_captions_panoptic_and_keypoints_beside_instances_are_not_read(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "instances_train.json", document([photo()], [drawn()]))
    put_json(tmp_path / "captions_train.json", document([photo()], [{"id": 1, "image_id": 1, "caption": "a cat"}]))
    put_json(tmp_path / "panoptic_train.json", document([photo()], [{"image_id": 1, "segments_info": []}]))
    keypoints = [{"id": 1, "name": "cat", "keypoints": ["nose"]}]
    put_json(tmp_path / "person_keypoints_train.json", document([photo()], [drawn()], keypoints))
    assert [instance.id for instance in read(tmp_path).instances] == ["instances_train.json#1"]
    assert "person_keypoints_train.json: keypoints repeat the objects of the instances files" in caplog.text


def test_a_json_file_that_is_not_coco_is_not_read(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    put_json(tmp_path / "instances.json", document([photo()], [drawn()]))
    put_json(tmp_path / "defects.json", {"images": {"unreadable": 1}, "annotations": {"bad_ring": 2}})
    put_json(tmp_path / "more.json", {"images": ["a.jpg"], "defects": []})
    (tmp_path / "notes.json").write_text("{broken")
    assert list(coco.recognise(list_source(tmp_path))) == ["instances.json"]


def broken(tmp_path, name, text):
    put_images(tmp_path, ["a.jpg"])
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError) as error:
        coco.recognise(list_source(tmp_path))
    return str(error.value)


def test_broken_json_is_reported_with_line_and_remedy(tmp_path):
    assert broken(tmp_path, "mine.json", '{"images": [],\n "annotations": [,]}') == (
        "mine.json: line 2, column 18: not valid JSON (Expecting value); export it again, or remove it from the source"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "not a JSON object with the lists images, annotations and categories"),
        ('{"annotations": [], "categories": []}', "has no list 'images'"),
        ('{"images": {}, "annotations": [], "categories": []}', "has no list 'images'"),
        ('{"images": [], "categories": []}', "has no list 'annotations'"),
        ('{"images": [], "annotations": []}', "has no list 'categories'"),
        ("", "line 1, column 1: not valid JSON (Expecting value)"),
    ],
)
def test_a_file_with_coco_s_name_must_be_coco(tmp_path, text, problem):
    message = f"instances_a.json: {problem}; export it again, or remove it from the source"
    assert broken(tmp_path, "instances_a.json", text) == message


@pytest.mark.parametrize("text", [b'{"images": "\xff"}', '{"images": ' + "9" * 5000 + "}", '{"images": ' + "[" * 99999])
def test_each_kind_of_broken_json_is_a_user_error(tmp_path, text):
    assert broken(tmp_path, "x.json", text).startswith("x.json: not valid JSON (")


def test_json_may_start_with_a_byte_order_mark(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    path = put_json(tmp_path / "x.json", document([photo()], [drawn()]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read(tmp_path).instances) == 1


def test_a_photo_above_does_not_replace_a_missing_photo_of_a_folder_with_other_photos(tmp_path):
    put_images(tmp_path, ["images/a.jpg", "video1/images/b.jpg"])
    put_json(tmp_path / "x.json", document([photo(1, "a.jpg")], [drawn(1)]))
    photos = [photo(1, "a.jpg"), photo(2, "b.jpg")]
    put_json(tmp_path / "video1/x.json", document(photos, [drawn(1), drawn(2, image_id=2)]))
    dataset = read(tmp_path)
    assert {one.id: one.image_key for one in dataset.instances if one.id != "video1/x.json#1"} == {
        "x.json#1": "images__a", "video1/x.json#2": "video1__images__b",
    }  # fmt: skip
    (lost,) = [image for image in dataset.images if image.problem]
    assert (lost.problem, lost.place) == ("missing_file", "video1/x.json: images[0] (id 1)")
