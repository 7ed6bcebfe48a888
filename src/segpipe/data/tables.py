"""Records as parquet tables; equal rows always give equal bytes.

Some tables are written shard by shard: a row group has the rows of one shard, and the column `position` has their order
in the source. Readers of a whole table restore this order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import accumulate, chain
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.files import atomic_write
from segpipe.data.columns import numbers
from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.data.records import Conflict, Dataset, Image, Instance, Photo, Rle, from_values

RecordT = TypeVar("RecordT")
POSITION = "position"  # the column with the order of the source, int64

_TYPES = {  # of columns by field; text if not listed
    "width": pa.int32(),
    "height": pa.int32(),
    "annotated": pa.bool_(),
    "rings": pa.list_(pa.list_(pa.float64())),
    "holes": pa.list_(pa.list_(pa.float64())),
    "mask_value": pa.int32(),
    "area": pa.float64(),
    "rings_refused": pa.int32(),
    "layered": pa.bool_(),
    "even_odd": pa.bool_(),
    "flags": pa.list_(pa.string()),
    "notes": pa.list_(pa.list_(pa.string())),
    "rle_size": pa.list_(pa.int32()),
    "rle_counts": pa.list_(pa.int64()),
    "orientation": pa.int32(),
    "undecidable": pa.bool_(),
    "background": pa.bool_(),
    "categories": pa.list_(pa.string()),
    "fingerprint": pa.binary(FINGERPRINT_BYTES),
}
_BUFFER, _ROWS_AT_ONCE = 2**20, 1024  # bytes and rows that are read at a time
_RLE_COLUMNS = ["rle_size", "rle_counts", "rle_string"]  # instead of Instance.rle


def _schema(names: Iterable[str]) -> pa.Schema:
    return pa.schema([(name, _TYPES.get(name, pa.string())) for name in names])


_IMAGE_SCHEMA = _schema(field.name for field in fields(Image))
_INSTANCE_SCHEMA = _schema([*(field.name for field in fields(Instance) if field.name != "rle"), *_RLE_COLUMNS])
_CONFLICT_SCHEMA = _schema(field.name for field in fields(Conflict))
_CATEGORY_SCHEMA = _schema(["name", "format"])
_PHOTO_SCHEMA = _schema([*(field.name for field in fields(Photo)), "fingerprint"])
_NUMPY_TYPES = {pa.int32(): np.int32, pa.int64(): np.int64, pa.float64(): np.float64}


def write_rows(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows to `path`, each a dict with the schema's names, whole or not at all."""
    write(path, _table([[row[name] for row in rows] for name in schema.names], schema))


def write_records(path: Path, records: Sequence[Any], schema: pa.Schema) -> None:
    """Write records to `path`, each with the schema's names as attributes, whole or not at all."""
    write(path, table_of(records, schema))


def write(path: Path, table: pa.Table) -> None:
    """Write a table of one shard to `path`, whole or not at all."""
    with atomic_write(path) as part:
        pq.write_table(table, part, compression="zstd", store_schema=False)


def table_of(records: Sequence[Any], schema: pa.Schema) -> pa.Table:
    """The records as a table: each has the schema's names as attributes."""
    return _table([[*map(attrgetter(name), records)] for name in schema.names], schema)


