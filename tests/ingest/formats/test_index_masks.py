from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from segpipe.core.errors import UserError
from segpipe.ingest import mask_layouts
from segpipe.ingest.formats import index_masks
from segpipe.ingest.source import list_source
from tests.ingest.folders import put_images, put_mask


def read(root, values=None, mapper=map):
    source = list_source(root)
    return index_masks.read(source, mask_layouts.recognise(source), values or {}, mapper)


def put_pair(root, name="a", rows=((0, 0, 1), (2, 255, 1)), mode="L"):
    put_images(root, [f"images/{name}.jpg"], (3, 2))
    put_mask(root / f"masks/{name}.png", rows, mode)
    return root


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_each_value_is_an_instance_with_its_pixels(tmp_path, mode):
    dataset = read(put_pair(tmp_path, mode=mode))
    assert dataset.format == "index_masks"
    assert dataset.categories == ("class_1", "class_2")
    assert [(i.id, i.category, i.role, i.mask_value, i.area) for i in dataset.instances] == [
        ("masks/a.png#1", "class_1", "object", 1, 2.0),
        ("masks/a.png#2", "class_2", "object", 2, 1.0),
        ("masks/a.png#255", "", "ignore", 255, 1.0),
    ]
    assert {(i.image_key, i.mask_file, i.problem) for i in dataset.instances} == {("images__a", "masks/a.png", "")}


def test_the_size_of_the_mask_is_the_declared_size_of_the_photo(tmp_path):
    (image,) = read(put_pair(tmp_path)).images
    assert (image.file, image.width, image.height) == ("images/a.jpg", 3, 2)
    assert (image.annotated, image.place, image.problem) == (True, "masks/a.png", "")


def test_a_names_file_beside_the_folder_of_photos_names_the_values(tmp_path):
    put_pair(tmp_path / "set", rows=[[0, 1], [2, 3]])
    (tmp_path / "set/classes.txt").write_text("sky\nroad\nunlabelled\n")
    dataset = read(tmp_path)
    assert dataset.categories == ("sky", "road")
    assert [(i.mask_value, i.category, i.role, i.problem) for i in dataset.instances] == [
        (0, "sky", "object", ""),
        (1, "road", "object", ""),
        (2, "", "ignore", ""),
        (3, "", "object", "unknown_category"),
    ]
    assert dataset.instances[3].detail == "set/classes.txt does not name the value 3; add it there"


def test_values_may_join_classes_ignore_or_be_unknown(tmp_path):
    dataset = read(put_pair(tmp_path, rows=[[0, 1, 2], [3, 4, 5]]), {1: "cat", 2: "cat", 3: "ignore", 4: "background"})
    assert dataset.categories == ("cat",)
    assert [(i.mask_value, i.category, i.role, i.problem) for i in dataset.instances] == [
        (1, "cat", "object", ""),
        (2, "cat", "object", ""),
        (3, "", "ignore", ""),
        (5, "", "object", "unknown_category"),
    ]


def test_a_mask_that_cannot_be_read_is_an_instance_and_its_photo_stays(tmp_path):
    put_pair(tmp_path, "a")
    put_pair(tmp_path, "b")
    (tmp_path / "masks/b.png").write_bytes(b"broken")
    dataset = read(tmp_path)
    broken = dataset.instances[-1]
    assert (broken.id, broken.image_key, broken.problem) == ("masks/b.png", "images__b", "bad_record")
    assert broken.detail == "cannot be decoded (UnidentifiedImageError); export the mask again"
    assert [(image.file, image.annotated, image.width) for image in dataset.images] == [
        ("images/a.jpg", True, 3), ("images/b.jpg", True, None),
    ]  # fmt: skip


def test_photos_without_masks_and_masks_without_photos_are_kept(tmp_path):
    put_pair(tmp_path)
    put_images(tmp_path, ["images/bare.jpg", "elsewhere.jpg"])
    put_mask(tmp_path / "masks/lone.png", [[1]])
    dataset = read(tmp_path)
    assert [(image.file, image.annotated, image.problem) for image in dataset.images] == [
        ("", True, "missing_file"), ("elsewhere.jpg", False, ""), ("images/a.jpg", True, ""),
        ("images/bare.jpg", False, ""),
    ]  # fmt: skip
    assert dataset.images[0].detail == "no photo has its name; add the photo or remove the mask"
    assert dataset.instances[-1].id == "masks/lone.png#1"
    assert dataset.instances[-1].image_key == dataset.images[0].key


