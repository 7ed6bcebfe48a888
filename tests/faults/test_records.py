"""Single invalid records, in each format: each has its verdict, and no other record is affected."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from segpipe.core.errors import UserError
from tests.faults import sources
from tests.faults.sandbox import Sandbox, Verdict, run_stages, validate
from tests.faults.sources import RING, drawn

NAN, INFINITY = float("nan"), float("inf")
KEPT: Verdict = ("kept", "")
BAD_RECORD: Verdict = ("dropped", "bad_record")
BAD_RING: Verdict = ("dropped", "bad_ring")
BAD_RLE: Verdict = ("dropped", "bad_rle")
ELSEWHERE = [8, 6, 11, 6, 11, 8, 8, 8]  # does not overlap RING
AREA = sources.SIZE_WH[0] * sources.SIZE_WH[1]


def rle(counts: Any, size: Any = (8, 12)) -> dict[str, Any]:
    return {"segmentation": {"size": list(size), "counts": counts}}


# The changes of a valid COCO record, and its verdict.
COCO: dict[str, tuple[dict[str, Any], Verdict]] = {
    "ring of seven numbers": ({"segmentation": [[*RING[:6], 3]]}, BAD_RING),
    "ring of two points": ({"segmentation": [RING[:4]]}, BAD_RING),
    "ring of no points": ({"segmentation": [[]]}, BAD_RING),
    "ring of one point thrice": ({"segmentation": [[2, 2] * 3]}, BAD_RING),
    "ring on a line": ({"segmentation": [[2, 2, 6, 2, 4, 2]]}, ("dropped", "zero_area")),
    "ring with NaN": ({"segmentation": [[NAN, *RING[1:]]]}, BAD_RING),
    "ring with infinity": ({"segmentation": [[*RING[:7], -INFINITY]]}, BAD_RING),
    "ring with a huge number": ({"segmentation": [[*RING[:7], 10**400]]}, BAD_RING),
    "ring with a text": ({"segmentation": [[*RING[:7], "5"]]}, BAD_RING),
    "ring with a truth value": ({"segmentation": [[*RING[:7], True]]}, BAD_RING),
    "ring not in a list": ({"segmentation": RING}, BAD_RING),
    "ring of pairs": ({"segmentation": [[[2, 2], [6, 2], [6, 5]]]}, BAD_RING),
    "a ring of two points beside a good one": ({"segmentation": [RING, RING[:4]]}, ("repaired", "ring_removed")),
    "a ring that crosses itself": ({"segmentation": [[2, 2, 8, 6, 8, 2, 2, 6]]}, ("repaired", "self_crossing")),
    "a ring past the border": ({"segmentation": [[-9, 2, 6, 2, 6, 5, -9, 5]]}, ("clipped", "past_border")),
    "a ring far past the border": (
        {"segmentation": [[-2e9, -2e9, 2e9, -2e9, 2e9, 2e9, -2e9, 2e9]]},
        ("clipped", "past_border"),
    ),
    "a ring outside": ({"segmentation": [[20, 2, 26, 2, 26, 5]]}, ("dropped", "outside_frame")),
    "a ring with an empty one": ({"segmentation": [RING, []]}, ("repaired", "ring_removed")),
    "run lengths that fill it": (rle([AREA - 4, 4]), KEPT),
    "run lengths of a crowd": (rle([AREA - 4, 4]) | {"iscrowd": 1}, ("ignored", "crowd")),
    "run lengths that end early": (rle([AREA - 5, 4]), BAD_RLE),
    "run lengths that go on": (rle([AREA - 3, 4]), BAD_RLE),
    "run lengths of another size": (rle([AREA - 4, 4], (12, 8)), BAD_RLE),
    "run lengths of a huge size": (rle([10**9, 10**9], (10**5, 10**5)), BAD_RLE),
    "run lengths below zero": (rle([AREA + 4, -4]), BAD_RLE),
    "run lengths with NaN": (rle([AREA, NAN]), BAD_RLE),
    "run lengths with fractions": (rle([AREA - 0.5, 0.5]), BAD_RLE),
    "run lengths as an invalid text": (rle("not run lengths é"), BAD_RLE),
    "run lengths as a text cut short": (rle("P"), BAD_RLE),
    "run lengths of a text that goes on": (rle("oooooooooooooooo"), BAD_RLE),
    "no run lengths": (rle([]), BAD_RLE),
    "nothing but background": (rle([AREA]), ("dropped", "zero_area")),
    "a size of one number": (rle([AREA], [8]), BAD_RLE),
    "no segmentation but a box": ({"segmentation": []}, ("kept", "box")),
    "no segmentation and a box of no width": ({"segmentation": [], "bbox": [2, 2, 0, 3]}, BAD_RECORD),
    "no segmentation and a box with NaN": ({"segmentation": [], "bbox": [2, 2, NAN, 3]}, BAD_RECORD),
    "no segmentation and a box beyond all numbers": ({"segmentation": [], "bbox": [0, 0, 2**31, 1]}, BAD_RECORD),
    "no segmentation and a box outside": (
        {"segmentation": [], "bbox": [90, 2, 4, 3]},
        ("dropped", "outside_frame"),
    ),
    "neither segmentation nor box": ({"segmentation": [], "bbox": None}, BAD_RECORD),
    "an unknown image": ({"image_id": 77}, ("dropped", "unknown_image")),
    "an unknown class": ({"category_id": 77}, ("ignored", "unknown_category")),
    "an image id as text": ({"image_id": "1"}, KEPT),
    "a class id as 1.0": ({"category_id": 1.0}, KEPT),
    "a class id that is NaN": ({"category_id": NAN}, BAD_RECORD),
    "a crowd of two": ({"iscrowd": 2}, BAD_RECORD),
    "an area that is NaN": ({"area": NAN}, KEPT),  # a declared area does not matter
    "an area below zero": ({"area": -4}, KEPT),
    "an id that is NaN": ({"id": NAN}, KEPT),
    "an id that is a list": ({"id": [1]}, KEPT),
}


@pytest.mark.parametrize("fault", COCO)
def test_each_fault_of_a_coco_record_has_its_verdict(sandbox, fault):
    changes, verdict = COCO[fault]
    sources.put_coco(sandbox.source)
    document = sources.coco_document(drawn(1, 1, **changes), drawn(2, 1, segmentation=[ELSEWHERE]))
    sources.put(sandbox.source, "instances.json", document)
    outcome = run_stages(sandbox)
    ids = list(outcome.annotations)
    faulty = next(name for name in ids if name not in ("instances.json#2", "instances.json#9"))
    assert outcome.annotations[faulty] == verdict
    assert outcome.annotations["instances.json#9"] == KEPT
    assert outcome.annotations["instances.json#2"][0] in ("kept", "hidden")  # the other object may cover it
    assert outcome.images == {"a": KEPT, "b": KEPT}
    assert len(ids) == 3


def test_an_annotation_id_used_twice_gives_two_rows(sandbox):
    sources.put_coco(sandbox.source)
    far = [RING[i] + (4 if i % 2 == 0 else 0) for i in range(8)]
    document = sources.coco_document(drawn(1, 1), drawn(1, 1, segmentation=[far]))
    sources.put(sandbox.source, "instances.json", document)
    assert run_stages(sandbox).annotations == {
        "instances.json#1": KEPT,
        "instances.json#1@1": KEPT,
        "instances.json#9": KEPT,
    }


@pytest.mark.parametrize("format", ["coco", "coco_panoptic", "coco_results"])
def test_annotations_of_an_image_id_of_two_photos_are_dropped(sandbox, format):
    sources.FORMATS[format](sandbox.source)
    file, folder = {
        "coco": ("instances.json", ""),
        "coco_panoptic": ("panoptic_val.json", "val/"),
        "coco_results": ("image_info.json", ""),
    }[format]
    document = json.loads((sandbox.source / file).read_text())
    document["images"].append(sources.photo(1, "c.png"))
    sources.put(sandbox.source, file, document)
    sources.put_photo(sandbox.source / f"{folder}c.png", 3)
    outcome = run_stages(sandbox)
    key = folder.replace("/", "__")
    assert outcome.images == {f"{key}a": BAD_RECORD, f"{key}b": KEPT, f"{key}c": BAD_RECORD}
    assert "2 images ('a.png', 'c.png') share the id 1" in outcome.detail(f"{key}c")
    verdicts = set(outcome.annotations.values())
    assert verdicts <= {("dropped", "ambiguous_image"), KEPT, ("ignored", "ignore")}
    assert ("dropped", "ambiguous_image") in verdicts


def test_annotations_of_a_frame_number_of_two_images_are_dropped(sandbox):
    sources.put_cvat(sandbox.source)
    path = sandbox.source / "annotations.xml"
    track = '<track id="0" label="cat"><box frame="{}" outside="0" xtl="2" ytl="2" xbr="6" ybr="5"/></track>'
    text = re.sub(r'<image id="\d+"', '<image id="4"', path.read_text())
    path.write_text(text.replace("</annotations>", track.format(4) + "</annotations>"))
    outcome = run_stages(sandbox)
    assert outcome.annotations["annotations.xml#track0.0"] == ("dropped", "ambiguous_image")
    assert outcome.images == {"images__a": KEPT, "images__b": KEPT}


def test_a_category_id_with_two_names_is_unknown(sandbox):
    sources.put_coco(sandbox.source)
    categories = [*sources.CATEGORIES, {"id": 1, "name": "lion"}]
    sources.put(sandbox.source, "instances.json", sources.coco_document(drawn(1, 1), categories=categories))
    outcome = run_stages(sandbox)
    assert outcome.annotations["instances.json#1"] == ("dropped", "unknown_category")
    assert outcome.images["a"] == ("skipped", "no_matching_annotation")


# ---- the faults in other formats


YOLO: dict[str, Verdict] = {
    "0 nan 0.2 0.5 0.2 0.5 0.6": BAD_RING,
    "0 inf 0.2 0.5 0.2 0.5 0.6": BAD_RING,
    "0 0.2 0.2 0.5": BAD_RING,
    "9 0.2 0.2 0.5 0.2 0.5 0.6": ("ignored", "unknown_category"),
    "-1 0.2 0.2 0.5 0.2 0.5 0.6": BAD_RECORD,
    "cat 0.2 0.2 0.5 0.2 0.5 0.6": BAD_RECORD,
    "0 0.5 0.5 0.25 0.5": ("kept", "box"),
    "0 0.5 0.5 -0.25 0.5": BAD_RECORD,
    "0 0.2 0.2 0.5 0.2 0.5 1e300": BAD_RING,
    "0": BAD_RING,
    "\0\0\0": BAD_RECORD,
}


@pytest.mark.parametrize("line", YOLO)
def test_each_fault_of_a_yolo_line_has_its_verdict(sandbox, line):
    sources.put_yolo(sandbox.source)
    good = (sandbox.source / "labels/a.txt").read_text()
    sources.put(sandbox.source, "labels/a.txt", f"{good}{line}\n")
    outcome = run_stages(sandbox)
    assert outcome.annotations["labels/a.txt#2"] == YOLO[line]
    assert outcome.annotations["labels/a.txt#1"][0] in ("kept", "hidden")
    assert outcome.images == {"images__a": KEPT, "images__b": KEPT}


POINTS: dict[str, tuple[list[Any], str]] = {
    "two points": ([[2, 2], [6, 5]], "dropped"),
    "NaN": ([[2, 2], [6, 2], [NAN, 5]], "dropped"),
    "infinity": ([[2, 2], [6, 2], [INFINITY, 5]], "dropped"),
    "a point of three numbers": ([[2, 2], [6, 2], [6, 5, 1]], "dropped"),
    "a text": ([[2, 2], [6, 2], ["6", 5]], "dropped"),
    "no points": ([], "dropped"),
    "outside": ([[22, 2], [26, 2], [26, 5]], "dropped"),
    "past the border": ([[-9, 2], [6, 2], [6, 5]], "clipped"),
}


@pytest.mark.parametrize("fault", POINTS)
@pytest.mark.parametrize("format", ["labelme", "supervisely", "cityscapes"])
def test_each_fault_of_a_list_of_points_has_its_verdict(sandbox, format, fault):
    points, verdict = POINTS[fault]
    sources.FORMATS[format](sandbox.source)
    file, shapes, change = {
        "labelme": ("a.json", "shapes", {"points": points}),
        "supervisely": ("ds/ann/a.png.json", "objects", {"points": {"exterior": points, "interior": []}}),
        "cityscapes": ("gtFine/train/x/x_a_gtFine_polygons.json", "objects", {"polygon": points}),
    }[format]
    document = json.loads((sandbox.source / file).read_text())
    document[shapes].insert(0, {**document[shapes][0], **change})
    sources.put(sandbox.source, file, document)
    outcome = run_stages(sandbox)
    assert outcome.annotations[f"{file}#0"][0] == verdict
    assert outcome.annotations[f"{file}#1"][0] in ("kept", "hidden")
    assert set(outcome.images.values()) == {KEPT}


# ---- a wrong value at every key


WRONG: tuple[Any, ...] = (None, True, -1, NAN, INFINITY, "", "x", "\ud800", [], {}, [None], 10**400)
GONE = object()
DOCUMENTS = {
    "coco": "instances.json",
    "coco_panoptic": "panoptic_val.json",
    "coco_results": "results.json",
    "labelme": "a.json",
    "via": "via.json",
    "supervisely": "ds/ann/a.png.json",
    "cityscapes": "gtFine/train/x/x_a_gtFine_polygons.json",
}


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield *path, key
        yield from spots(inner, (*path, key))


def with_wrong(good: Any, spot: tuple[Any, ...], wrong: Any) -> Any:
    document = copy.deepcopy(good)
    holder = document
    for step in spot[:-1]:
        holder = holder[step]
    if wrong is GONE:
        del holder[spot[-1]]
    else:
        holder[spot[-1]] = wrong
    return document


def assert_valid_ledger(sandbox: Sandbox, changed: object) -> None:
    """Both photos have a row, and each dropped row has a detail; or the run ends with one line."""
    try:
        rows = validate(sandbox).rows
    except UserError as error:
        assert "\n" not in str(error), changed  # noqa: PT017
        return
    assert len([row for row in rows if row.kind == "image"]) >= 2, changed  # more for a record that names neither
    assert not [row for row in rows if row.verdict == "dropped" and not row.detail], changed


@pytest.mark.parametrize("format", DOCUMENTS)
def test_a_wrong_value_at_any_key_gives_a_ledger_or_one_line(sandbox: Sandbox, format: str) -> None:
    sources.FORMATS[format](sandbox.source)
    path = sandbox.source / DOCUMENTS[format]
    good = json.loads(path.read_text())
    for spot in spots(good):
        for wrong in (*WRONG, GONE):
            path.write_text(json.dumps(with_wrong(good, spot, wrong)))
            assert_valid_ledger(sandbox, (spot, wrong))


WRONG_PROBLEM = ("", " ", "x", "-1", "nan", "inf", "1e400", "9" * 30, "0,0;1", ";", "<!---->", "&amp;", "../a.png")


@pytest.mark.parametrize(
    ("format", "file"), [("labelme_xml", "a.xml"), ("voc", "Annotations/a.xml"), ("cvat", "annotations.xml")]
)
def test_a_wrong_word_anywhere_in_xml_gives_a_ledger_or_one_line(sandbox: Sandbox, format: str, file: str) -> None:
    sources.FORMATS[format](sandbox.source)
    path = sandbox.source / file
    good = path.read_text()
    for match in re.finditer(r'(?<=>)[^<>]+(?=<)|(?<=")[^"<>]*(?=")', good):
        for wrong in WRONG_PROBLEM:
            path.write_text(good[: match.start()] + wrong + good[match.end() :])
            assert_valid_ledger(sandbox, (match[0], wrong))
    for match in re.finditer(r"<(\w+)[^<>]*>[^<>]*</\1>|<\w+[^<>]*/>", good):
        for wrong in ("", match[0] * 2):
            path.write_text(good[: match.start()] + wrong + good[match.end() :])
            assert_valid_ledger(sandbox, (match[0], wrong))


@pytest.mark.parametrize(("format", "file"), [("yolo", "labels/a.txt"), ("yolo", "data.yaml")])
def test_a_wrong_word_anywhere_in_a_text_gives_a_ledger_or_one_line(sandbox: Sandbox, format: str, file: str) -> None:
    sources.FORMATS[format](sandbox.source)
    path = sandbox.source / file
    good = path.read_text()
    for match in re.finditer(r"[^\s,\[\]]+|[,\[\]]", good):
        for wrong in (*WRONG_PROBLEM, "[", "{", "*a", "!!int x", "\t", "\n"):
            path.write_text(good[: match.start()] + wrong + good[match.end() :])
            assert_valid_ledger(sandbox, (match[0], wrong))


CVAT = {  # a shape and its verdict
    '<polygon label="cat" points="2,2;6,2;6"/>': BAD_RING,
    '<polygon label="cat" points="2,2;6,2"/>': BAD_RING,
    '<polygon label="cat" points="2,2;6,nan;6,5"/>': BAD_RING,
    '<polygon label="cat" points="2,2;6,1e400;6,5"/>': BAD_RING,
    '<polygon points="2,2;6,2;6,5"/>': ("ignored", "unknown_category"),
    '<box label="cat" xtl="2" ytl="2" xbr="inf" ybr="5"/>': BAD_RING,
    '<box label="cat" xtl="2" ytl="2" xbr="6"/>': BAD_RING,
    '<mask label="cat" rle="5, 4, 2" left="2" top="2" width="4" height="3"/>': BAD_RLE,
    '<mask label="cat" rle="5, -4, 11" left="2" top="2" width="4" height="3"/>': BAD_RLE,
    '<mask label="cat" rle="" left="2" top="2" width="4" height="3"/>': BAD_RLE,
    '<mask label="cat" rle="5, 7" left="2" top="2" width="100000" height="100000"/>': BAD_RLE,
    '<mask label="cat" rle="0, 12" left="2" top="2" width="4" height="3"/>': KEPT,
    '<polyline label="cat" points="2,2;6,2;6,5"/>': ("dropped", "not_a_region"),
    '<skeleton label="cat"/>': ("dropped", "not_a_region"),
}


@pytest.mark.parametrize("shape", CVAT)
def test_each_fault_of_a_cvat_shape_has_its_verdict(sandbox, shape):
    sources.put_cvat(sandbox.source)
    path = sandbox.source / "annotations.xml"
    corner = '<polygon label="cat" points="8,6;11,6;11,8;8,8"/>'
    path.write_text(re.sub(r"<polygon.*?/>", shape + corner, path.read_text(), count=1))
    outcome = run_stages(sandbox)
    assert outcome.annotations["annotations.xml#0.0"] == CVAT[shape]
    assert outcome.annotations["annotations.xml#0.1"] == KEPT
    assert outcome.images == {"images__a": KEPT, "images__b": KEPT}
