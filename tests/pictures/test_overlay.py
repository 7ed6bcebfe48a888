import numpy as np
import pytest

from segpipe.data.classes import ClassTable
from segpipe.pictures import overlay as overlays
from segpipe.pictures.overlay import outlines, overlay

COLOURS = ClassTable(("background", "cat")).colours  # cat: (128, 0, 0)


@pytest.mark.parametrize("strip", [512, 2])
def test_an_object_is_tinted_half_and_outlined_in_full_and_the_rest_stays(monkeypatch, strip):
    monkeypatch.setattr(overlays, "_STRIP", strip)
    label_map = np.zeros((5, 5), np.uint8)
    label_map[1:4, 1:4] = 1
    picture = np.full((5, 5, 3), 100, np.uint8)
    result = overlay(picture, label_map, COLOURS)
    assert result[0, 0].tolist() == [100, 100, 100]
    assert result[1, 1].tolist() == [128, 0, 0]
    assert result[3, 3].tolist() == [128, 0, 0]
    assert result[2, 2].tolist() == [114, 50, 50]  # half of 100 and 128, half of 100 and 0


def test_ignored_pixels_stay_as_they_are():
    picture = np.full((2, 2, 3), 90, np.uint8)
    np.testing.assert_array_equal(overlay(picture, np.full((2, 2), 255, np.uint8), COLOURS), picture)


def test_outlines_lie_on_both_sides_of_an_edge():
    assert outlines(np.array([[0, 0, 1, 1]])).tolist() == [[False, True, True, False]]


def test_one_class_has_no_outline():
    assert not outlines(np.ones((3, 3), int)).any()