def test_an_empty_mask_is_an_annotated_image_without_instances(tmp_path):
    put_pair(tmp_path, "a")
    put_pair(tmp_path, "b", rows=[[0, 0]])
    dataset = read(tmp_path)
    assert [image.annotated for image in dataset.images] == [True, True]
    assert {instance.image_key for instance in dataset.instances} == {"images__a"}


def test_masks_with_only_0_and_255_need_mask_values(tmp_path):
    with pytest.raises(UserError) as error:
        read(put_pair(tmp_path, rows=[[0, 255]]))
    assert str(error.value) == (
        "the masks contain only 0, 255, which the default reads as background or ignore; "
        "name the classes under ingest.mask_values, for example {255: object}"
    )
    assert read(tmp_path, {255: "object"}).categories == ("object",)


def test_a_source_whose_masks_are_all_unreadable_is_a_user_error(tmp_path):
    put_pair(tmp_path)
    put_images(tmp_path, ["masks/a.png"])  # colours
    with pytest.raises(
        UserError, match=r"none of the 1 masks can be read; the first, masks/a\.png: it contains colours"
    ):
        read(tmp_path)


def test_masks_may_be_surveyed_in_parallel(tmp_path):
    for name in "abc":
        put_pair(tmp_path, name)
    with ThreadPoolExecutor(2) as pool:
        assert read(tmp_path, mapper=pool.map) == read(tmp_path)


def put_coloured(root, rows):
    put_images(root, ["images/a.jpg"], (len(rows[0]), len(rows)))
    (root / "masks").mkdir(exist_ok=True)
    Image.fromarray(np.array(rows, np.uint8)).save(root / "masks/a.png")
    return root


def test_a_declared_colour_is_a_class_and_another_has_a_problem(tmp_path):
    rows = [[(0, 0, 0), (128, 0, 0), (128, 0, 0), (0, 128, 0), (1, 2, 3)]]
    (put_coloured(tmp_path, rows) / "labelmap.txt").write_text("background:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n")
    dataset = read(tmp_path)
    assert dataset.categories == ("cat", "dog")
    assert [(i.category, i.mask_value, i.area, i.problem) for i in dataset.instances] == [
        ("cat", 128, 2.0, ""), ("dog", 128 * 256, 1.0, ""), ("", 1 + 2 * 256 + 3 * 65536, 1.0, "unknown_category"),
    ]  # fmt: skip
    assert dataset.instances[-1].detail == "labelmap.txt does not name the colour 1,2,3; add it there"


def test_params_may_declare_colours(tmp_path):
    put_coloured(tmp_path, [[(0, 0, 0), (128, 0, 0), (9, 9, 9)]])
    source = list_source(tmp_path)
    colours = {(128, 0, 0): "cat", (9, 9, 9): "ignore"}
    dataset = index_masks.read(source, mask_layouts.recognise(source), colours=colours)
    assert [(i.category, i.role) for i in dataset.instances] == [("cat", "object"), ("", "ignore")]


def test_grey_rgb_values_are_numbers(tmp_path):
    dataset = read(put_coloured(tmp_path, [[(0, 0, 0), (1, 1, 1), (255, 255, 255)]]))
    assert [(i.category, i.role, i.mask_value) for i in dataset.instances] == [
        ("class_1", "object", 0x010101), ("", "ignore", 0xFFFFFF),
    ]  # fmt: skip


def test_a_palette_mask_has_the_classes_of_its_colours_in_the_label_map(tmp_path):
    # put_mask gives index i the colour (255 - i, i, 0); the file has another order
    (put_pair(tmp_path, rows=[[0, 1, 2]], mode="P") / "labelmap.txt").write_text(
        "dog:253,2,0::\ncat:254,1,0::\nbackground:255,0,0::\n"
    )
    assert [(i.category, i.mask_value) for i in read(tmp_path).instances] == [("cat", 1), ("dog", 2)]


def test_the_colours_of_a_photo_are_refused(tmp_path):
    rows = [[(column, row, 7) for column in range(20)] for row in range(20)]
    (put_coloured(tmp_path, rows) / "labelmap.txt").write_text("cat:128,0,0::\n")
    with pytest.raises(UserError, match="it has 400 colours, like a photo or a mask with blended edges"):
        read(tmp_path)


def test_masks_of_16_bits_have_more_than_256_values(tmp_path):
    put_pair(tmp_path, rows=[[0, 300, 65535]], mode="I;16")
    dataset = read(tmp_path, {300: "cat", 65535: "ignore"})
    assert [(i.category, i.role, i.mask_value) for i in dataset.instances] == [
        ("cat", "object", 300), ("", "ignore", 65535),
    ]  # fmt: skip
