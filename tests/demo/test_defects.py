"""The committed demo folder: its manifest compared with its files, read without the pipeline."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from shapely.geometry import Polygon

from segpipe.__main__ import main
from segpipe.masks import rle

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"
SELECTED = {1, 3, 7, 12, 90}  # coin, brick, star, ring, leaf; 91 is pebble


class Reading:
    """The contents of the folder, in plain lists."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest = json.loads((root / "defects.json").read_text(encoding="utf-8"))
        document = json.loads((root / "annotations/instances.json").read_text(encoding="utf-8"))
        self.images = {image["id"]: image for image in document["images"]}
        self.annotations = document["annotations"]
        self.categories = {category["id"] for category in document["categories"]}
        self.on_disk = {path.relative_to(root / "images").as_posix() for path in (root / "images").rglob("*.*")}

    def path(self, image: dict) -> Path:
        return self.root / "images" / image["file_name"]

    def of(self, image: dict) -> list[dict]:
        return [record for record in self.annotations if record.get("image_id") == image["id"]]

    def usable(self) -> list[dict]:
        """Annotations without a defect on images without a defect."""
        lost = {image["id"] for image in self.images.values() if image_defect(self, image)}
        return [r for r in self.annotations if not record_defect(self, r) and r["image_id"] not in lost]


def image_defect(demo: Reading, image: dict) -> str:
    path = demo.path(image)
    if not path.exists():
        return "missing_file"
    if path.suffix in (".svg", ".heic"):
        return "unsupported_format"
    try:
        with Image.open(path) as photo:
            photo.load()
            sizes = {photo.size, photo.size[::-1] if photo.getexif().get(0x0112, 1) >= 5 else photo.size}
    except OSError:
        return "unreadable"
    if (image["width"], image["height"]) not in sizes:
        return "size_mismatch"
    return "" if any(record["category_id"] in SELECTED for record in demo.of(image)) else "no_matching_annotation"


def record_defect(demo: Reading, record: dict) -> str:
    complete = {"image_id", "category_id", "segmentation"} <= record.keys()
    if not complete or isinstance(record["segmentation"], str) or isinstance(record["category_id"], list):
        return "bad_record"
    if record["image_id"] not in demo.images:
        return "unknown_image"
    if record["category_id"] not in demo.categories:
        return "unknown_category"
    if record["category_id"] not in SELECTED:
        return "class_not_selected"
    if image_defect(demo, demo.images[record["image_id"]]):
        return "image_lost"
    image = demo.images[record["image_id"]]
    return shape_defect(record, image["height"], image["width"])


def shape_defect(record: dict, height: int, width: int) -> str:
    shape = record["segmentation"]
    if isinstance(shape, dict):
        counts = shape["counts"] if isinstance(shape["counts"], list) else rle.decode_counts(shape["counts"].encode())
        return "bad_rle" if sum(counts) != height * width else "crowd" if record["iscrowd"] else ""
    valid = [ring for ring in shape if len(ring) >= 6 and len(ring) % 2 == 0]
    if not valid:
        return "bad_ring"
    points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in valid])
    low, high = points.min(axis=0), points.max(axis=0)
    if (high <= 0).any() or (low >= (width, height)).any():
        return "outside_frame"
    if not coco_mask.area(coco_mask.merge(coco_mask.frPyObjects(valid, height, width))):
        return "zero_area"
    if not all(Polygon(np.reshape(ring, (-1, 2))).is_valid for ring in valid):
        return "self_crossing"
    if len(valid) < len(shape):
        return "ring_removed"
    return "past_border" if (low < 0).any() or (high > (width, height)).any() else ""


@pytest.fixture(scope="module")
def demo() -> Reading:
    return Reading(DEMO)


@pytest.fixture(scope="module")
def reason_of(demo) -> dict[int, str]:
    """The reason code of each annotation; the later of two equal records covers the first."""
    reasons = {record["id"]: record_defect(demo, record) for record in demo.annotations}
    seen: dict[str, int] = {}
    for record in demo.annotations:
        if reasons[record["id"]] == "":
            shape = json.dumps([record["image_id"], record["segmentation"]])
            if shape in seen:
                reasons[seen[shape]] = "covered"
            seen[shape] = record["id"]
    return reasons


def test_the_folder_is_small_and_has_enough_images(demo):
    sizes = [path.stat().st_size for path in DEMO.rglob("*") if path.is_file()]
    assert sum(sizes) <= 3_000_000
    assert demo.manifest["expected"]["images"]["verdicts"]["kept"] >= 240


