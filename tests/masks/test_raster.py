import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from segpipe.data import photos
from segpipe.ingest.read import read_source
from segpipe.masks import geometry, raster, rle
from tests.grids import grid

coordinates = st.one_of(
    st.floats(-30, 60, allow_nan=False, width=32),
    st.integers(-60, 120).map(lambda half: half / 2),  # on pixel borders and in pixel centres
    st.integers(-300, 600).map(lambda tenth: tenth / 10),
)
points = st.tuples(coordinates, coordinates)
rings = st.one_of(
    st.lists(points, min_size=3, max_size=12),  # most cross themselves
    st.tuples(points, points, st.integers(2, 5)).map(lambda two: [two[0], two[1]] * two[2]),  # there and back
    st.lists(points, min_size=2, max_size=5).map(lambda few: [point for point in few for _ in (1, 2)]),
).map(lambda ring: [number for point in ring for number in point])
shapes = st.lists(rings, min_size=1, max_size=3)


def oracle(shape, size_hw):
    return coco_mask.merge(coco_mask.frPyObjects(shape, *size_hw))


def pixels(region, size_hw):
    return raster.paint([region], size_hw)


def test_a_rectangle_on_pixel_borders_covers_the_pixels_inside():
    np.testing.assert_array_equal(
        pixels(raster.draw([[1, 1, 4, 1, 4, 3, 1, 3]], (4, 6)), (4, 6)),
        grid("""
            ......
            .###..
            .###..
            ......
        """),
    )  # PIL.ImageDraw.polygon would give 4 x 3: it includes the far edge


def test_a_ten_by_ten_square_is_a_hundred_pixels():
    assert rle.area_px(raster.draw([[5, 5, 15, 5, 15, 15, 5, 15]], (20, 20))) == 100


def test_rings_of_one_instance_are_united():
    apart = raster.draw([[0, 0, 2, 0, 2, 2, 0, 2], [3, 0, 5, 0, 5, 2, 3, 2], [1, 0, 2, 0, 2, 1, 1, 1]], (2, 5))
    np.testing.assert_array_equal(pixels(apart, (2, 5)), grid("##.## ##.##"))


def test_a_bow_tie_is_two_triangles_not_its_box():
    area = rle.area_px(raster.draw([[0, 0, 20, 20, 20, 0, 0, 20]], (20, 20)))
    assert abs(area - 200) <= 20  # its box is 400, its triangles 2 x 100


@pytest.mark.parametrize("shapes", [[[[1, 1, 4, 4]]], [[]], [[[1, 1, 4, 1, 4, 4]], []]])
def test_four_numbers_are_not_a_ring_and_a_shape_needs_a_ring(shapes):
    with pytest.raises(ValueError, match="three points"):
        raster.draw_each(shapes, (5, 5))  # pycocotools would draw a box


@settings(max_examples=500, deadline=None)
@given(st.lists(shapes, min_size=1, max_size=4), st.integers(1, 40), st.integers(1, 40))
def test_every_shape_is_drawn_as_pycocotools_draws_it(drawn, height, width):
    for region, shape in zip(raster.draw_each(drawn, (height, width)), drawn, strict=True):
        expected = oracle(shape, (height, width))
        assert rle.compressed(region) == expected
        assert rle.area_px(region) == coco_mask.area(expected)
        left, top, wide, high = coco_mask.toBbox(expected).tolist()
        assert rle.bounds(region) == ((left, top, left + wide, top + high) if wide and high else None)


