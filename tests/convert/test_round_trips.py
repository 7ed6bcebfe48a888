"""Every target is read back: the same records if the target can express them, otherwise the same label maps."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from segpipe.convert import convert
from segpipe.convert.target import LOST_FLAGS, Target
from segpipe.core.errors import UserError
from segpipe.data.records import Dataset, Image, Instance, Rle
from segpipe.ingest.read import read_source
from tests.conftest import ROOT
from tests.convert.scenes import drawn
from tests.ingest.folders import put_images

SIZE_WH = (40, 30)
NAMES = ("cat", "dog", "owl")
SQUARE = (2.0, 2.0, 12.0, 2.0, 12.0, 12.0, 2.0, 12.0)
HOLE = (4.0, 4.0, 8.0, 4.0, 8.0, 8.0, 4.0, 8.0)
FAR = (20.5, 3.25, 30.0, 3.0, 25.0, 15.125)

numbers = st.floats(-5, 45, allow_nan=False, width=64)
rings = st.lists(numbers, min_size=6, max_size=14).map(lambda flat: tuple(flat[: len(flat) // 2 * 2]))
shapes = st.one_of(
    st.fixed_dictionaries({"rings": st.lists(rings, min_size=1, max_size=3).map(tuple)}),
    st.integers(1, 1199).map(lambda n: {"rle": Rle(size_hw=(30, 40), counts=(n - 1, 1, 1200 - n))}),
)


def instance(number: int, **fields) -> Instance:
    defaults = {"id": str(number), "image_key": "a", "category": "cat", "rings": (SQUARE,)}
    return Instance(**defaults | fields)


def dataset(*instances: Instance, split: str | None = None) -> Dataset:
    images = (Image(key="a", file="a.png", width=40, height=30, split=split),)
    return Dataset(format="coco", categories=NAMES, images=images, instances=instances)


def written(folder: Path, to: str, source: Dataset, copy_images: bool = True) -> tuple[Dataset, convert.Written]:
    root = put_images(folder / "source", ["a.png"], SIZE_WH)
    result = convert.WRITERS[to](source, Target(root, folder / "out", copy_images))
    return read_source(folder / "out"), result


def content(record: Instance) -> tuple:
    """The fields of an annotation without its position in the file."""
    return record.category, record.role, record.kind, record.rings, record.rle, record.area


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(shapes, st.sampled_from(NAMES), st.sampled_from(["object", "crowd"])), max_size=5))
def test_coco_keeps_every_record_and_number(drafts):
    in_pixels = ({"rings": ((0.0, 0.0, 9.0, 0.0, 9.0, 9.0),)}, "cat", "object")  # otherwise all may look like fractions
    records = [
        instance(i, **{"rings": ()} | shape, category=c, role=r, area=float(i))
        for i, (shape, c, r) in enumerate([*drafts, in_pixels])
    ]
    with TemporaryDirectory() as folder:
        back, result = written(Path(folder), "coco", dataset(*records))
    assert [content(record) for record in back.instances] == [content(record) for record in records]
    assert (back.categories, [image.file for image in back.images]) == (NAMES, ["a.png"])
    assert not +result.dropped
    assert not +result.changed


@settings(max_examples=40, deadline=None)
@given(drafts=st.lists(st.tuples(shapes, st.sampled_from(NAMES)), min_size=1, max_size=4))
@pytest.mark.parametrize("to", sorted(convert.WRITERS))
def test_every_target_draws_the_same_label_map(to, drafts):
    records = [instance(i, **{"rings": ()} | shape, category=c) for i, (shape, c) in enumerate(drafts)]
    with TemporaryDirectory() as folder:
        source = dataset(*records)
        out = Path(folder) / "out"
        root = put_images(Path(folder) / "source", ["a.png"], SIZE_WH)
        before = drawn(source, root, NAMES)
        if not before["a"].any():  # a tree of empty masks is refused as a whole
            return
        convert.WRITERS[to](source, Target(root, out, copy_images=True))
        after = drawn(read_source(out), out, NAMES)
    np.testing.assert_array_equal(after["a"], before["a"])


@pytest.mark.parametrize("to", sorted(convert.WRITERS))
def test_an_object_of_parts_and_holes_stays_one_object(tmp_path, to):
    one = instance(1, rings=(SQUARE, FAR), holes=(HOLE,))
    back, _ = written(tmp_path, to, dataset(one))
    usable = [record for record in back.instances if not record.problem]
    assert [(record.category, record.role) for record in usable] == [("cat", "object")]
    before = drawn(dataset(one), tmp_path / "source", NAMES)
    assert before["a"].sum() == 100 - 16 + int((before["a"][:, 20:] > 0).sum())
    np.testing.assert_array_equal(drawn(back, tmp_path / "out", NAMES)["a"], before["a"])


@pytest.mark.parametrize("to", sorted(convert.WRITERS))
def test_even_odd_rings_draw_the_same_label_map(tmp_path, to):
    one = instance(1, rings=(SQUARE, HOLE, FAR), even_odd=True)
    back, _ = written(tmp_path, to, dataset(one))
    before = drawn(dataset(one), tmp_path / "source", NAMES)["a"]
    assert before[:, :20].sum() == 100 - 16
    np.testing.assert_array_equal(drawn(back, tmp_path / "out", NAMES)["a"], before)


@pytest.mark.parametrize("to", ["coco", "labelme", "voc"])
def test_flags_are_written_if_the_target_has_them(tmp_path, to):
    back, result = written(
        tmp_path, to, dataset(instance(1, flags=("difficult", "truncated")), instance(2, rings=(FAR,)))
    )
    flags = {record.flags for record in back.instances if record.flags}
    assert flags == {("difficult", "truncated")}
    assert not result.changed[LOST_FLAGS]


@pytest.mark.parametrize("to", ["masks", "yolo"])
def test_lost_flags_are_counted(tmp_path, to):
    _, result = written(tmp_path, to, dataset(instance(1, flags=("occluded",)), instance(2, rings=(FAR,))))
    assert result.changed[LOST_FLAGS] == 1


@pytest.mark.parametrize("to", ["labelme", "masks", "voc"])
def test_a_region_of_an_unknown_class_becomes_an_ignored_region(tmp_path, to):
    nameless = instance(2, category="", rings=(FAR,), problem="unknown_category", detail="7 has no name")
    source = dataset(instance(1), nameless)
    back, result = written(tmp_path, to, source)
    before = drawn(source, tmp_path / "source", NAMES)["a"]
    assert (before == 255).any()
    np.testing.assert_array_equal(drawn(back, tmp_path / "out", NAMES)["a"], before)
    assert result.changed["annotation: of an unknown class, as ignored region"] == 1


@pytest.mark.parametrize("to", ["labelme", "masks", "voc"])
def test_ignored_pixels_stay_ignored(tmp_path, to):
    source = dataset(instance(1), instance(2, role="ignore", category="", rings=(FAR,)))
    back, result = written(tmp_path, to, source)
    before = drawn(source, tmp_path / "source", NAMES)
    assert (before["a"] == 255).any()
    np.testing.assert_array_equal(drawn(back, tmp_path / "out", NAMES)["a"], before["a"])
    assert result.counts["ignored region"] == 1


@pytest.mark.parametrize("to", ["coco", "yolo"])
def test_lost_ignored_regions_are_counted(tmp_path, to):
    _, result = written(tmp_path, to, dataset(instance(1), instance(2, role="ignore", category="")))
    assert [(what.split(" (")[0], count) for what, count in result.dropped.items()] == [("annotation: ignore", 1)]


def test_labelme_keeps_boxes_lines_points_and_parts(tmp_path):
    records = [
        instance(1, kind="box"),
        instance(2, kind="line", rings=((1.0, 1.0, 5.0, 9.5),)),
        instance(3, kind="point", rings=((3.0, 4.0),)),
        instance(4, rings=(SQUARE, FAR)),
        instance(5, rings=(FAR,), category="owl"),
    ]
    back, result = written(tmp_path, "labelme", dataset(*records))
    assert [content(record) for record in back.instances] == [content(record) for record in records]
    assert not +result.dropped


def test_unusable_records_are_counted_by_their_reason(tmp_path):
    bad = instance(2, problem="bad_ring", rings=(), detail="two points")
    lost = replace(instance(3), image_key="")
    _, result = written(tmp_path, "coco", dataset(instance(1), bad, lost))
    assert (result.counts, result.files) == ({"object": 1}, ["a.png"])
    assert +result.dropped == {"annotation: bad_ring": 1, "annotation: image_lost": 1}


def test_yolo_keeps_coordinates_within_a_millionth_of_a_pixel(tmp_path):
    ring = (0.1, 0.2, 39.9, 1 / 3, 17.7, 29.999)  # at 0.1 and 39.9 the last bit decides how pycocotools rounds
    back, result = written(tmp_path, "yolo", dataset(instance(1, rings=(ring,)), split="train"))
    np.testing.assert_allclose(back.instances[0].rings[0], ring, rtol=0, atol=1e-6)
    assert not +result.changed


@pytest.mark.parametrize("to", sorted(convert.WRITERS))
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_split_of_the_source_is_kept(tmp_path, to, split):
    back, _ = written(tmp_path, to, dataset(instance(1), split=split))
    assert [image.split for image in back.images] == [split]


def test_voc_has_no_boxes_of_hidden_objects(tmp_path):
    source = dataset(instance(1, rings=(HOLE,), category="dog"), instance(2, rings=(HOLE,), category="owl"))
    back, result = written(tmp_path, "voc", source)
    assert {record.category for record in back.instances} == {"owl"}
    assert result.dropped["annotation: covered"] == 1


@pytest.mark.parametrize("name", ["multi_format/cvat1.1", "labelme/semantic"])
@pytest.mark.parametrize("to", ["labelme", "masks", "voc"])
def test_real_sources_keep_their_label_maps(real_data, tmp_path, name, to):
    before = read_source(real_data / name)
    convert.convert(real_data / name, tmp_path / "out", to, copy_images=True)
    assert_equal_maps(before, real_data / name, tmp_path / "out", before.categories)


@pytest.mark.parametrize("to", sorted(convert.WRITERS))
def test_coco_mini_keeps_its_label_maps(real_data, tmp_path, to):
    root = real_data / "coco_mini"
    before = few(read_source(root), step=16)
    if to == "yolo":  # has no crowds
        before = replace(before, instances=tuple(i for i in before.instances if i.role == "object"))
    convert.WRITERS[to](before, Target(root, tmp_path / "out", copy_images=True))
    assert_equal_maps(before, root, tmp_path / "out", before.categories)


@pytest.mark.parametrize("to", ["coco", "labelme", "masks", "voc"])
def test_the_demo_with_rotated_images_and_defects_keeps_its_label_maps(tmp_path, to):
    root = ROOT / "data/demo"
    before = few(read_source(root), step=5)
    if to == "coco":  # has no ignored regions
        before = replace(before, instances=tuple(i for i in before.instances if i.problem != "unknown_category"))
    convert.WRITERS[to](before, Target(root, tmp_path / "out", copy_images=True))
    assert_equal_maps(before, root, tmp_path / "out", before.categories)


@pytest.mark.parametrize("to", ["labelme", "masks", "voc"])
def test_camvid_keeps_its_label_maps(real_data, tmp_path, to):
    root = tmp_path / "source"
    for folder in ("train", "trainannot"):
        (root / folder).mkdir(parents=True)
        for path in sorted((real_data / "camvid" / folder).iterdir())[::120]:
            shutil.copy(path, root / folder)
    (root / "classes.txt").write_bytes((real_data / "camvid/classes.txt").read_bytes())
    before = read_source(root)
    assert any(record.role == "ignore" for record in before.instances)
    convert.convert(root, tmp_path / "out", to, copy_images=True)
    assert_equal_maps(before, root, tmp_path / "out", before.categories)


def few(source: Dataset, step: int) -> Dataset:
    """Every step-th annotated image of a data set, and its annotations."""
    images = [image for image in source.images if image.annotated][::step]
    keys = {image.key for image in images}
    return replace(
        source,
        images=tuple(images),
        instances=tuple(record for record in source.instances if record.image_key in keys),
    )


def assert_equal_maps(before: Dataset, root: Path, out: Path, categories: tuple[str, ...]) -> None:
    expected, converted = drawn(before, root, categories), drawn(read_source(out), out, categories)
    assert expected
    assert sorted(expected) == sorted(converted)
    for name, label_map in expected.items():
        np.testing.assert_array_equal(converted[name], label_map, err_msg=name)


def test_masks_have_a_palette_and_copied_photos_the_same_bytes(tmp_path):
    written(tmp_path, "masks", dataset(instance(1)))
    with Picture.open(tmp_path / "out/masks/a.png") as mask:
        assert mask.mode == "P"
    assert (tmp_path / "out/images/a.png").read_bytes() == (tmp_path / "source/a.png").read_bytes()
    assert (tmp_path / "out/classes.txt").read_text() == "background\ncat\ndog\nowl\n"


def test_without_copies_labelme_refers_to_the_photos_of_the_source(tmp_path):
    root = put_images(tmp_path / "source", ["a.png"], SIZE_WH)
    convert.WRITERS["labelme"](dataset(instance(1), split="val"), Target(root, tmp_path / "out"))
    named = json.loads((tmp_path / "out/val/a.json").read_text())["imagePath"]
    assert named == "../../source/a.png"
    assert (tmp_path / "out/val" / named).is_file()


def test_photos_that_differ_only_in_the_suffix_stay_separate(tmp_path):
    root = put_images(tmp_path / "source", ["a.png", "a.jpg"], SIZE_WH)
    images = (Image(key="a-1", file="a.jpg", width=40, height=30), Image(key="a-2", file="a.png", width=40, height=30))
    both = replace(dataset(instance(1, image_key="a-1"), instance(2, image_key="a-2", category="dog")), images=images)
    for to in ("labelme", "masks", "yolo"):
        convert.WRITERS[to](both, Target(root, tmp_path / to, copy_images=True))
        back = read_source(tmp_path / to)
        file_of = {image.key: Path(image.file).name for image in back.images}
        assert {(file_of[i.image_key], i.category) for i in back.instances} == {("a-1.jpg", "cat"), ("a-2.png", "dog")}


@pytest.mark.parametrize("to", ["masks", "voc"])
def test_a_class_name_that_a_file_of_names_cannot_store_is_an_error(tmp_path, to):
    source = replace(dataset(instance(1, category="a:b")), categories=("a:b",))
    with pytest.raises(UserError, match="class 'a:b' cannot be in a file of class names"):
        written(tmp_path, to, source)


tenths = st.lists(st.integers(0, 300), min_size=6, max_size=14).map(
    lambda n: tuple(x / 10 for x in n[: len(n) // 2 * 2])
)


@settings(max_examples=100, deadline=None)
@given(ring=tenths)
def test_yolo_keeps_every_outline_inside_the_image(ring):
    """At tenths of a pixel the last bit of a number decides how pycocotools rounds."""
    with TemporaryDirectory() as folder:
        root = put_images(Path(folder) / "source", ["a.png"], SIZE_WH)
        result = convert.WRITERS["yolo"](dataset(instance(1, rings=(ring,))), Target(root, Path(folder) / "out"))
    assert not +result.changed - Counter({"image: without a split, so listed for both train and val": 1})


def test_voc_boxes_count_pixels_from_1_and_object_masks_number_the_boxes(tmp_path):
    void = instance(3, role="ignore", category="", rings=((0.0, 0.0, 3.0, 0.0, 3.0, 3.0, 0.0, 3.0),))
    written(tmp_path, "voc", dataset(instance(1), void, instance(2, rings=(HOLE,), category="dog")))
    objects = ElementTree.parse(tmp_path / "out/Annotations/a.xml").findall("object")
    assert [[item.findtext("name"), *(edge.text for edge in item.find("bndbox"))] for item in objects] == [
        ["cat", "3", "3", "12", "12"],  # pixels 2 to 11 of 0 to 39
        ["dog", "5", "5", "8", "8"],
    ]
    numbers = np.asarray(Picture.open(tmp_path / "out/SegmentationObject/a.png"))
    assert (numbers[0, 0], numbers[2, 2], numbers[5, 5], numbers[11, 11], numbers[20, 20]) == (255, 1, 2, 1, 0)
    assert (tmp_path / "out/ImageSets/Segmentation/default.txt").read_text() == "a\n"
    assert (tmp_path / "out/labelmap.txt").read_text().splitlines()[1:3] == ["background:0,0,0::", "cat:128,0,0::"]


def test_yolo_leaves_out_an_image_of_another_size(tmp_path):
    source = replace(dataset(instance(1)), images=(Image(key="a", file="a.png", width=30, height=40),))
    root = put_images(tmp_path / "source", ["a.png"], SIZE_WH)
    result = convert.WRITERS["yolo"](source, Target(root, tmp_path / "out"))
    assert result.files == []
    assert result.dropped["annotation: image_lost"] == 1


nasty = st.one_of(
    st.fixed_dictionaries({"rings": st.just(((5.0, 5.0) * 3,))}),
    st.fixed_dictionaries({"rings": st.just(((-1e9, 0.0, 1e9, 5.0, 0.0, 2e9),)), "holes": st.just((SQUARE,))}),
    st.fixed_dictionaries({"rings": st.just((SQUARE,)), "holes": st.just(((1.0, 1.0) * 3, SQUARE))}),
    st.just({"rings": (), "rle": Rle(size_hw=(30, 40), counts=(7, 7))}),
    st.just({"rings": (), "rle": Rle(size_hw=(40, 30), counts=(1200,))}),
    st.just({"rings": (), "rle": Rle(size_hw=(30, 40), counts=(1200,))}),
    st.just({"rings": (), "rle": Rle(size_hw=(30, 40), counts="no\x7f")}),
    st.just({"rings": (), "mask_file": "nothing.png", "mask_value": 3}),
    st.just({"rings": (), "mask_file": "a.png", "mask_value": 3}),
    st.just({"rings": ((1.0, 2.0, 3.0, 4.0),), "kind": "line"}),
    st.just({"rings": ((1.0, 2.0),), "kind": "point"}),
    st.just({"kind": "box"}),
    st.just({"rings": ((0.0, 5.0, 5.0, 0.0, 10.0, 5.0, 5.0, 10.0),), "kind": "box"}),
    st.just({"problem": "bad_ring", "rings": ()}),
    st.just({"role": "ignore", "category": ""}),
    st.just({"role": "crowd"}),
    st.just({"image_key": "elsewhere"}),
)


@settings(max_examples=60, deadline=None)
@given(drafts=st.lists(nasty, max_size=6))
@pytest.mark.parametrize("to", sorted(convert.WRITERS))
def test_every_annotation_is_written_or_counted_with_a_reason(to, drafts):
    source = dataset(*(instance(i, **fields) for i, fields in enumerate(drafts)))
    with TemporaryDirectory() as folder:
        root = put_images(Path(folder) / "source", ["a.png"], SIZE_WH)
        result = convert.WRITERS[to](source, Target(root, Path(folder) / "out"))
    assert result.files == ["a.png"]
    left_out = sum(count for what, count in result.dropped.items() if what.startswith("annotation: "))
    assert result.counts.total() + left_out == len(drafts)
    assert result.dropped.total() == left_out


def test_voc_has_no_object_mask_for_more_than_254_objects(tmp_path):
    pixel = [(float(i % 20), float(i // 20)) for i in range(255)]
    crowded = [instance(i, rings=((x, y, x + 1, y, x + 1, y + 1, x, y + 1),)) for i, (x, y) in enumerate(pixel)]
    back, result = written(tmp_path, "voc", dataset(*crowded))
    assert result.changed["image: more than 254 objects, so without SegmentationObject"] == 1
    assert not (tmp_path / "out/SegmentationObject").exists()
    assert drawn(back, tmp_path / "out", NAMES)["a"].sum() == 255
