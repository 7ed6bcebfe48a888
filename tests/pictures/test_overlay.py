import numpy as np
import pytest

from segpipe.data.classes import ClassTable
from segpipe.pictures.overlay import edges, overlay

COLOURS = ClassTable(("background", "cat")).colours  # cat: (128, 0, 0)


@pytest.mark.parametrize("strip_rows", [512, 2])
def test_an_object_has_a_half_tinted_inside_and_a_full_edge_and_background_stays(strip_rows):
    label_map = np.zeros((5, 5), np.uint8)
    label_map[1:4, 1:4] = 1
    image = np.full((5, 5, 3), 100, np.uint8)
    result = overlay(image, label_map, COLOURS, strip_rows)
    assert result[0, 0].tolist() == [100, 100, 100]
    assert result[1, 1].tolist() == [128, 0, 0]
    assert result[3, 3].tolist() == [128, 0, 0]
    assert result[2, 2].tolist() == [114, 50, 50]  # half of 100 and 128, half of 100 and 0


def test_ignored_pixels_do_not_change():
    image = np.full((2, 2, 3), 90, np.uint8)
    np.testing.assert_array_equal(overlay(image, np.full((2, 2), 255, np.uint8), COLOURS), image)


def test_an_edge_has_pixels_on_both_sides():
    assert edges(np.array([[0, 0, 1, 1]])).tolist() == [[False, True, True, False]]


def test_a_map_of_one_class_has_no_edge():
    assert not edges(np.ones((3, 3), int)).any()
