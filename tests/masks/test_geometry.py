import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from segpipe.masks.geometry import examine, polygonal_part

SQUARE = (1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0)
BOW_TIE = (0.0, 0.0, 8.0, 8.0, 8.0, 0.0, 0.0, 8.0)
far = st.lists(st.tuples(*[st.integers(-(2**31) + 1, 2**31 - 1)] * 2), min_size=3, max_size=6)
points = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=3, max_size=10)


def test_a_sound_ring_is_left_as_it_is():
    shape = examine([SQUARE], (10, 10))
    assert (shape.rings, shape.refused, shape.crosses, shape.past_border) == ((SQUARE,), 0, False, False)
    assert shape.area_drawn == shape.area_valid == 16


def test_a_bow_tie_crosses_itself_and_is_corrected_to_its_two_triangles():
    shape = examine([BOW_TIE], (10, 10))
    assert shape.crosses
    assert shape.area_valid == 32  # two triangles of base 8 and height 4
    assert shape.rings == (BOW_TIE,)  # the pixel rule draws it as it runs


def test_rings_without_three_different_points_are_refused():
    shape = examine([SQUARE, (1, 1, 2, 2, 1, 1), (3, 3, 4, 4)], (10, 10))
    assert (shape.rings, shape.refused) == ((SQUARE,), 2)


@pytest.mark.parametrize(
    ("shift", "past_border", "outside"),
    [(0, False, False), (4.4, False, False), (5.6, True, False), (9.1, True, True), (-6, True, True)],
)
def test_the_border(shift, past_border, outside):
    moved = tuple(n + shift if i % 2 == 0 else n for i, n in enumerate(SQUARE))
    shape = examine([moved], (10, 9))
    assert (shape.past_border, shape.outside) == (past_border, outside)


@settings(deadline=None)
@given(st.lists(st.one_of(points, far), min_size=1, max_size=4))
def test_what_is_drawn_are_the_annotators_own_rings_never_corrected_ones(drawn):
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
