import numpy as np
import pytest

from segpipe.data.records import Instance
from segpipe.masks import raster, rle
from segpipe.validate.findings import DrawnInstance, find, has_nested_rings

SIZE = (40, 60)


def square(left, top, side):
    return (left, top, left + side, top, left + side, top + side, left, top + side)


def drawn(name, *rings, category="cat", area=None, areas=None, **fields):
    instance = Instance(id=name, image_key="a", category=category, rings=rings, area=area, **fields)
    return of_region(instance, raster.draw(rings, SIZE), areas or ())


def of_region(instance, region, areas=()):
    return DrawnInstance(instance, region, rle.area_px(region), rle.bounds(region), areas)


def codes(*annotations):
    return [(finding.id, finding.code) for finding in find(annotations, SIZE)]


def test_valid_annotations_have_no_findings():
    assert codes(drawn("1", square(1, 1, 10), area=100), drawn("2", square(20, 1, 10), area=97)) == []
    assert codes() == []


def test_a_repeated_outline_of_one_class_names_the_earlier_one():
    (finding,) = find([drawn("1", square(1, 1, 10)), drawn("2", square(1, 1, 10))], SIZE)
    assert (finding.code, finding.id, finding.twin) == ("annotated_twice", "2", "1")
    assert finding.detail == "the same pixels as 1 (IoU 100 %)"


def test_a_repeated_outline_of_another_class_names_both_classes():
    (finding,) = find([drawn("1", square(1, 1, 10)), drawn("2", square(1, 1, 10), category="dog")], SIZE)
    assert (finding.code, finding.detail) == (
        "annotated_as_two_classes",
        "the same pixels as 1 (IoU 100 %), as cat and as dog",
    )


@pytest.mark.parametrize(("width", "twice"), [(20, False), (21, True)])
def test_regions_are_nearly_equal_from_an_iou_of_95_percent(width, twice):
    # columns 1..20 against 1..width + 1, over 20 rows: 20/21 = 95.2 % for one column more, 19/20 = 95 % for one less
    other = (1, 1, width + 1, 1, width + 1, 21, 1, 21)
    narrow = (1, 1, 20 - (not twice), 1, 20 - (not twice), 21, 1, 21)  # 18 or 19 columns
    pair = (drawn("1", square(1, 1, 20)), drawn("2", other if twice else narrow))
    assert bool(codes(*pair)) == twice


def test_each_of_several_copies_has_one_finding():
    copies = [drawn(str(i), square(1, 1, 10)) for i in range(4)]
    assert codes(*copies) == [(str(i), "annotated_twice") for i in (1, 2, 3)]


def test_a_crowd_is_not_a_copy_of_an_object():
    assert codes(drawn("1", square(1, 1, 10), role="crowd"), drawn("2", square(1, 1, 10))) == []


def test_different_shapes_with_equal_boxes_are_not_copies():
    rising, falling = (0, 0, 2, 0, 20, 18, 20, 20, 18, 20, 0, 2), (18, 0, 20, 0, 20, 2, 2, 20, 0, 20, 0, 18)
    assert codes(drawn("1", rising), drawn("2", falling)) == []


@pytest.mark.parametrize(
    ("rings", "inside"),
    [
        ((square(1, 1, 10), square(3, 3, 4)), True),
        ((square(3, 3, 4), square(1, 1, 10)), True),  # in any order
        ((square(1, 1, 10), square(1, 1, 10)), True),  # equal rings
        ((square(1, 1, 10), square(8, 8, 10)), False),  # they cross
        ((square(1, 1, 10), square(20, 1, 10)), False),
        (((0, 0, 10, 0, 10, 2, 2, 2, 2, 10, 0, 10), square(4, 4, 3)), False),  # in the corner of an L, outside of it
        (
            ((0, 0, 10, 0, 10, 2, 2, 2, 2, 10, 0, 10), square(4, 4, 3), square(4, 0, 1)),
            True,
        ),  # the last is in its arm
        ((square(1, 1, 10),), False),
        ((), False),
    ],
)
def test_a_ring_is_nested_if_it_is_entirely_inside_another(rings, inside):
    assert has_nested_rings(rings) == inside


def test_nested_rings_are_a_finding():
    assert codes(drawn("1", square(1, 1, 20), square(5, 5, 5))) == [("1", "nested_rings")]


@pytest.mark.parametrize(
    ("area", "code"),
    [
        (400, None),  # 20 x 20
        (421, None),  # 5 % of 421 are 21.05
        (422, "area_disagrees"),  # of 422 21.1
        (380, None),
        (379, "area_disagrees"),
        (0, "area_disagrees"),
        (None, None),
    ],
)
def test_a_declared_area_may_differ_by_5_percent(area, code):
    assert codes(drawn("1", square(1, 1, 20), area=area)) == ([("1", code)] if code else [])


def test_a_small_declared_area_may_differ_by_10_pixels():
    assert codes(drawn("1", square(1, 1, 3), area=19)) == []
    assert codes(drawn("1", square(1, 1, 3), area=20)) == [("1", "area_disagrees")]


def test_the_declared_area_may_include_the_part_outside_the_image():
    past = (50, 0, 70, 0, 70, 20, 50, 20)  # 20 x 20, of which 10 x 20 are inside the image
    assert codes(drawn("1", past, area=400, areas=(400.0,))) == []
    assert codes(drawn("1", past, area=200, areas=(400.0,))) == []


def test_an_area_of_the_box_has_a_separate_code():
    triangle = (0, 0, 20, 0, 0, 20)
    (finding,) = find([drawn("1", triangle, area=400)], SIZE)
    assert (finding.code, finding.detail) == ("area_of_box", "the declared area is 400, the annotation covers 190 px")


def test_an_annotation_of_the_whole_image_is_a_finding():
    assert codes(drawn("1", (0, 0, 60, 0, 60, 40, 0, 40))) == [("1", "whole_frame")]
    assert codes(drawn("1", (0, 0, 59, 0, 59, 40, 0, 40))) == [("1", "whole_frame")]  # 98.3 %
    assert codes(drawn("1", (0, 0, 58, 0, 58, 40, 0, 40))) == []  # 96.7 %
    assert codes(drawn("1", (0, 0, 60, 0, 60, 40, 0, 40), role="ignore")) == []


def test_a_copy_is_found_among_many_objects():
    # a grid of 20 x 15 squares of 2 px, and a copy of the last: only touching boxes are compared
    grid = [drawn(f"{x},{y}", square(3 * x, 2.5 * y, 2)) for y in range(15) for x in range(20)]
    assert codes(*grid, drawn("copy", square(57, 35, 2))) == [("copy", "annotated_twice")]


def test_run_lengths_are_compared_with_outlines():
    mask = np.zeros(SIZE, bool)
    mask[2:12, 3:13] = True
    of_mask = Instance(id="rle", image_key="a", category="cat", area=100)
    assert codes(drawn("1", square(3, 2, 10)), of_region(of_mask, raster.of_mask(mask))) == [("rle", "annotated_twice")]
