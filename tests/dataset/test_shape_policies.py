"""What boxes, lines, points and holes become."""

import math

import pytest

from segpipe.dataset.checks import ShapePolicies, Task, check
from segpipe.records import Image, Instance
from tests.dataset.test_checks import SQUARE, picture

BOX = {"kind": "box", "rings": (SQUARE,)}
LINE = {"kind": "line", "rings": ((4.0, 4.0, 14.0, 4.0),)}
POINTS = {"kind": "point", "rings": ((5.0, 5.0), (15.0, 5.0))}


def judged(folder, fields, **policies):
    """The one row and instance of a picture of 20 x 10 pixels."""
    picture(folder)
    instance = Instance(**{"id": "1", "image_key": "a", "category": "cat", "place": "x"} | fields)
    shapes = ShapePolicies(**policies)
    task = Task(folder, Image(key="a", file="a.jpg"), (instance,), {"cat": "cat"}, "ignore", False, shapes)
    checked = check(task)
    return checked.rows[1], checked.instances


@pytest.mark.parametrize(
    ("fields", "policies", "verdict", "reason", "pixels"),
    [
        (BOX, {}, "kept", "box", 16),
        (BOX, {"box": "ignore"}, "ignored", "ignore", 16),
        (BOX, {"box": "drop"}, "discarded", "box", None),
        (LINE, {}, "dropped", "not_a_region", None),
        (POINTS, {}, "dropped", "not_a_region", None),
        (LINE | {"rings": ((-9.0, 4.0, 9.0, 4.0),)}, {"line_width_px": 2}, "clipped", "past_border", None),
        ({"rings": (), "problem": "deleted", "detail": "its annotator deleted it"}, {}, "discarded", "deleted", None),
        ({"rings": (SQUARE,), "holes": ((2.0, 2.0, 4.0, 2.0, 4.0, 4.0, 2.0, 4.0),)}, {}, "kept", "", 12),
        ({"rings": (SQUARE,), "holes": ((2.0, 2.0, 4.0, 2.0),)}, {}, "repaired", "ring_removed", 16),
        ({"rings": (SQUARE,), "holes": (SQUARE,)}, {}, "dropped", "zero_area", 0),
    ],
)
def test_each_shape_gets_the_verdict_of_its_policy(tmp_path, fields, policies, verdict, reason, pixels):
    row, drawable = judged(tmp_path, fields, **policies)
    assert (row.verdict, row.reason) == (verdict, reason)
    assert pixels is None or row.px_before == pixels
    assert bool(drawable) == (verdict in ("kept", "repaired", "clipped", "ignored"))


def test_a_line_without_a_width_says_what_to_set(tmp_path):
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


def test_a_line_that_closes_leaves_its_inside_free(tmp_path):
    square = LINE | {"rings": ((2.0, 2.0, 8.0, 2.0, 8.0, 8.0, 2.0, 8.0, 2.0, 2.0),)}
    row, (drawn,) = judged(tmp_path, square, line_width_px=2)
    assert (len(drawn.rings), len(drawn.holes)) == (1, 1)
    # 8 x 8 without the rounded corners, without the 4 x 4 inside
    assert row.px_before == pytest.approx(64 - (4 - math.pi) - 16, abs=4)


def test_what_the_annotator_noted_stands_in_the_ledger(tmp_path):
    row, _ = judged(tmp_path, {"rings": (SQUARE,), "detail": "flags: ['difficult']"})
    assert (row.verdict, row.detail) == ("kept", "flags: ['difficult']")
