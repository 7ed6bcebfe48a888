import pytest
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.ingest.formats import yolo
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images

TRIANGLE = "0 0.125 0.5 0.625 0.5 0.625 1.0\n"  # of 8 x 6 pixels: (1, 3) (5, 3) (5, 6)


def put(root, file, text):
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)
    return root


def read(root):
    source = list_source(root)
    return yolo.read(source, yolo.recognise(source))


def one(root, line, names="names: [cat, dog]\n"):
    put_images(root, ["images/a.jpg"])
    put(put(root, "labels/a.txt", TRIANGLE + line), "data.yaml", names)
    return read(root).instances[1]


def test_a_polygon_is_in_fractions_of_the_image(tmp_path):
    put_images(tmp_path, ["images/a.jpg"])
    dataset = read(put(put(tmp_path, "labels/a.txt", TRIANGLE), "data.yaml", "names:\n  0: cat\n  7: dog\n"))
    (instance,) = dataset.instances
    assert dataset.categories == ("cat", "dog")
    assert (instance.id, instance.place) == ("labels/a.txt#1", "labels/a.txt: line 1")
    assert (instance.category, instance.kind, instance.rings) == ("cat", "region", ((1.0, 3.0, 5.0, 3.0, 5.0, 6.0),))
    (image,) = dataset.images
    assert (image.file, image.annotated, image.place) == ("images/a.jpg", True, "labels/a.txt")


def test_a_box_is_its_centre_and_size(tmp_path):
    instance = one(tmp_path, "1 0.5 0.5 0.25 0.5")
    assert (instance.category, instance.kind, instance.rings) == (
        "dog",
        "box",
        ((3.0, 1.5, 5.0, 1.5, 5.0, 4.5, 3.0, 4.5),),
    )


def test_a_confidence_behind_a_box_is_in_the_detail(tmp_path):
    instance = one(tmp_path, "1 0.5 0.5 0.25 0.5 0.9")
    assert (instance.kind, instance.detail) == ("box", "the numbers behind its box are not used")


def test_keypoints_behind_a_box_are_not_read_as_a_polygon(tmp_path):
    instance = one(tmp_path, "1 0.5 0.5 0.25 0.5 0.1 0.1 2 0.2 0.2 2", "kpt_shape: [2, 3]\nnames: [cat, dog]\n")
    assert (instance.kind, len(instance.rings[0])) == ("box", 8)


def test_the_photo_is_oriented_as_a_viewer_shows_it(tmp_path):
    put_images(tmp_path, ["images/a.jpg"])
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter: 8 x 6 stored is 6 x 8 seen
    Image.new("RGB", (8, 6)).save(tmp_path / "images/a.jpg", exif=exif)
    (instance,) = read(put(tmp_path, "labels/a.txt", "0 0.5 0.5 1 1")).instances
    assert instance.rings == ((0.0, 0.0, 6.0, 0.0, 6.0, 8.0, 0.0, 8.0),)


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        ("0 0.1 0.1 0.2", "bad_ring", "3 numbers behind the class are neither a box (4) nor a polygon (an even count"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "bad_ring", "7 numbers behind the class are neither a box"),
        ("0 0.1 0.1 0.2 x", "bad_ring", "'x' is not a number; correct the line or delete it"),
        ("0 0.1 0.1 0.2 nan", "bad_ring", "'nan' is not a number; correct the line or delete it"),
        ("0 120 80 40 40", "bad_ring", "100 is not a fraction of the image; YOLO's numbers are between 0 and 1"),
        ("cat 0.1 0.1 0.2 0.2", "bad_record", "'cat' is not a class number; correct the line or delete it"),
        ("-1 0.1 0.1 0.2 0.2", "bad_record", "'-1' is not a class number; correct the line or delete it"),
        ("2 0.1 0.1 0.2 0.2", "unknown_category", "data.yaml has no name for the class 2; add it there"),
    ],
)
def test_a_line_that_cannot_be_used_is_an_instance_with_a_problem(tmp_path, line, reason, detail):
    instance = one(tmp_path, line)
    assert (instance.id, instance.problem, instance.detail[: len(detail)]) == ("labels/a.txt#2", reason, detail)