def _table(columns: Iterable[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    packed = [column(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(packed, schema=schema)


def with_position(table: pa.Table, position: np.ndarray) -> pa.Table:
    """The table with the column `position`, int64 (N,)."""
    return table.append_column(POSITION, _integers(position))


def numbered(table: pa.Table) -> pa.Table:
    """The table with the numbers of its rows as the column `position`."""
    return with_position(table, np.arange(table.num_rows))


def rows_at(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """The rows of a table with these numbers, int (N,)."""
    return table.take(_integers(rows))


def where(table: pa.Table, is_wanted: np.ndarray) -> pa.Table:
    """The rows of a table for which is_wanted, bool (N,), is true."""
    return rows_at(table, np.flatnonzero(is_wanted))


def in_order(table: pa.Table) -> pa.Table:
    """The rows in the order of the source."""
    return rows_at(table, numbers(table.column(POSITION)).argsort(kind="stable"))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a table, in the order in which they were written."""
    columns = _columns(path)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_records(path: Path, kind: type[RecordT]) -> list[RecordT]:
    """The rows of a table as records, in the order of the source; columns that are no field are not read."""
    record: Any = kind
    return _records(kind, _columns(path, [*(field.name for field in fields(record)), POSITION]))


def records_in(shards: Iterable[pa.Table], kind: type[RecordT]) -> list[RecordT]:
    """The rows of all shards as records, in the order of the source."""
    shards = list(shards)
    return _records(kind, _values_of(in_order(pa.concat_tables(shards)))) if shards else []


def _columns(path: Path, names: list[str] | None = None) -> dict[str, list[Any]]:
    with path.open("rb") as file:  # pq.read_table imports pandas, which takes longer than reading
        table = pq.ParquetFile(file, pre_buffer=False).read(names, use_threads=False)  # threads: see columns.py
    return _values_of(in_order(table) if POSITION in table.column_names else table)


def _values_of(table: pa.Table) -> dict[str, list[Any]]:
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _records(kind: type[RecordT], columns: Mapping[str, Sequence[Any]]) -> list[RecordT]:
    record: Any = kind
    rows = zip(*(columns[field.name] for field in fields(record)), strict=True)
    return [from_values(kind, row) for row in rows]


def write_instances(path: Path, instances: Sequence[Instance]) -> None:
    """Write instances to `path`."""
    plain = [[*map(attrgetter(name), instances)] for name in _INSTANCE_SCHEMA.names if name not in _RLE_COLUMNS]
    masks = [instance.rle for instance in instances]
    counts = [rle.counts if rle else None for rle in masks]
    packed: list[list[Any]] = [
        [rle.size_hw if rle else None for rle in masks],
        [each if isinstance(each, tuple) else None for each in counts],
        [each if isinstance(each, str) else None for each in counts],
    ]
    write(path, _table([*plain, *packed], _INSTANCE_SCHEMA))


def read_instances(path: Path) -> list[Instance]:
    """The instances that `write_instances` wrote."""
    columns = _columns(path)
    for name in ("rings", "holes"):
        columns[name] = _tuples(columns[name])
    columns["flags"] = list(map(tuple, columns["flags"]))
    columns["rle"] = list(map(_rle, *(columns[name] for name in _RLE_COLUMNS)))
    return _records(Instance, columns)


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write images.parquet, instances.parquet, categories.parquet and conflicts.parquet into `folder`."""
    write_records(folder / "images.parquet", dataset.images, _IMAGE_SCHEMA)
    write_instances(folder / "instances.parquet", dataset.instances)
    categories = [{"name": name, "format": dataset.format} for name in dataset.categories]
    write_rows(folder / "categories.parquet", categories, _CATEGORY_SCHEMA)
    write_records(folder / "conflicts.parquet", dataset.conflicts, _CONFLICT_SCHEMA)


def read_dataset(folder: Path) -> Dataset:
    """The data set that `write_dataset` wrote."""
    categories = read_rows(folder / "categories.parquet")
    return Dataset(
        format=categories[0]["format"] if categories else "",
        categories=tuple(row["name"] for row in categories),
        images=tuple(_read_images(folder / "images.parquet")),
        instances=tuple(read_instances(folder / "instances.parquet")),
        conflicts=tuple(
            Conflict(**row | {"categories": tuple(row["categories"])})
            for row in read_rows(folder / "conflicts.parquet")
        ),
    )


def _read_images(path: Path) -> list[Image]:
    columns = _columns(path)
    columns["notes"] = _tuples(columns["notes"])
    return _records(Image, columns)


def _tuples(column: Sequence[Any]) -> list[Any]:
    """Each list of lists as a tuple of tuples."""
    return [tuple(map(tuple, lists)) for lists in column]


def _rle(size: Sequence[int] | None, counts: Sequence[int] | None, string: str | None) -> Rle | None:
    if size is None:
        return None
    height, width = size
    return Rle(size_hw=(height, width), counts=tuple(counts or ()) if string is None else string)


def write_photos(path: Path, photos: Sequence[Photo], fingerprints: Sequence[bytes]) -> None:
    """Write photos to `path`, each with its `duplicates.fingerprint`."""
    plain = [[*map(attrgetter(field.name), photos)] for field in fields(Photo)]
    write(path, _table([*plain, fingerprints], _PHOTO_SCHEMA))


def read_photos(path: Path) -> list[Photo]:
    """The photos that `write_photos` wrote."""
    return read_records(path, Photo)


def read_fingerprints(path: Path) -> np.ndarray:
    """The fingerprints that `write_photos` wrote, uint8 (N, FINGERPRINT_BYTES), in the order of the photos."""
    with path.open("rb") as file:
        table = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)  # the defaults hold the whole file, too
        places, start = np.arange(table.metadata.num_rows), 0
        if POSITION in table.schema_arrow.names:
            places = numbers(table.read([POSITION]).column(0)).argsort(kind="stable").argsort()
        fingerprints = np.empty((len(places), FINGERPRINT_BYTES), np.uint8)
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=["fingerprint"], use_threads=False):
            part = batch.column(0)
            values = np.frombuffer(part.buffers()[1], np.uint8).reshape(-1, FINGERPRINT_BYTES)
            fingerprints[places[start : start + len(part)]] = values[part.offset :][: len(part)]
            start += len(part)
    return fingerprints


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The values as a column of text, bytes, numbers, booleans or lists of these; None means absent.

    pa.array does the same, but imports pandas first, which takes 0.4 s: longer than writing thousands of records.
    """
    if pa.types.is_fixed_size_binary(kind):
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(b"".join(values))])
    if pa.types.is_string(kind):
        builder = pa.lib.StringBuilder()
        builder.append_values(values)
        return builder.finish()
    present = _present(values)
    if pa.types.is_list(kind):
        items = column(list(chain.from_iterable(value or () for value in values)), kind.value_type)
        ends = list(accumulate((len(value or ()) for value in values), initial=0))
        return pa.Array.from_buffers(kind, len(values), [present, _buffer(ends, np.int32)], children=[items])
    numbers = [0 if value is None else value for value in values] if present else values
    packed = _bits(numbers) if pa.types.is_boolean(kind) else _buffer(numbers, _NUMPY_TYPES[kind])
    return pa.Array.from_buffers(kind, len(values), [present, packed])


def _integers(values: np.ndarray) -> pa.Array:
    packed = pa.py_buffer(np.ascontiguousarray(values, np.int64))
    return pa.Array.from_buffers(pa.int64(), len(values), [None, packed])


def _present(values: Sequence[Any]) -> pa.Buffer | None:
    """A bit per value, 1 if it is present; None if all are."""
    present = [value is not None for value in values]
    return None if all(present) else _bits(present)


def _buffer(numbers: Sequence[float], dtype: Any) -> pa.Buffer:
    return pa.py_buffer(np.array(numbers, dtype))


def _bits(truths: Sequence[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(truths, bool), bitorder="little"))
