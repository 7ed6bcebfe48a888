import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from segpipe.data import tables
from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.data.records import Dataset, Image, Instance, Photo, Rle
from segpipe.data.tables import column

DATASET = Dataset(
    format="coco",
    categories=("cat", "hügel"),
    images=(Image(key="a", file="x/ä b.jpg", width=4, height=3, split="val"), Image(key="b", file="", problem="p")),
    instances=(
        Instance(id="j#1", image_key="a", category="cat", rings=((0.5, 1.0, 2.0, 1.0, 2.0, 3.0),), area=2.25),
        Instance(id="j#2", image_key="a", category="cat", rle=Rle(size_hw=(3, 4), counts=(1, 11)), role="crowd"),
        Instance(id="j#3", image_key="", category="", rle=Rle(size_hw=(3, 4), counts="abc"), rings_refused=2),
        Instance(id="m#3", image_key="b", category="hügel", mask_file="m.png", mask_value=0),
    ),
)
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


def test_a_data_set_is_read_as_it_was_written(tmp_path):
    tables.write_dataset(tmp_path, DATASET)
    assert tables.read_dataset(tmp_path) == DATASET


def test_fingerprints_are_read_in_the_order_of_the_photos(tmp_path):
    photos = [
        Photo(
            key=str(number), file="", split=None, width=4, height=3, frame="viewed", orientation=1,
            undecidable=False, sha256="", background=False,
        )
        for number in range(3000)
    ]  # fmt: skip
    bytes_of = np.random.default_rng(0).integers(0, 256, (3000, FINGERPRINT_BYTES), np.uint8)
    table = tables.numbered(tables.table_of_photos([*zip(photos, map(bytes, bytes_of), strict=True)]))
    order = np.random.default_rng(1).permutation(3000)
    for name, written in (("a", table), ("b", tables.rows_at(table, order))):
        tables.write(tmp_path / name, written)
        assert tables.read_photos(tmp_path / name) == photos
        assert (tables.read_fingerprints(tmp_path / name) == bytes_of).all()


def test_equal_records_give_equal_bytes(tmp_path):
    for folder in ("one", "two"):
        tables.write_dataset(tmp_path / folder, DATASET)
    for name in ("images", "instances", "categories"):
        path = f"{name}.parquet"
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


@pytest.mark.parametrize(("values", "kind"), COLUMNS)
def test_a_column_equals_the_one_that_arrow_makes(values, kind):
    made = column(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


def test_a_number_that_is_too_large_for_its_column_is_an_error():
    with pytest.raises(OverflowError):
        column([2**31], pa.int32())


def test_records_are_written_and_read_without_importing_pandas(tmp_path):
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
