import pytest

from segpipe.data.records import Image, Instance
from segpipe.ingest import fractions

QUARTER = (0.25, 0.25, 0.75, 0.25, 0.75, 0.75)
PIXELS = (3.5, 2.25, 7.5, 2.25, 7.5, 5.0)


@pytest.mark.parametrize(
    ("rings", "wanted"),
    [
        ([QUARTER], True),
        ([QUARTER, (0, 0, 1, 0, 1, 1, 0, 1)], True),
        ([(-0.02, 0.5, 1.03, 0.5, 0.5, 1)], True),  # past the border
        ([(0, 0, 1, 0, 1, 1, 0, 1)], False),  # one pixel
        ([(0.2, 0.2, 0.9, 0.2, 0.9, 0.9), PIXELS], False),  # one pixel in a file of pixels
        ([PIXELS], False),
        ([(0.5, 0.5, 1.5, 0.5, 1.5, 1.5)], False),
        ([()], False),
        ([], False),
    ],
)
def test_all_coordinates_of_a_file_decide_whether_they_are_fractions(rings, wanted):
    assert fractions.are_all(rings) == wanted


def test_holes_are_checked_for_fractions_and_rle_is_not():
    image = Image(key="", file="")
    hole = Instance(id="", image_key="", category="", rings=(QUARTER,), holes=(PIXELS,))
    assert fractions.with_problem(image, [hole]) == image
    assert fractions.with_problem(image, [Instance(id="", image_key="", category="")]) == image
