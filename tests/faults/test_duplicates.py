"""Repeated records, in each format: each has its row, and the label maps do not change."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.faults import sources
from tests.faults.sandbox import Sandbox, run_stages

Change = Callable[[Path], object]


def in_json(file: str, holder: Callable[[Any], list[Any]]) -> Change:
    """Repeat the first record of a list."""

    def change(root: Path) -> None:
        document = json.loads((root / file).read_text())
        holder(document).append(copy.deepcopy(holder(document)[0]))
        (root / file).write_text(json.dumps(document))

    return change


def in_text(file: str, record: str) -> Change:
    def change(root: Path) -> None:
        text = (root / file).read_text()
        (root / file).write_text(re.sub(record, lambda match: match[0] * 2, text, count=1))

    return change


def in_another_file(file: str, other: str) -> Change:
    return lambda root: (root / other).write_text((root / file).read_text())


TWICE: dict[str, tuple[str, Change, int]] = {  # the format, the change, the number of additional rows
    "a file of COCO": ("coco", in_another_file("instances.json", "again.json"), 2),
    "a panoptic segment": (
        "coco_panoptic", in_json("panoptic_val.json", lambda d: d["annotations"][0]["segments_info"]), 1,
    ),
    "a panoptic record": ("coco_panoptic", in_json("panoptic_val.json", lambda d: d["annotations"]), 2),
    "an image of a panoptic file": ("coco_panoptic", in_json("panoptic_val.json", lambda d: d["images"]), 0),
    "a result": ("coco_results", in_json("results.json", lambda d: d), 1),
    "a LabelMe file": ("labelme", in_another_file("a.json", "c.json"), 1),
    "a LabelMe XML file": ("labelme_xml", in_another_file("a.xml", "c.xml"), 1),
    "a VOC file": ("voc", in_another_file("Annotations/a.xml", "Annotations/c.xml"), 1),
    "an image of a CVAT file": ("cvat", in_text("annotations.xml", "<image.*?</image>"), 1),
    "a CVAT file": ("cvat", in_another_file("annotations.xml", "other.xml"), 2),
    "a region of VIA": ("via", in_json("via.json", lambda d: d["a.png99"]["regions"]), 1),
    "a VIA file": ("via", in_another_file("via.json", "other.json"), 2),
    "a line of YOLO": ("yolo", in_text("labels/a.txt", ".+\n"), 1),
    "an id of Supervisely": ("supervisely", in_json("ds/ann/a.png.json", lambda d: d["objects"]), 1),
    "an object of Cityscapes": (
        "cityscapes", in_json("gtFine/train/x/x_a_gtFine_polygons.json", lambda d: d["objects"]), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TWICE)
def test_a_repeated_record_has_two_rows_and_changes_no_label_map(sandbox: Sandbox, what: str) -> None:
    format, change, more = TWICE[what]
    sources.FORMATS[format](sandbox.source)
    once = run_stages(sandbox)
    change(sandbox.source)
    twice = run_stages(sandbox)
    assert twice.images == once.images
    assert len(twice.annotations) == len(once.annotations) + more
    assert {verdict for verdict, _ in twice.annotations.values()} <= {"kept", "ignored", "hidden"}
    for key, label_map in once.label_maps.items():
        np.testing.assert_array_equal(twice.label_maps[key], label_map)
