import pytest

from segpipe.core.errors import UserError
from segpipe.data import split_table
from segpipe.data.split_table import Assignment
from segpipe.split import pins
from segpipe.split.pins import Pin

ROWS = [
    Assignment(key="001", split="train", group="001", fold="0/3", sha256="aa"),
    Assignment(key="NA", split="", group="NA", reason="empty_mask", fold="1/3", sha256="bb"),
    Assignment(key="a,b", split="test", group="001", sha256="cc"),
]
TEXT = """key,split,group,reason,fold,sha256
001,train,001,,0/3,aa
NA,,NA,empty_mask,1/3,bb
"a,b",test,001,,,cc
"""


def test_rows_are_written_as_csv_and_read_back(tmp_path):
    table = tmp_path / "splits.csv"
    split_table.write(table, ROWS)
    assert table.read_bytes() == TEXT.encode()
    assert split_table.read(table) == ROWS


def test_keys_stay_text_and_left_out_is_an_empty_split(tmp_path):
    table = tmp_path / "splits.csv"
    split_table.write(table, ROWS)
    assert split_table.read_splits(table) == {"001": "train", "NA": "", "a,b": "test"}


def test_columns_may_come_in_any_order_and_others_are_ignored(tmp_path):
    table = tmp_path / "splits.csv"
    table.write_text("sha256,more,key,split,group,fold,reason\naa,x,001,train,001,0/3,\n")
    assert split_table.read(table) == ROWS[:1]


def test_a_missing_column_is_an_error_with_its_name(tmp_path):
    table = tmp_path / "splits.csv"
    table.write_text("key,split,group,reason\na,train,a,\n")
    with pytest.raises(UserError, match=r"splits.csv: column fold is missing; run `dvc repro`"):
        split_table.read(table)


def test_a_key_that_a_spreadsheet_would_compute_is_escaped_in_the_file_alone(tmp_path):
    table = tmp_path / "splits.csv"
    split_table.write(table, [Assignment(key="-a", split="test", group="-a", sha256="0")])
    assert table.read_text(encoding="utf-8").splitlines()[1].startswith("'-a,test,'-a,")
    assert split_table.read_splits(table) == {"-a": "test"}
    assert pins.of_split(table) == {"0": Pin(split="test")}
