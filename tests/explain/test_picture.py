from pathlib import Path

import numpy as np
import pytest

from segpipe.core.errors import AnnotationError
from segpipe.data.classes import ClassTable
from segpipe.data.records import Instance
from segpipe.explain import picture
from tests.grids import grid

SQUARE = Instance(id="1", image_key="a", category="cat", rings=((2.0, 2.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0),))


def test_visible_pixels_are_green_and_hidden_ones_pink():
    image = np.zeros((40, 60, 3), np.uint8)
    mask = picture.mask_of(SQUARE, (40, 60), Path())
    visible = mask.copy()
    visible[:, 4:] = False
    drawn = np.asarray(picture.of_instance(image, SQUARE, mask, visible).image)
    zoom = 16  # 40 x 52 pixels of the image are shown, 4 + 2 x 24 across: 900 / 52 would be 17
    assert drawn.shape == (40 * zoom, 52 * zoom, 3)
    middle = zoom // 2
    assert drawn[4 * zoom + middle, 3 * zoom + middle].tolist() == [20, 100, 45]  # half of (40, 200, 90) on black
    assert drawn[4 * zoom + middle, 5 * zoom + middle].tolist() == [128, 20, 65]
    assert drawn[10 * zoom, 10 * zoom].tolist() == [0, 0, 0]


def test_a_shape_beyond_the_border_is_shown_on_grey():
    outside = Instance(id="1", image_key="a", category="cat", rings=((-20.0, 2.0, -10.0, 2.0, -10.0, 8.0),))
    image = np.zeros((40, 60, 3), np.uint8)
    nothing = np.zeros((40, 60), bool)
    drawn = np.asarray(picture.of_instance(image, outside, nothing, nothing).image)
    assert drawn[-1, 0].tolist() == [128, 128, 128]
    assert drawn[-1, -1].tolist() == [0, 0, 0]
    assert (drawn == 255).all(axis=2).any()  # the outline


def test_a_large_image_is_reduced():
    image = np.full((1000, 3000, 3), 7, np.uint8)
    drawn = np.asarray(
        picture.of_image(image, np.zeros((1000, 3000), np.uint8), ClassTable(("background", "cat"))).image
    )
    assert drawn.shape == (300, 900, 3)
    assert (drawn == 7).all()


def test_classes_have_their_colours_and_ignored_pixels_are_hatched():
    classes = ClassTable(("background", "cat"))
    label_map = np.repeat(np.repeat(grid("1x."), 300, axis=0), 300, axis=1)
    drawn = np.asarray(picture.of_image(np.zeros((300, 900, 3), np.uint8), label_map, classes).image)
    assert drawn[150, 150].tolist() == [64, 0, 0]  # half of VOC's (128, 0, 0) on black
    assert {tuple(pixel) for pixel in drawn[100:120, 450].tolist()} == {(0, 0, 0), (224, 224, 192)}
    assert drawn[150, 750].tolist() == [0, 0, 0]


def test_a_ring_of_two_points_has_no_mask():
    line = Instance(id="1", image_key="a", category="cat", rings=((2.0, 2.0, 6.0, 2.0),))
    with pytest.raises(AnnotationError, match="it has no area"):
        picture.mask_of(line, (40, 60), Path())