def test_blank_lines_count_only_in_line_numbers(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    assert [i.id for i in read(put(tmp_path, "a.txt", f"\n{TRIANGLE}\n{TRIANGLE}")).instances] == ["a.txt#2", "a.txt#4"]


def test_classes_without_names_are_named_after_their_numbers(tmp_path):
    put_images(tmp_path, ["a.jpg"])
    dataset = read(put(tmp_path, "a.txt", "".join(TRIANGLE.replace("0 ", f"{n} ", 1) for n in (10, 2))))
    assert dataset.categories == ("class_2", "class_10")


def test_the_names_nearest_to_the_labels_are_used(tmp_path):
    put_images(tmp_path, ["x/images/a.jpg", "y/images/a.jpg"])
    for folder, names in (("x", "[cat]"), ("y", "[dog]")):
        put(tmp_path, f"{folder}/data.yaml", f"names: {names}\n")
        put(tmp_path, f"{folder}/labels/a.txt", TRIANGLE)
    assert [i.category for i in read(tmp_path).instances] == ["cat", "dog"]


def test_data_yaml_names_the_splits_and_a_photo_without_labels_is_background(tmp_path):
    put_images(tmp_path, ["train/images/a.jpg", "valid/images/b.jpg", "more/c.jpg"])
    put(tmp_path, "data.yaml", "train: ../train/images\nval: ../valid/images\nnames: ['no', cat]\n")
    put(tmp_path, "train/labels/a.txt", TRIANGLE)
    dataset = read(tmp_path)
    assert dataset.categories == ("no", "cat")
    assert [(i.file, i.split, i.annotated) for i in dataset.images] == [
        ("more/c.jpg", None, False), ("train/images/a.jpg", "train", True), ("valid/images/b.jpg", "val", True),
    ]  # fmt: skip


def test_lists_of_photos_name_splits_and_missing_photos(tmp_path):
    put_images(tmp_path, ["obj_train_data/a.jpg", "obj_train_data/b.jpg"])
    put(tmp_path, "obj_train_data/a.txt", TRIANGLE)
    put(tmp_path, "obj.names", "cat\n")
    put(tmp_path, "train.txt", "data/obj_train_data/a.jpg\n")
    put(tmp_path, "valid.txt", "data/obj_train_data/b.jpg\n/home/me/c.jpg\n")
    dataset = read(tmp_path)
    assert [(i.file, i.split, i.annotated, i.problem, i.place) for i in dataset.images] == [
        ("", "val", True, "missing_file", "valid.txt: line 2"),
        ("obj_train_data/a.jpg", "train", True, "", "obj_train_data/a.txt"),
        ("obj_train_data/b.jpg", "val", True, "", "valid.txt: line 1"),
    ]


def test_a_line_never_means_a_photo_of_another_folder_or_of_another_line(tmp_path):
    put_images(tmp_path, ["set/x.jpg", "set/y.jpg", "set/video3/z.jpg"])
    put(tmp_path, "set/y.txt", TRIANGLE)
    put(tmp_path, "set/train.txt", "video1/x.jpg\nvideo2/x.jpg\ndata/y.jpg\nvideo1/z.jpg\n")
    put(tmp_path, "set/all.txt", "data/y.jpg\n")
    dataset = read(tmp_path)
    assert [(i.file, i.annotated, i.place) for i in dataset.images] == [
        ("", True, "set/train.txt: line 1"), ("", True, "set/train.txt: line 2"), ("", True, "set/train.txt: line 4"),
        ("set/video3/z.jpg", False, ""), ("set/x.jpg", False, ""), ("set/y.jpg", True, "set/y.txt"),
    ]  # fmt: skip
    assert [image.problem for image in dataset.images[:3]] == ["missing_file"] * 3


def test_labels_without_a_photo_and_labels_that_are_not_text(tmp_path):
    put_images(tmp_path, ["images/a.jpg", "images/b.jpg"])
    for stem in "ac":
        put(tmp_path, f"labels/{stem}.txt", TRIANGLE)
    (tmp_path / "labels/b.txt").write_bytes(b"0 0.1 \xff")
    dataset = read(tmp_path)
    assert [(i.file, i.problem) for i in dataset.images] == [
        ("", "missing_file"), ("images/a.jpg", ""), ("images/b.jpg", "bad_record"),
    ]  # fmt: skip
    assert [(i.id, i.problem) for i in dataset.instances] == [("labels/a.txt#1", ""), ("labels/c.txt#1", "image_lost")]


def test_the_lines_of_an_unreadable_photo_are_lost(tmp_path):
    put_images(tmp_path, ["images/a.jpg", "images/b.jpg"])
    put(put(tmp_path, "labels/a.txt", TRIANGLE), "labels/b.txt", TRIANGLE)
    (tmp_path / "images/b.jpg").write_bytes(b"not an image")
    assert [i.problem for i in read(tmp_path).instances] == ["", "image_lost"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.txt", "a cat on a mat\n"),  # a caption
        ("a.txt", "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12\n"),  # KITTI
        ("a.txt", ""),
        ("train.txt", "a.jpg\n"),
        ("b.txt", TRIANGLE),
    ],
)
def test_other_text_files_are_not_recognised(tmp_path, file, text):
    put_images(tmp_path, ["a.jpg"])
    assert yolo.recognise(list_source(put(tmp_path, file, text))) == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("names: [", "not valid YAML ("),
        ("names: 7\n", "names has no name; add the names of the classes"),
        ("names: {a: cat}\n", "names is neither a list of names nor names by number; correct it"),
        ("names: [[cat]]\n", "names is neither a list of names nor names by number; correct it"),
    ],
)
def test_a_broken_file_of_names_is_a_user_error(tmp_path, text, problem):
    put_images(tmp_path, ["a.jpg"])
    put(put(tmp_path, "a.txt", TRIANGLE), "data.yaml", text)
    with pytest.raises(UserError) as error:
        read(tmp_path)
    assert str(error.value).startswith(f"data.yaml: {problem}")
