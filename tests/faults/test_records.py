"""Single records that make no sense, format by format: each has its verdict, and no other record pays for it."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from segpipe.core.errors import UserError
from tests.faults import sources
from tests.faults.sources import RING, drawn
from tests.faults.way import Verdict, World, go, judge

NAN, INFINITY = float("nan"), float("inf")
KEPT: Verdict = ("kept", "")
BAD_RECORD: Verdict = ("dropped", "bad_record")
BAD_RING: Verdict = ("dropped", "bad_ring")
BAD_RLE: Verdict = ("dropped", "bad_rle")
ELSEWHERE = [8, 6, 11, 6, 11, 8, 8, 8]  # covers nothing of RING
AREA = sources.SIZE_WH[0] * sources.SIZE_WH[1]


def rle(counts: Any, size: Any = (8, 12)) -> dict[str, Any]:
    return {"segmentation": {"size": list(size), "counts": counts}}


# What is changed in a good COCO record, and what becomes of it.
COCO: dict[str, tuple[dict[str, Any], Verdict]] = {
    "ring of seven numbers": ({"segmentation": [[*RING[:6], 3]]}, BAD_RING),
    "ring of two points": ({"segmentation": [RING[:4]]}, BAD_RING),
    "ring of no points": ({"segmentation": [[]]}, BAD_RING),
    "ring of one point thrice": ({"segmentation": [[2, 2] * 3]}, BAD_RING),
    "ring on a line": ({"segmentation": [[2, 2, 6, 2, 4, 2]]}, ("dropped", "zero_area")),
    "ring with NaN": ({"segmentation": [[NAN, *RING[1:]]]}, BAD_RING),
    "ring with infinity": ({"segmentation": [[*RING[:7], -INFINITY]]}, BAD_RING),
    "ring with a number beyond all pictures": ({"segmentation": [[*RING[:7], 10**400]]}, BAD_RING),
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
    "run lengths as a text that is none": (rle("not run lengths é"), BAD_RLE),
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
    "an unknown picture": ({"image_id": 77}, ("dropped", "unknown_image")),
    "an unknown class": ({"category_id": 77}, ("ignored", "unknown_category")),
    "a picture's id as text": ({"image_id": "1"}, KEPT),
    "a class id with a point": ({"category_id": 1.0}, KEPT),
    "a class id that is NaN": ({"category_id": NAN}, BAD_RECORD),
    "a crowd of two": ({"iscrowd": 2}, BAD_RECORD),
    "an area that is NaN": ({"area": NAN}, KEPT),  # a declared area decides nothing
    "an area below zero": ({"area": -4}, KEPT),
    "an id that is NaN": ({"id": NAN}, KEPT),
    "an id that is a list": ({"id": [1]}, KEPT),
}


@pytest.mark.parametrize("fault", COCO)
def test_each_fault_of_a_coco_record_has_its_verdict(world, fault):
    changes, verdict = COCO[fault]
    sources.put_coco(world.source)
    document = sources.coco_document(drawn(1, 1, **changes), drawn(2, 1, segmentation=[ELSEWHERE]))
    sources.put(world.source, "instances.json", document)
    account = go(world)
    ids = list(account.annotations)
    faulty = next(name for name in ids if name not in ("instances.json#2", "instances.json#9"))
    assert account.annotations[faulty] == verdict
    assert account.annotations["instances.json#9"] == KEPT
    assert account.annotations["instances.json#2"][0] in ("kept", "hidden")  # a fault may cover all of it
    assert account.images == {"a": KEPT, "b": KEPT}
    assert len(ids) == 3


def test_an_annotation_id_used_twice_gives_two_rows(world):
    sources.put_coco(world.source)
    far = [RING[i] + (4 if i % 2 == 0 else 0) for i in range(8)]
    document = sources.coco_document(drawn(1, 1), drawn(1, 1, segmentation=[far]))
    sources.put(world.source, "instances.json", document)
    assert go(world).annotations == {
        "instances.json#1": KEPT,
        "instances.json#1@1": KEPT,
        "instances.json#9": KEPT,
    }


@pytest.mark.parametrize("format", ["coco", "coco_panoptic", "coco_results"])
def test_an_image_id_of_two_photographs_draws_on_neither(world, format):
    sources.FORMATS[format](world.source)
    file, folder = {
        "coco": ("instances.json", ""),
        "coco_panoptic": ("panoptic_val.json", "val/"),
        "coco_results": ("image_info.json", ""),
    }[format]
    document = json.loads((world.source / file).read_text())
    document["images"].append(sources.photo(1, "c.png"))
    sources.put(world.source, file, document)
    sources.put_photo(world.source / f"{folder}c.png", 3)
    account = go(world)
    key = folder.replace("/", "__")
    assert account.images == {f"{key}a": BAD_RECORD, f"{key}b": KEPT, f"{key}c": BAD_RECORD}
    assert "2 images ('a.png', 'c.png') share the id 1" in account.detail(f"{key}c")
    fates = set(account.annotations.values())
    assert fates <= {("dropped", "ambiguous_image"), KEPT, ("ignored", "ignore")}
    assert ("dropped", "ambiguous_image") in fates


def test_a_frame_number_of_two_images_draws_on_neither(world):
    sources.put_cvat(world.source)
    path = world.source / "annotations.xml"
    track = '<track id="0" label="cat"><box frame="{}" outside="0" xtl="2" ytl="2" xbr="6" ybr="5"/></track>'
    text = re.sub(r'<image id="\d+"', '<image id="4"', path.read_text())
    path.write_text(text.replace("</annotations>", track.format(4) + "</annotations>"))
    account = go(world)
    assert account.annotations["annotations.xml#track0.0"] == ("dropped", "ambiguous_image")
    assert account.images == {"images__a": KEPT, "images__b": KEPT}


def test_a_category_id_used_for_two_names_is_unknown(world):
    sources.put_coco(world.source)
    categories = [*sources.CATEGORIES, {"id": 1, "name": "lion"}]
    sources.put(world.source, "instances.json", sources.coco_document(drawn(1, 1), categories=categories))
    account = go(world)
    assert account.annotations["instances.json#1"] == ("dropped", "unknown_category")
    assert account.images["a"] == ("skipped", "no_matching_annotation")


# ---- the same faults in other formats


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
def test_each_fault_of_a_yolo_line_has_its_verdict(world, line):
    sources.put_yolo(world.source)
    good = (world.source / "labels/a.txt").read_text()
    sources.put(world.source, "labels/a.txt", f"{good}{line}\n")
    account = go(world)
    assert account.annotations["labels/a.txt#2"] == YOLO[line]
    assert account.annotations["labels/a.txt#1"][0] in ("kept", "hidden")
    assert account.images == {"images__a": KEPT, "images__b": KEPT}


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
def test_each_fault_of_a_list_of_points_has_its_verdict(world, format, fault):
    points, verdict = POINTS[fault]
    sources.FORMATS[format](world.source)
    file, shapes, change = {
        "labelme": ("a.json", "shapes", {"points": points}),
        "supervisely": ("ds/ann/a.png.json", "objects", {"points": {"exterior": points, "interior": []}}),
        "cityscapes": ("gtFine/train/x/x_a_gtFine_polygons.json", "objects", {"polygon": points}),
    }[format]
    document = json.loads((world.source / file).read_text())
    document[shapes].insert(0, {**document[shapes][0], **change})
    sources.put(world.source, file, document)
    account = go(world)
    assert account.annotations[f"{file}#0"][0] == verdict
    assert account.annotations[f"{file}#1"][0] in ("kept", "hidden")
    assert set(account.images.values()) == {KEPT}


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
    """The path of every key and place in a document."""
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


def assert_sound_account(world: World, changed: object) -> None:
    """Both photographs have their row, and each drop says why; or one line says why the run ends."""
    try:
        rows = judge(world)
    except UserError as error:
        assert "\n" not in str(error), changed  # noqa: PT017
        return
    assert len([row for row in rows if row.kind == "image"]) >= 2, changed  # and a record that names neither
    assert not [row for row in rows if row.verdict == "dropped" and not row.detail], changed


@pytest.mark.parametrize("format", DOCUMENTS)
def test_a_wrong_value_at_any_key_gives_an_account_or_one_line(world: World, format: str) -> None:
    sources.FORMATS[format](world.source)
    path = world.source / DOCUMENTS[format]
    good = json.loads(path.read_text())
    for spot in spots(good):
        for wrong in (*WRONG, GONE):
            path.write_text(json.dumps(with_wrong(good, spot, wrong)))
            assert_sound_account(world, (spot, wrong))


WRONG_WORDS = ("", " ", "x", "-1", "nan", "inf", "1e400", "9" * 30, "0,0;1", ";", "<!---->", "&amp;", "../a.png")


@pytest.mark.parametrize(
    ("format", "file"), [("labelme_xml", "a.xml"), ("voc", "Annotations/a.xml"), ("cvat", "annotations.xml")]
)
def test_a_wrong_word_anywhere_in_xml_gives_an_account_or_one_line(world: World, format: str, file: str) -> None:
    sources.FORMATS[format](world.source)
    path = world.source / file
    good = path.read_text()
    for found in re.finditer(r'(?<=>)[^<>]+(?=<)|(?<=")[^"<>]*(?=")', good):
        for wrong in WRONG_WORDS:
            path.write_text(good[: found.start()] + wrong + good[found.end() :])
            assert_sound_account(world, (found[0], wrong))
    for found in re.finditer(r"<(\w+)[^<>]*>[^<>]*</\1>|<\w+[^<>]*/>", good):
        for wrong in ("", found[0] * 2):
            path.write_text(good[: found.start()] + wrong + good[found.end() :])
            assert_sound_account(world, (found[0], wrong))


@pytest.mark.parametrize(("format", "file"), [("yolo", "labels/a.txt"), ("yolo", "data.yaml")])
def test_a_wrong_word_anywhere_in_a_text_gives_an_account_or_one_line(world: World, format: str, file: str) -> None:
    sources.FORMATS[format](world.source)
    path = world.source / file
    good = path.read_text()
    for found in re.finditer(r"[^\s,\[\]]+|[,\[\]]", good):
        for wrong in (*WRONG_WORDS, "[", "{", "*a", "!!int x", "\t", "\n"):
            path.write_text(good[: found.start()] + wrong + good[found.end() :])
            assert_sound_account(world, (found[0], wrong))


CVAT = {  # a shape, and what becomes of it
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
def test_each_fault_of_a_cvat_shape_has_its_verdict(world, shape):
    sources.put_cvat(world.source)
    path = world.source / "annotations.xml"
    corner = '<polygon label="cat" points="8,6;11,6;11,8;8,8"/>'
    path.write_text(re.sub(r"<polygon.*?/>", shape + corner, path.read_text(), count=1))
    account = go(world)
    assert account.annotations["annotations.xml#0.0"] == CVAT[shape]
    assert account.annotations["annotations.xml#0.1"] == KEPT
    assert account.images == {"images__a": KEPT, "images__b": KEPT}
