"""The policies for boxes, lines, points, crowds, flags, unknown classes and holes."""

import math

import pytest

from segpipe.data.records import Image, Instance, Rle
from segpipe.ledger.policies import Policies
from segpipe.ledger.rows import one_shard
from segpipe.ledger.totals import Totals
from segpipe.validate.image import CheckTask, check
from segpipe.validate.judge import Rules
from tests.validate.test_image import SQUARE, put_photo

BOX = {"kind": "box", "rings": (SQUARE,)}
LINE = {"kind": "line", "rings": ((4.0, 4.0, 14.0, 4.0),)}
POINTS = {"kind": "point", "rings": ((5.0, 5.0), (15.0, 5.0))}


def judged(folder, fields, **policies):
    """The row and the drawn instances of one annotation on an image of 20 x 10 pixels."""
    put_photo(folder)
    instance = Instance(**{"id": "1", "image_key": "a", "category": "cat", "place": "x"} | fields)
    rules = Rules({"cat": "cat"}, Policies(**policies))
    task = CheckTask(folder, Image(key="a", file="a.jpg"), (instance,), rules, False)
    checked = check(task)
    return checked.rows[1], checked.instances


@pytest.mark.parametrize(
    ("fields", "policies", "verdict", "reason", "pixels"),
    [
        (BOX, {}, "kept", "box", 16),
        (BOX, {"box": "ignore"}, "ignored", "box", 16),
        (BOX, {"box": "drop"}, "discarded", "box", 16),
        (LINE, {}, "dropped", "not_a_region", None),
        (POINTS, {}, "dropped", "not_a_region", None),
        (LINE | {"rings": ((-9.0, 4.0, 9.0, 4.0),)}, {"line_width_px": 2}, "clipped", "past_border", None),
        ({"rings": (), "problem": "deleted", "detail": "its annotator deleted it"}, {}, "discarded", "deleted", None),
        ({"rings": (SQUARE,), "holes": ((2.0, 2.0, 4.0, 2.0, 4.0, 4.0, 2.0, 4.0),)}, {}, "kept", "", 12),
        ({"rings": (SQUARE,), "holes": ((2.0, 2.0, 4.0, 2.0),)}, {}, "repaired", "ring_removed", 16),
        ({"rings": (SQUARE,), "holes": (SQUARE,)}, {}, "dropped", "zero_area", 0),
    ],
)
def test_the_policy_decides_the_verdict(tmp_path, fields, policies, verdict, reason, pixels):
    row, drawable = judged(tmp_path, fields, **policies)
    assert (row.verdict, row.reason) == (verdict, reason)
    assert pixels is None or row.px_before == pixels
    assert bool(drawable) == (verdict in ("kept", "repaired", "clipped", "ignored"))


def test_a_line_without_a_width_names_the_setting(tmp_path):
    row, _ = judged(tmp_path, LINE)
    assert row.detail == "a line has no area; set validate.line_width_px in params.yaml to draw it, or delete it"


def test_a_line_is_widened_with_round_ends(tmp_path):
    row, (drawn,) = judged(tmp_path, LINE, line_width_px=4)
    assert (row.verdict, row.reason, row.detail) == ("kept", "line", "a line, drawn 4 px wide")
    assert (drawn.kind, len(drawn.rings)) == ("region", 1)
    assert row.area_before == pytest.approx(10 * 4 + math.pi * 2**2, rel=0.01)
    assert row.px_before == pytest.approx(10 * 4 + math.pi * 2**2, abs=4)


def test_points_of_one_instance_become_discs(tmp_path):
    row, (drawn,) = judged(tmp_path, POINTS, point_radius_px=3)
    assert (row.verdict, row.detail) == ("kept", "a point, drawn with a radius of 3 px")
    assert len(drawn.rings) == 2
    assert row.px_before == pytest.approx(2 * math.pi * 9, abs=4)


def test_a_closed_line_does_not_cover_its_inside(tmp_path):
    square = LINE | {"rings": ((2.0, 2.0, 8.0, 2.0, 8.0, 8.0, 2.0, 8.0, 2.0, 2.0),)}
    row, (drawn,) = judged(tmp_path, square, line_width_px=2)
    assert (len(drawn.rings), len(drawn.holes)) == (1, 1)
    # 8 x 8 without the rounded corners, without the 4 x 4 inside
    assert row.px_before == pytest.approx(64 - (4 - math.pi) - 16, abs=4)


def test_notes_of_the_annotator_are_in_the_ledger(tmp_path):
    row, _ = judged(tmp_path, {"rings": (SQUARE,), "detail": "flags: ['difficult']"})
    assert (row.verdict, row.detail) == ("kept", "flags: ['difficult']")


HOLE = (2.0, 2.0, 4.0, 2.0, 4.0, 4.0, 2.0, 4.0)  # 2 x 2 pixels inside SQUARE's 4 x 4
UNKNOWN = {"category": "", "problem": "unknown_category", "detail": "class 7 has no name"}


@pytest.mark.parametrize("flag", ["difficult", "occluded"])
@pytest.mark.parametrize(
    ("policy", "verdict", "reason"),
    [("object", "kept", ""), ("ignore", "ignored", "flag"), ("drop", "discarded", "flag")],
)
def test_a_flagged_object_follows_its_policy(tmp_path, flag, policy, verdict, reason):
    row, drawable = judged(tmp_path, {"rings": (SQUARE,), "flags": (flag,)}, **{flag: policy})
    assert (row.verdict, row.reason, row.px_before) == (verdict, reason and flag, 16)
    assert [instance.role for instance in drawable] == {"kept": ["object"], "ignored": ["ignore"]}.get(verdict, [])


