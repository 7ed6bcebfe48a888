import math

import pytest

from segpipe.core.errors import AnnotationError
from segpipe.ingest.parsing import (
    Fields,
    declared_size,
    int_or_text,
    number_or_nan,
    pixel_numbers,
    raised_flags,
    required_text,
    single_points,
)


def unknown_class(record):
    raise AnnotationError("has no class; add it", "unknown_category")


def test_the_first_problem_of_a_record_is_kept_and_later_fields_get_their_defaults():
    fields = Fields.of_object({"label": "cat"})
    assert fields.read(pixel_numbers, "x", default=[]) == []
    assert fields.read(required_text, "label", default="") == ""
    assert fields.read_together(dict) == {}
    assert (fields.problem, fields.detail) == (
        "bad_ring",
        "x None is not a number of pixels; draw it again or delete it",
    )


def test_fields_after_an_unknown_category_are_read_and_its_detail_is_kept():
    fields = Fields.of_object({"label": "cat", "detail": "occluded"})
    assert fields.read(unknown_class, default="") == ""
    assert fields.read(required_text, "label", default="") == "cat"
    assert fields.read_together(dict) == {"label": "cat"}
    assert (fields.problem, fields.detail) == ("unknown_category", "has no class; add it")
    assert fields.read(pixel_numbers, "x", default=[0.0]) == [0.0]
    assert fields.read(required_text, "label", default="") == ""  # after the second error
    assert fields.problem == "unknown_category"


def test_an_entry_that_is_not_an_object_has_only_defaults():
    fields = Fields.of_object(7)
    assert fields.read(required_text, "label", default="") == ""
    assert (fields.problem, fields.detail) == ("bad_record", "7 is not an object; export it again")


def test_a_detail_of_fields_read_together_is_the_detail_of_a_record_without_a_problem():
    fields = Fields({"kind": "box", "detail": "occluded"})
    assert fields.read_together(dict) == {"kind": "box"}
    assert (fields.problem, fields.detail) == ("", "occluded")


def test_a_text_of_digits_is_a_whole_number_and_another_text_stays():
    assert [int_or_text(text) for text in ("12", "012", "-1", "1.0", "", None)] == [12, 12, "-1", "1.0", "", None]


def test_each_point_of_a_ring():
    assert single_points((1.0, 2.0, 3.0, 4.0)) == ((1.0, 2.0), (3.0, 4.0))
    assert single_points(()) == ()


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


def test_raised_flags_ignore_case_and_accept_several_words_for_true():
    assert raised_flags([("Occluded", "1"), ("DIFFICULT", "TRUE"), ("truncated", "0")]) == ("difficult", "occluded")
    assert raised_flags([("occluded", 0), ("difficult", None), ("other", True), (7, True)]) == ()
