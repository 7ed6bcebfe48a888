import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segpipe.core import csv_files

TEXTS = st.one_of(st.text(st.characters(codec="utf-8"), max_size=12), st.text("'=+-@;,\"\t\r\n 1a.\uff1d", max_size=6))
FORMULAS = ["=1+1", "=cmd|' /C calc'!A0", "+1+1", "-x.jpg", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "'=1", "''@a"]
ORDINARY = ["cat", "", "a, b", 'traffic "light"', "a\nb", "-5", "+33", "-0.250000", "'tis", "a=b", "nan", "NA", "True"]


@settings(deadline=None)
@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=4))
def test_any_text_is_read_as_it_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(csv_files.text(["=a", "b"], rows), encoding="utf-8", newline="")
    assert csv_files.read(path) == [{"=a": first, "b": second} for first, second in rows]


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_any_names_are_read_from_one_cell_as_they_were_written(names):
    assert csv_files.split_names(csv_files.join_names(names)) == tuple(names)


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_a_formula(formula):
    [row] = csv.reader(io.StringIO(csv_files.text([formula], []), newline=""))
    assert row == [f"'{formula}"]


def test_ordinary_tables_equal_those_of_pythons_writer():
    rows = [[text, number] for number, text in enumerate(ORDINARY)] + [[0.5, None], [-1, -0.5]]
    plain = io.StringIO()
    csv.writer(plain, lineterminator="\n").writerows([["class", "iou"], *rows])
    assert csv_files.text(["class", "iou"], rows) == plain.getvalue()


def test_ordinary_names_are_joined_by_semicolons():
    assert csv_files.join_names(["background", 'traffic "light", red', "=x"]) == 'background; traffic "light", red; =x'
    assert csv_files.join_names(["a; b", "", " c"]) == '"a; b"; ""; " c"'
    assert csv_files.join_names([]) == ""
