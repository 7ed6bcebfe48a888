"""A drawn image and its truth: determined by seed and index, exact, and in the painting order of masks."""

import numpy as np
import pytest
from shapely.geometry import Polygon, box

from segpipe.demo import scenes
from segpipe.masks import raster, rle
from segpipe.masks.painting import SMALLER_ON_TOP, Paint, painting_order

SIZE = 96


@pytest.fixture(scope="module")
def drawn() -> list[scenes.Scene]:
    return [scenes.draw(3, index, SIZE) for index in range(45)]


def test_seed_and_index_determine_every_pixel(drawn):
    again = scenes.draw(3, 7, SIZE)
    np.testing.assert_array_equal(again.pixels, drawn[7].pixels)
    assert again.truths == drawn[7].truths
    assert scenes.draw(4, 7, SIZE).pixels.tobytes() != drawn[7].pixels.tobytes()


def test_truths_are_in_the_painting_order_of_masks(drawn):
    for scene in drawn:
        objects = [truth for truth in scene.truths if truth.category != scenes.UNSELECTED]
        paints = [Paint(truth.category, rle.area_px(truth.region), truth.crowd) for truth in objects]
        assert painting_order(paints, SMALLER_ON_TOP) == list(range(len(paints)))


def test_no_object_is_nearly_hidden(drawn):
    for scene in drawn:
        objects = [truth for truth in scene.truths if truth.category != scenes.UNSELECTED and not truth.crowd]
        owners = raster.paint([truth.region for truth in objects], scene.pixels.shape[:2])
        visible = np.bincount(owners.ravel(), minlength=len(objects) + 1)[1:]
        assert all(visible[i] > 0.25 * rle.area_px(truth.region) for i, truth in enumerate(objects))


def test_rings_are_valid_and_inside_the_frame(drawn):
    for scene in drawn:
        height, width = scene.pixels.shape[:2]
        for part in (part for truth in scene.truths for part in truth.shape.geoms):
            written = Polygon(np.reshape(scenes.flat_ring(part.exterior.coords), (-1, 2)))
            assert written.is_valid
            assert box(0, 0, width, height).covers(written)


def test_all_classes_holes_parts_and_a_crowd_occur(drawn):
    truths = [truth for scene in drawn for truth in scene.truths]
    assert {truth.category for truth in truths} == {*scenes.CLASSES, scenes.UNSELECTED}
    assert any(len(truth.shape.geoms) > 1 for truth in truths)
    assert any(part.interiors for truth in truths for part in truth.shape.geoms)
    assert sum(truth.crowd for truth in truths) == 1  # of images 0..44 only the 41st has one


def test_coverage_is_the_annotated_area():
    ring = box(10, 20, 50, 60).difference(box(25, 30, 40, 50))  # 40 x 40 with a hole of 15 x 20
    window = (slice(15, 70), slice(5, 60))
    coverage = scenes._coverage(ring, window)
    assert coverage.sum() == pytest.approx(40 * 40 - 15 * 20, rel=0.02)
    assert coverage[20 - 15 + 2, 10 - 5 + 2] == 1.0
    assert coverage[40 - 15, 32 - 5] == 0.0
    assert coverage[:4].max() == coverage[:, :4].max() == 0.0
