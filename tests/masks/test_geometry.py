import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon

from segpipe.masks import geometry, raster
from segpipe.masks.geometry import corrected_area, examine, polygonal_part, widened

SQUARE = (1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0)
BOW_TIE = (0.0, 0.0, 8.0, 8.0, 8.0, 0.0, 0.0, 8.0)
far = st.lists(st.tuples(*[st.integers(-(2**31) + 1, 2**31 - 1)] * 2), min_size=3, max_size=6)
points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=3, max_size=10)


def test_a_valid_ring_is_unchanged():
    shape = examine([SQUARE], (10, 10))
    assert (shape.rings, shape.refused, shape.crosses, shape.past_border) == ((SQUARE,), 0, False, False)
    assert shape.area_drawn == corrected_area(shape) == 16


def test_a_bow_tie_crosses_itself_and_is_corrected_to_its_two_triangles():
    shape = examine([BOW_TIE], (10, 10))
    assert shape.crosses
    assert corrected_area(shape) == 32  # two triangles of base 8 and height 4
    assert shape.rings == (BOW_TIE,)  # the ring to draw is not corrected


def flat(points):
    return tuple(np.asarray(points, float).ravel().tolist())


def star(points, long, short):
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    reach = np.where(np.arange(points) % 2, long, short)
    return np.stack([40 + reach * np.cos(angles), 32 + reach * np.sin(angles)], axis=1)


@pytest.mark.parametrize("count", [150, 20_000])  # make_valid took 2 s for 150 random points, 108 s for 500
def test_a_ring_that_crosses_itself_thousands_of_times_is_not_corrected(count):
    scribble = flat(np.random.default_rng(0).random((count, 2)) * [80, 64])
    shape = examine([scribble, SQUARE], (64, 80))
    assert (shape.crosses, shape.rings) == (True, (scribble, SQUARE))
    assert corrected_area(shape) is None


def test_a_ring_of_many_points_with_a_knot_is_not_corrected():
    knot = np.random.default_rng(0).random((150, 2)) / 10
    assert corrected_area(examine([flat([*star(20_000, 30, 30), *knot])], (64, 80))) is None


def test_a_ring_of_many_points_is_checked_for_crossings():
    circle = star(20_000, 30, 30)
    assert not examine([flat(circle)], (64, 80)).crosses
    assert not examine([flat(np.repeat(circle, 2, axis=0))], (64, 80)).crosses
    circle[[10, 11]] = circle[[11, 10]]
    shape = examine([flat(circle)], (64, 80))
    assert shape.crosses
    assert corrected_area(shape) == pytest.approx(900 * np.pi, rel=1e-6)


def test_a_star_of_many_narrow_rays_counts_as_valid():  # GEOS checks one of 200,000 points in 72 s
    assert not examine([flat(star(30_000, 30, 10))], (64, 80)).crosses


def test_a_line_of_many_points_is_widened_as_shapely_widens_it_in_one_call():
    line = np.random.default_rng(0).normal(0, 2, (100, 2)).cumsum(axis=0) + 40
    rings, holes = widened([flat(line)], 3)
    buffered = LineString(line).buffer(3)
    expected = [flat(buffered.exterior.coords)], [flat(hole.coords) for hole in buffered.interiors]
    seen = [
        raster.paint([raster.draw(outer, (80, 80), inner)], (80, 80)) for outer, inner in ((rings, holes), expected)
    ]
    np.testing.assert_array_equal(*seen)


def test_rings_without_three_different_points_are_refused():
    shape = examine([SQUARE, (1, 1, 2, 2, 1, 1), (3, 3, 4, 4)], (10, 10))
    assert (shape.rings, shape.refused) == ((SQUARE,), 2)


@pytest.mark.parametrize(
    ("shift", "past_border", "outside"),
    [(0, False, False), (4.4, False, False), (5.6, True, False), (9.1, True, True), (-6, True, True)],
)
def test_a_shape_past_the_border_or_outside_the_frame_is_reported(shift, past_border, outside):
    moved = tuple(n + shift if i % 2 == 0 else n for i, n in enumerate(SQUARE))
    shape = examine([moved], (10, 9))
    assert (shape.past_border, shape.outside) == (past_border, outside)


@settings(deadline=None)
@given(st.lists(st.one_of(points, far), min_size=1, max_size=4))
def test_rings_to_draw_are_never_corrected(drawn):
    rings = [tuple(float(number) for point in ring for number in point) for ring in drawn]
    usable = tuple(ring for ring, ring_points in zip(rings, drawn, strict=True) if len(set(ring_points)) >= 3)
    assert examine(rings, (10, 10)).rings == usable
    assert examine([SQUARE], (10, 10), rings).holes == usable


@settings(deadline=None)
@given(points)
def test_correction_stays_within_the_hull_and_is_valid(ring):
    polygon = Polygon(ring)
    corrected = polygonal_part(polygon)
    assert corrected.is_valid
    assert corrected.area <= polygon.convex_hull.area + 1e-9


def points_of(ring):
    return np.reshape(ring, (-1, 2))


def test_a_box_has_the_same_corners_from_any_two_opposite_ones():
    assert geometry.box(5, 4, 2, 1) == geometry.box(2, 1, 5, 4) == (2, 1, 5, 1, 5, 4, 2, 4)


def test_a_circle_has_64_points_at_its_radius():
    assert len(points_of(geometry.circle(10, 20, 8))) == 64
    np.testing.assert_allclose(np.hypot(*(points_of(geometry.circle(10, 20, 8)) - [10, 20]).T), 8)


def test_an_ellipse_rotates_clockwise_as_seen():
    # 45 degrees: the long axis runs from the top left to the bottom right, where x and y both grow
    x, y = points_of(geometry.ellipse(0, 0, 10, 1, 45)).T
    assert np.isclose((x + y).max(), 10 * np.sqrt(2))
    assert np.isclose((x - y).max(), np.sqrt(2))


def test_a_rotated_ring_keeps_its_centre_and_size():
    np.testing.assert_allclose(geometry.rotated((0, 0, 4, 0, 4, 2, 0, 2), 90), (3, -1, 3, 3, 1, 3, 1, -1))
    assert geometry.rotated((0, 0, 4, 0, 4, 2), 0) == (0, 0, 4, 0, 4, 2)
