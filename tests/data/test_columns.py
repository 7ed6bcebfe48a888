import subprocess
import sys

import pyarrow as pa
import pytest

from segpipe.data.tables import column

COLUMNS = [
    ([], pa.string()),
    (["a", None, "", "hügel\n"], pa.string()),
    ([1, None, -(2**31)], pa.int32()),
    ([2**60, 0], pa.int64()),
    ([0.5, None, float("inf"), 3], pa.float64()),
    ([True, None, False] * 7, pa.bool_()),
    ([None, None], pa.float64()),
    ([[], None, [1.5, 2.0]], pa.list_(pa.float64())),
    ([(), ((1.0, 2.0), (3.0,)), ((),)], pa.list_(pa.list_(pa.float64()))),
    ([("difficult",), (), ("a", "b")], pa.list_(pa.string())),
    ([], pa.list_(pa.int64())),
]


@pytest.mark.parametrize(("values", "kind"), COLUMNS)
def test_a_column_is_what_arrow_itself_makes_of_the_values(values, kind):
    made = column(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


def test_a_number_that_the_column_cannot_hold_is_an_error():
    with pytest.raises(OverflowError):
        column([2**31], pa.int32())


def test_records_are_written_and_read_without_pandas(tmp_path):
    code = f"""
import sys
from pathlib import Path
from segpipe.data import tables
from segpipe.data.records import Dataset, Image, Instance
outline = (0.0, 0.0, 4.0, 0.0, 4.0, 4.0)
instance = Instance(id="1", image_key="a", category="cat", rings=(outline,), flags=("difficult",))
dataset = Dataset(format="coco", categories=("cat",), images=(Image(key="a", file="a.png"),), instances=(instance,))
tables.write_dataset(Path({str(tmp_path)!r}), dataset)
assert tables.read_dataset(Path({str(tmp_path)!r})) == dataset
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