def test_the_annotations_with_a_defect_are_those_of_the_manifest(demo, reason_of):
    expected = {i: entry["reason"] for entry in demo.manifest["planted"] for i in entry.get("ids", [])}
    assert {number: reason for number, reason in reason_of.items() if reason} == expected


def test_the_annotation_counts_of_the_manifest_are_right(demo, reason_of):
    expected = demo.manifest["expected"]["annotations"]
    assert expected["rows"] == len(demo.annotations) == sum(expected["verdicts"].values())
    assert Counter(filter(None, reason_of.values())) == expected["reasons"]
    assert list(reason_of.values()).count("") == expected["verdicts"]["kept"]


def test_the_image_counts_of_the_manifest_are_right(demo):
    expected = demo.manifest["expected"]["images"]
    listed = {image["file_name"] for image in demo.images.values()}
    reasons = Counter(image_defect(demo, image) for image in demo.images.values())
    kept = reasons.pop("")
    reasons["not_annotated"] = len(demo.on_disk - listed)
    assert reasons == expected["reasons"]
    assert kept == expected["verdicts"]["kept"]
    assert expected["rows"] == len(listed | demo.on_disk) == sum(expected["verdicts"].values())


def test_every_defect_is_planted_at_least_twice(demo):
    reasons = demo.manifest["expected"]["images"]["reasons"] | demo.manifest["expected"]["annotations"]["reasons"]
    assert reasons.keys() == {
        *("missing_file", "unreadable", "unsupported_format", "size_mismatch"),
        *("no_matching_annotation", "not_annotated", "class_not_selected", "crowd", "bad_record", "unknown_image"),
        *("unknown_category", "bad_ring", "bad_rle", "zero_area", "outside_frame", "image_lost"),
        *("self_crossing", "ring_removed", "past_border", "covered"),
    }
    assert min(reasons.values()) >= 2


def test_dropped_records_are_below_the_default_limits(demo):
    for counts in demo.manifest["expected"].values():
        assert counts["verdicts"]["dropped"] < 0.05 * counts["rows"]


def test_images_with_an_empty_mask_have_one_annotation_without_pixels(demo, reason_of):
    by_file = {f"images/{image['file_name']}": image for image in demo.images.values()}
    for file in demo.manifest["empty_mask"]:
        assert [reason_of[record["id"]] for record in demo.of(by_file[file])] == ["zero_area"]


def test_photos_with_an_exif_rotation_fit_the_frame_in_the_manifest(demo):
    by_file = {f"images/{image['file_name']}": image for image in demo.images.values()}
    for frame, files in demo.manifest["orientation"].items():
        for file in files:
            with Image.open(DEMO / file) as photo:
                stored, orientation = photo.size, photo.getexif()[0x0112]
            declared = by_file[file]["width"], by_file[file]["height"]
            fits = {"viewed": declared == stored[::-1], "stored": declared == stored}
            assert orientation == 6
            assert [name for name, fit in fits.items() if fit] == (
                ["viewed", "stored"] if frame == "undecidable" else [frame]
            )


def test_duplicates_have_equal_bytes_or_similar_pixels(demo):
    pairs = demo.manifest["duplicates"]
    assert len(pairs["equal"]) == 3
    assert len(pairs["near"]) == 4
    for first, second in pairs["equal"]:
        assert (DEMO / first).read_bytes() == (DEMO / second).read_bytes()
    for first, second in pairs["near"]:
        with Image.open(DEMO / first) as one, Image.open(DEMO / second) as other:
            difference = np.abs(np.asarray(one, np.float32) - np.asarray(other, np.float32))
        assert 0 < difference.mean() < 16


def test_annotations_are_written_in_utf_8_one_per_line():
    text = (DEMO / "annotations/instances.json").read_bytes().decode("utf-8")
    assert "砂浜" in text
    assert "\r" not in text
    assert len(re.findall(r'^\{"id":\d+', text, re.MULTILINE)) > 1500


def test_the_command_makes_the_committed_folder(tmp_path):
    assert main(["demo", str(tmp_path / "again"), "--workers", "2"]) == 0
    again = {path.relative_to(tmp_path / "again"): path for path in (tmp_path / "again").rglob("*") if path.is_file()}
    assert again.keys() == {path.relative_to(DEMO) for path in DEMO.rglob("*") if path.is_file()}
    for file in (Path("annotations/instances.json"), Path("defects.json")):
        assert again[file].read_bytes() == (DEMO / file).read_bytes()
    for file in sorted(again)[::20]:  # other processors may round a grey level differently
        assert abs(again[file].stat().st_size - (DEMO / file).stat().st_size) < 200