def test_five_thousand_random_polygons_equal_those_of_pycocotools():
    """Frames of any size, points far outside on every side, 200 polygons per call."""
    rng = np.random.default_rng(5)
    for _ in range(25):
        size_hw = tuple(rng.integers(1, 700, 2).tolist())
        steps = rng.choice([1e-9, 0.01, 0.1, 0.5, 1], 200)  # from floats to integers
        low, high = -0.5 * max(size_hw), 1.5 * max(size_hw)
        drawn = [[(rng.uniform(low, high, 2 * rng.integers(3, 40)) // step * step).tolist()] for step in steps]
        regions = [rle.compressed(region) for region in raster.draw_each(drawn, size_hw)]
        assert regions == [oracle(shape, size_hw) for shape in drawn]


def test_points_a_hundred_thousand_pixels_away_are_drawn_as_pycocotools_draws_them():
    rng = np.random.default_rng(7)
    for _ in range(100):
        size_hw = tuple(rng.integers(1, 70, 2).tolist())
        near, far = rng.uniform(-5, 75, 8), rng.uniform(-1e5, 1e5, 8)
        ring = np.where(rng.random(8) < 0.5, near, far).round(rng.integers(0, 3)).tolist()
        assert rle.compressed(raster.draw([ring], size_hw)) == oracle([ring], size_hw)


@pytest.mark.parametrize("reach", [1e6, 1e8, 2**31 - 1])
def test_points_too_far_away_for_pycocotools_are_drawn_by_the_same_rule(reach):
    """A wedge from (2, 4) to the far right: at x it extends x - 2 pixels up and down."""
    wedge = [2, 4, reach, 4 - (reach - 2), reach, 4 + (reach - 2)]
    near = [2, 4, 62, -56, 62, 64]  # the same lines, as far as pycocotools can draw them
    assert rle.compressed(raster.draw([wedge], (8, 12))) == oracle([near], (8, 12))


@settings(max_examples=200, deadline=None)
@given(st.lists(shapes, min_size=1, max_size=6), st.integers(1, 60))
def test_the_number_of_crossings_at_once_changes_no_region(drawn, at_once):
    expected = [rle.compressed(region) for region in raster.draw_each(drawn, (30, 40))]
    regions = raster.draw_each(drawn, (30, 40), crossings_at_once=at_once)
    assert [rle.compressed(region) for region in regions] == expected


@pytest.mark.parametrize("shapes", [
    [[[0, 10 * i, 4000, 10 * i + 1, 4000, 10 * i + 5, 0, 10 * i + 4]] for i in range(100)],
    [[[x for i in range(100) for x in (0, 10 * i, 4000, 10 * i + 2)]]],
])  # fmt: skip
def test_wide_shapes_need_little_more_memory_than_their_runs(shapes):
    tracemalloc.start()
    regions = raster.draw_each(shapes, (1000, 4000), crossings_at_once=1 << 12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = sum(region.edges.nbytes for region in regions)
    assert size > 1_000_000
    assert peak < 4 * size + 1_000_000


@settings(max_examples=200, deadline=None)
@given(shapes, shapes)
def test_holes_are_subtracted(solid, holes):
    size_hw = (30, 40)
    left = coco_mask.decode(oracle(solid, size_hw)) & ~coco_mask.decode(oracle(holes, size_hw))
    np.testing.assert_array_equal(pixels(raster.draw(solid, size_hw, holes), size_hw), left)


@settings(max_examples=100, deadline=None)
@given(st.lists(rings, min_size=1, max_size=5))
def test_painting_equals_writing_each_decoded_mask_over_the_last(shapes):
    regions = [raster.draw([shape], (30, 40)) for shape in shapes]
    label_map = np.zeros((30, 40), np.int32)
    for number, shape in enumerate(shapes, start=1):
        label_map[coco_mask.decode(oracle([shape], (30, 40))).astype(bool)] = number
    np.testing.assert_array_equal(raster.paint(regions, (30, 40)), label_map)


def test_each_value_of_a_mask_becomes_a_region():
    values = grid("1122 1221 0000").astype(np.int32) * 1000
    regions = raster.of_values(values)
    assert sorted(regions) == [0, 1000, 2000]
    for value, region in regions.items():
        np.testing.assert_array_equal(pixels(region, (3, 4)) > 0, values == value)


@pytest.mark.parametrize(
    ("name", "least"),
    [("coco_mini", 1464), ("car_damage", 4930), ("multi_format", 150), ("labelme", 20)],
)
def test_every_real_polygon_is_drawn_as_pycocotools_draws_it(real_data, name, least):
    """All rings of an image are drawn in one call, as the readers return them, for every format."""
    dataset = read_source(real_data / name)
    rings_of: dict[str, list] = {}
    for instance in dataset.instances:
        if instance.rings and instance.image_key:
            rings_of.setdefault(instance.image_key, []).append(instance.rings)
    seen = 0
    for image in dataset.images:
        size_hw = photos.read_size(real_data / name / image.file)[0] if image.key in rings_of else (1, 1)
        shapes = [geometry.examine(rings, size_hw).rings for rings in rings_of.get(image.key, ())]
        usable = [rings for rings in shapes if rings]
        for rings, region in zip(usable, raster.draw_each(usable, size_hw), strict=True):
            assert rle.compressed(region) == oracle([list(ring) for ring in rings], size_hw), image.file
            seen += len(rings)
    assert seen >= least
