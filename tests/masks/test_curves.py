import numpy as np

from segpipe.masks import geometry


def points(ring):
    return np.reshape(ring, (-1, 2))


def test_a_box_is_its_corners_whichever_are_given():
    assert geometry.box(5, 4, 2, 1) == geometry.box(2, 1, 5, 4) == (2, 1, 5, 1, 5, 4, 2, 4)


def test_a_circle_is_64_points_on_it():
    assert len(points(geometry.circle(10, 20, 8))) == 64
    np.testing.assert_allclose(np.hypot(*(points(geometry.circle(10, 20, 8)) - [10, 20]).T), 8)


def test_an_ellipse_turns_clockwise_as_seen():
    # 45 degrees: the long axis runs from the top left to the bottom right, where x and y both grow
    x, y = points(geometry.ellipse(0, 0, 10, 1, 45)).T
    assert np.isclose((x + y).max(), 10 * np.sqrt(2))
    assert np.isclose((x - y).max(), np.sqrt(2))


def test_a_turned_ring_keeps_its_middle_and_size():
    np.testing.assert_allclose(geometry.rotated((0, 0, 4, 0, 4, 2, 0, 2), 90), (3, -1, 3, 3, 1, 3, 1, -1))
    assert geometry.rotated((0, 0, 4, 0, 4, 2), 0) == (0, 0, 4, 0, 4, 2)
