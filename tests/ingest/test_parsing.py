import math

import pytest

from segpipe.ingest.parsing import declared_size, number_or_nan, raised_flags


@pytest.mark.parametrize(
    ("height", "width", "fields"),
    [
        (6, 8.0, {"height": 6, "width": 8}),
        (None, None, {}),
        (
            6,
            None,
            {"detail": "the declared size None x 6 is not used: width and height must be positive whole numbers"},
        ),
        (0, 8, {"detail": "the declared size 8 x 0 is not used: width and height must be positive whole numbers"}),
    ],
)
def test_a_declared_size_is_used_if_both_numbers_are_positive_and_whole(height, width, fields):
    assert declared_size(height, width) == fields


def test_a_text_is_a_number_or_nan():
    assert (number_or_nan("1.5"), number_or_nan(" 2 ")) == (1.5, 2)
    assert math.isnan(number_or_nan("wide"))


def test_names_and_values_that_raise_a_flag():
    assert raised_flags([("Occluded", "1"), ("DIFFICULT", "TRUE"), ("truncated", "0")]) == ("difficult", "occluded")
    assert raised_flags([("occluded", 0), ("difficult", None), ("other", True), (7, True)]) == ()
