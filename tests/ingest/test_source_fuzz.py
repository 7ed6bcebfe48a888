"""Damage to any file of a source, in each format: the result is a data set or a UserError of one line."""

import copy
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.core.errors import UserError
from segpipe.data import tables
from segpipe.data.records import Dataset
from segpipe.ingest.read import read_source
from segpipe.ingest.source import list_source
from tests.ingest.folders import TRIANGLE, coco, photo, put_images, put_json, put_mask
from tests.ingest.formats import test_labelme_xml
from tests.ingest.formats.test_coco_fuzz import anything, spots

SQUARE = [[1, 1], [5, 1], [5, 4], [1, 4]]
STRANGE = (
    *("", "0", "-1", "nan", "inf", "1e309", "9" * 30, "1.5", "null", "true", "[]", "{}", '"', "<", "&", ",", ":", ";"),
    *("a.jpg", "../a.jpg", "/", "C:\\a.jpg", "é", "\x00", "\ud800", "x" * 300, "255", "256", "16777216", " "),
)


def put_text(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


def put_cvat(root: Path) -> None:
    put_images(root, ["images/a.jpg", "images/frame_000001.png"])
    shapes = (
        '<polygon label="cat" points="1,1;5,1;5,4" z_order="2"><attribute name="age">old</attribute></polygon>'
        '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="4" rotation="30"/><tag label="cat"/>'
        '<ellipse label="cat" cx="3" cy="3" rx="2" ry="1"/><points label="cat" points="1,1;2,2"/>'
        '<mask label="cat" rle="1, 3, 2" left="2" top="1" width="3" height="2"/>'
    )
    put_text(
        root,
        "annotations.xml",
        "<annotations><meta><task><subset>Train</subset><labels><label><name>cat</name></label></labels></task></meta>"
        f'<image id="0" name="a.jpg" width="8" height="6">{shapes}</image></annotations>',
    )
    put_text(
        root,
        "video/annotations.xml",
        "<annotations><meta><task><start_frame>0</start_frame><stop_frame>3</stop_frame><original_size><width>8</width>"
        '<height>6</height></original_size></task></meta><track id="0" label="cat"><box frame="1" outside="0" '
        'xtl="1" ytl="1" xbr="5" ybr="4"/><box frame="2" outside="1" xtl="1" ytl="1" xbr="5" ybr="4"/></track>'
        "</annotations>",
    )


def put_voc(root: Path) -> None:
    put_images(root, ["JPEGImages/a.jpg", "JPEGImages/b.jpg"])
    put_text(
        root,
        "Annotations/a.xml",
        "<annotation><filename>a.jpg</filename><size><width>8</width><height>6</height></size><object><name>cat</name>"
        "<difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>4</ymax></bndbox>"
        "<polygon><x1>1</x1><y1>1</y1><x2>5</x2><y2>1</y2><x3>5</x3><y3>4</y3></polygon></object></annotation>",
    )
    rows = [[0] * 8, [0, 1, 1, 2, 2, 255, 0, 0]] + [[0] * 8] * 4
    put_mask(root / "SegmentationClass/b.png", rows, "P")
    put_mask(root / "SegmentationObject/b.png", [[0] * 8, [0, 1, 1, 2, 3, 255, 0, 0]] + [[0] * 8] * 4, "P")
    put_text(
        root, "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\ndog:0,128,0::\n"
    )
    put_text(root, "ImageSets/Segmentation/train.txt", "b\n")
    put_text(root, "ImageSets/Main/val.txt", "a 1\n")


def put_yolo(root: Path) -> None:
    put_images(root, ["train/images/a.jpg", "train/images/b.jpg"])
    put_text(root, "train/labels/a.txt", "0 0.1 0.1 0.9 0.1 0.9 0.9\n1 0.5 0.5 0.5 0.5\n")
    put_text(root, "train/labels/b.txt", "1 0.5 0.5 0.5 0.5 0.7\n\n")
    put_text(root, "data.yaml", "train: ../train/images\nval: [valid/images]\nnames:\n  0: cat\n  1: dog\n")
    put_text(root, "list.txt", "data/train/images/a.jpg\n")


def put_cityscapes(root: Path) -> None:
    put_images(root, [f"leftImg8bit/train/x/x_{n}_leftImg8bit.png" for n in "12"])
    objects = [{"label": label, "polygon": SQUARE} for label in ("road", "cargroup", "ego vehicle", "license plate")]
    document = {"imgHeight": 6, "imgWidth": 8, "objects": objects}
    put_json(root / "gtFine/train/x/x_1_gtFine_polygons.json", document)
    put_mask(root / "gtFine/train/x/x_2_gtFine_instanceIds.png", [[7, 26, 26001, 9, 40000, 0, 0, 0]] * 6, "I;16")


def put_panoptic(root: Path) -> None:
    put_images(root, ["val/a.jpg", "panoptic_val/a.png"])
    colour = 120 + 90 * 256 + 60 * 65536  # of put_images
    segments = [{"id": colour, "category_id": 1, "iscrowd": 0}, {"id": 5, "category_id": 90, "iscrowd": 1}]
    record = {"image_id": 1, "file_name": "a.png", "segments_info": segments}
    put_json(root / "panoptic_val.json", {**coco([photo()], []), "annotations": [record]})


def put_results(root: Path) -> None:
    put_images(root, ["a.jpg"])
    put_json(root / "image_info.json", coco([photo()], []))
    put_json(root / "segm.json", [{"image_id": 1, "category_id": 1, "segmentation": [TRIANGLE], "score": 0.5}])


def put_object_masks(root: Path) -> None:
    put_images(root, ["images/a.jpg"])
    for name in ("a_0", "a_cat_1", "b_1"):
        put_mask(root / f"masks/{name}.png", [[0, 255, 127, 200, 0, 0, 0, 0]] * 6)


def put_coloured(root: Path) -> None:
    put_images(root, ["images/a.jpg", "images/b.jpg"])
    put_images(root, ["masks/a.png"])  # of one colour: 120, 90, 60
    put_mask(root / "masks/b.png", [[0, 1, 2, 255, 0, 0, 0, 0]] * 6, "P")
    put_text(root, "class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncat,120,90,60\nvoid,255,255,255\n")
    put_text(
        root, "classes.json", json.dumps([{"name": "cat", "color": [120, 90, 60]}, {"title": "x", "color": "#ff0000"}])
    )


def put_labelme_xml(root: Path) -> None:
    put_images(root, ["a.jpg", "Masks/a_mask_0.png"])
    masked = "<segm><mask>a_mask_0.png</mask></segm>"
    put_text(root, "a.xml", test_labelme_xml.text(test_labelme_xml.thing(), test_labelme_xml.thing(masked)))


FORMATS: dict[str, Callable[[Path], None]] = {
    "cvat": put_cvat,
    "labelme_xml": put_labelme_xml,
    "voc": put_voc,
    "yolo": put_yolo,
    "cityscapes": put_cityscapes,
    "coco_panoptic": put_panoptic,
    "coco_results": put_results,
    "object_masks": put_object_masks,
    "index_masks": put_coloured,
}


# by format: the number of images and of instances
COUNTS = {
    "cvat": (4, 8),  # a.jpg, two frames of the track, a photo without a record; six shapes, and two of the track
    "labelme_xml": (1, 2),
    "voc": (2, 5),  # a box; the objects 1, 2 and 3, and void
    "yolo": (2, 3),
    "cityscapes": (2, 11),  # four polygons and the pixels outside them; the values 0, 7, 9, 26, 26001 and 40000
    "coco_panoptic": (1, 2),
    "coco_results": (1, 1),
    "object_masks": (2, 3),  # a.jpg, and the missing photo of b_1.png
    "index_masks": (2, 4),  # one colour; the values 1, 2 and 255
}
MASK_FOLDERS = ("gtFine", "Masks", "masks", "panoptic_val", "SegmentationClass", "SegmentationObject")


def elements(root: Path, *paths: str) -> int:
    """The number of XML elements at `paths` in all XML files that can be parsed."""
    total = 0
    for file in root.rglob("*.xml"):
        try:
            document = ElementTree.fromstring(file.read_bytes())
        except (ElementTree.ParseError, ValueError, LookupError):
            continue
        total += sum(len(document.findall(path)) for path in paths)
    return total


def yolo_lines(root: Path) -> int:
    total = 0
    for file in root.glob("train/labels/*.txt"):
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            continue
        total += sum(bool(line.strip()) for line in lines)
    return total


# by format: the number of annotations in the files that can be parsed
ENTRIES: dict[str, Callable[[Path], int]] = {
    "cvat": lambda root: elements(root, "image/*", "track/*"),
    "labelme_xml": lambda root: elements(root, ".//object"),
    "yolo": yolo_lines,
    "coco_results": lambda root: len(json.loads((root / "segm.json").read_bytes())),
}


def assert_totals_agree(dataset: Dataset, root: Path, format: str) -> None:
    """Every photo of the source has one image, and every annotation that can be parsed is one instance."""
    count = Counter(image.file for image in dataset.images)
    photos = [file for file in list_source(root).image_files if not file.startswith(MASK_FOLDERS)]
    assert {file: count[file] for file in photos} == dict.fromkeys(photos, 1)
    if format in ENTRIES:
        assert len(dataset.instances) == ENTRIES[format](root)


def assert_valid(dataset: Dataset, root: Path) -> None:
    """Ids and keys are unique, each file has one image, each instance has a shape or a problem, texts fit in UTF-8."""
    assert len({instance.id for instance in dataset.instances}) == len(dataset.instances)
    assert len({image.key.casefold() for image in dataset.images}) == len(dataset.images)
    files = [image.file for image in dataset.images if image.file]
    assert len(set(files)) == len(files)
    assert all((root / i.file).is_file() for i in dataset.images if i.file and not i.problem)
    keys = {image.key for image in dataset.images}
    for instance in dataset.instances:
        assert instance.image_key in keys or (instance.problem and not instance.image_key)
        named = instance.category in dataset.categories or (not instance.category and instance.role == "ignore")
        assert instance.problem or named, instance
        assert instance.problem or bool(instance.rings) + bool(instance.rle) + (instance.mask_value is not None) == 1
    texts = [(i.file, i.place, i.detail) for i in dataset.images] + [
        (i.id, i.place, i.detail) for i in dataset.instances
    ]
    assert "".join(map("".join, texts)).encode()
    tables.write_dataset(root / "tables", dataset)
    assert tables.read_dataset(root / "tables").instances == dataset.instances


def read(root: Path, format: str) -> Dataset | None:
    try:
        return read_source(root, format)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize("format", FORMATS)
def test_everything_in_an_undamaged_source_is_read(tmp_path, format):
    FORMATS[format](tmp_path)
    dataset = read_source(tmp_path, format)
    assert (len(dataset.images), len(dataset.instances)) == COUNTS[format]
    assert_totals_agree(dataset, tmp_path, format)
    assert_valid(dataset, tmp_path)


def with_other_value(data: bytes, share: float, action: str, value: Any) -> bytes:
    """The JSON document with one value replaced, removed, repeated or nested in a thousand lists."""
    try:
        document = json.loads(data)
        *path, key = spots(document)[int(share * len(spots(document)))]
    except (ValueError, IndexError, RecursionError):  # damaged before
        return data
    holder = document
    for step in path:
        holder = holder[step]
    if action == "nest":
        marked = json.dumps(document).replace(json.dumps(holder[key]), "[" * 990 + "]" * 990, 1)
        return marked.encode()
    if action == "replace":
        holder[key] = value
    elif action == "repeat" and isinstance(holder, list):
        holder.append(holder[key])
    else:
        del holder[key]
    return json.dumps(document).encode()


def with_other_element(data: bytes, share: float, action: str, word: str) -> bytes:
    """The XML document with one element or attribute replaced, removed, repeated or nested in itself."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError):
        return data
    pairs = [(parent, child) for parent in root.iter() for child in parent]
    if not pairs:
        return data
    parent, child = pairs[int(share * len(pairs))]
    if action == "replace" and child.attrib:
        child.set(sorted(child.attrib)[int(share * 97) % len(child.attrib)], word)
    elif action == "replace":
        child.text = word
    elif action == "repeat":
        parent.append(child)
    elif action == "remove":
        parent.remove(child)
    else:
        child.extend(copy.deepcopy(list(root)))
    return ElementTree.tostring(root)


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """One change to the content of a file: a value or a word is replaced, removed or repeated, or bytes are changed.

    A value is a value of JSON, or an element or attribute of XML.
    """
    kind = draw(st.sampled_from(["value", "value", "value", "word", "word", "bytes", "cut", "empty"]))
    share = draw(st.floats(0, 1, exclude_max=True))
    word = draw(st.sampled_from(STRANGE)).encode("utf-8", "surrogatepass")
    inserted = draw(st.binary(max_size=4))
    action = draw(st.sampled_from(["replace", "replace", "remove", "repeat", "nest"]))
    value = draw(anything)

    def changed(data: bytes) -> bytes:
        if kind == "value" and data.startswith((b"{", b"[")):
            return with_other_value(data, share, action, value)
        if kind == "value" and data.startswith(b"<"):
            return with_other_element(data, share, action, word.decode("utf-8", "replace"))
        words = list(re.finditer(rb"[\w.#\-]+", data))
        if kind == "word" and words:
            match = words[int(share * len(words))]
            return data[: match.start()] + word + data[match.end() :]
        position = int(share * len(data))
        if kind == "cut":
            return data[:position]
        return b"" if kind == "empty" else data[:position] + inserted + data[position + len(inserted) :]

    return changed


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), damage()), min_size=1, max_size=3))
def test_a_damaged_source_gives_a_data_set_or_a_user_error(format, changes):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        FORMATS[format](root)
        files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".jpg")
        for number, change in changes:
            path = files[number % len(files)]
            path.write_bytes(change(path.read_bytes()))
        dataset = read(root, format)
        if dataset is not None:
            assert_totals_agree(dataset, root, format)
            assert_valid(dataset, root)
