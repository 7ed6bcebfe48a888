from dataclasses import astuple, fields

from segpipe.core import csv_files
from segpipe.data import split_table
from segpipe.split import pins, placing
from segpipe.split.assign import Placed
from segpipe.split.pins import Pin
from segpipe.split.placing import Side


def test_keys_stay_text_and_left_out_is_an_empty_split(tmp_path):
    table = tmp_path / "splits.csv"
    table.write_text('key,split,group,reason\n001,train,001,\nNA,,NA,empty_mask\n"a,b",test,c,\n', encoding="utf-8")
    assert split_table.read(table) == {"001": "train", "NA": "", "a,b": "test"}


def test_whoever_reads_the_table_finds_a_key_that_a_spreadsheet_would_compute(tmp_path):
    table = tmp_path / "splits.csv"
    columns = [field.name for field in fields(Placed)]
    csv_files.write(table, columns, [astuple(Placed(key="-a", split="test", group="-a", sha256="0"))])
    assert table.read_text(encoding="utf-8").splitlines()[1].startswith("'-a,test,'-a,")
    assert split_table.read(table) == {"-a": "test"}
    assert placing.read(table) == [Side("-a", "test", "-a", "")]
    assert pins.of_split(table) == {"0": Pin(split="test")}