def test_the_strictest_of_several_policies_decides(tmp_path):
    crowd = {"rings": (SQUARE,), "role": "crowd", "flags": ("difficult", "occluded")}
    row, _ = judged(tmp_path, crowd, crowd="ignore", difficult="drop", occluded="object")
    assert (row.verdict, row.reason, row.policies) == ("discarded", "difficult", "crowd,difficult,occluded")
    row, _ = judged(tmp_path, crowd, crowd="ignore", difficult="ignore", occluded="object")
    assert (row.verdict, row.reason) == ("ignored", "crowd")
    row, (drawn,) = judged(tmp_path, crowd, crowd="object")
    assert (row.verdict, row.reason, drawn.role) == ("kept", "", "object")


def test_truncated_is_noted_and_decides_nothing(tmp_path):
    row, _ = judged(tmp_path, {"rings": (SQUARE,), "flags": ("truncated",), "detail": "truncated"})
    assert (row.verdict, row.policies, row.detail) == ("kept", "", "truncated")


@pytest.mark.parametrize("shape", [{"rings": (SQUARE,)}, {"rle": Rle(size_hw=(10, 20), counts=(20, 16, 164))}, BOX])
@pytest.mark.parametrize(("policy", "verdict"), [("ignore", "ignored"), ("drop", "dropped")])
def test_outlines_and_pixels_of_an_unknown_class_follow_one_policy(tmp_path, shape, policy, verdict):
    fields = {"id": "2", "image_key": "a", "category": "cat", "rings": (HOLE,)}
    put_photo(tmp_path)
    rules = Rules({"cat": "cat"}, Policies(unknown_class=policy))
    both = (Instance(**fields), Instance(**{"id": "1", "image_key": "a"} | shape | UNKNOWN))
    checked = check(CheckTask(tmp_path, Image(key="a", file="a.jpg"), both, rules, False))
    row = checked.rows[2]
    assert (row.verdict, row.reason, row.px_before) == (verdict, "unknown_category", 16)
    assert row.detail.startswith("class 7 has no name; ")
    roles = {instance.id: instance.role for instance in checked.instances}
    assert roles == {"2": "object"} | ({"1": "ignore"} if policy == "ignore" else {})


def test_an_unknown_class_without_a_shape_is_dropped(tmp_path):
    row, drawable = judged(tmp_path, UNKNOWN)
    assert (row.verdict, row.reason, row.policies, drawable) == ("dropped", "unknown_category", "unknown_class", ())


@pytest.mark.parametrize(("policy", "pixels"), [("union", 16), ("even_odd", 12)])
def test_a_nested_ring_adds_nothing_or_cuts_a_hole(tmp_path, policy, pixels):
    row, (drawn,) = judged(tmp_path, {"rings": (SQUARE, HOLE)}, holes=policy)
    assert (row.verdict, row.px_before, row.px_nested, row.policies) == ("kept", pixels, 4, "holes")
    assert drawn.even_odd == (policy == "even_odd")


def test_separate_rings_are_parts_under_both_policies(tmp_path):
    beside = (8.0, 1.0, 10.0, 1.0, 10.0, 3.0, 8.0, 3.0)
    for policy in ("union", "even_odd"):
        row, (drawn,) = judged(tmp_path, {"rings": (SQUARE, beside)}, holes=policy)
        assert (row.px_before, row.px_nested, row.policies, drawn.even_odd) == (20, 0, "", False)


def test_counts_are_by_policy_and_outcome(tmp_path):
    put_photo(tmp_path)
    rules = Rules({"cat": "cat"}, Policies(box="ignore", holes="even_odd", difficult="drop"))
    shapes = [
        {"kind": "box", "rings": (SQUARE,)},  # 16 pixels
        {"kind": "box", "rings": (HOLE,), "flags": ("difficult",)},  # 4
        {"rings": (SQUARE, HOLE)},  # 12, and a hole of 4
        {"rings": (SQUARE,), "role": "crowd"},
        {"kind": "line", "rings": ((1.0, 1.0, 9.0, 1.0),)},  # no width is set
        {"kind": "box", "rings": (SQUARE,), "category": "dog"},  # does not count at all
        {"rings": (SQUARE,)} | UNKNOWN,
    ]
    fields = {"image_key": "a", "category": "cat"}
    instances = tuple(Instance(**{"id": str(number)} | fields | shape) for number, shape in enumerate(shapes))
    checked = check(CheckTask(tmp_path, Image(key="a", file="a.jpg"), instances, rules, False))
    assert Totals.of([one_shard(checked.rows)]).policies() == {
        "unknown_class": {"ignored": {"annotations": 1, "pixels": 16}},
        "crowd": {"ignored": {"annotations": 1, "pixels": 16}},
        "box": {"ignored": {"annotations": 1, "pixels": 16}, "left_out": {"annotations": 1, "pixels": 4}},
        "line": {"left_out": {"annotations": 1, "pixels": 0}},
        "difficult": {"left_out": {"annotations": 1, "pixels": 4}},
        "holes": {"used": {"annotations": 1, "pixels": 4}},
    }
