"""Records as parquet tables; equal rows always give equal bytes.

Most tables are written shard by shard: a row group has the rows of one shard, and the column `position` has their order
in the source. Readers of a whole table restore this order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import accumulate, chain
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core import shards
from segpipe.core.files import atomic_write
from segpipe.data.columns import Shards, numbers, parquet_file
from segpipe.data.duplicates import FINGERPRINT_BYTES
from segpipe.data.records import Conflict, Dataset, Image, Instance, Photo, Rle

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
Columns = dict[str, list[Any]]  # the values of each column


def _schema(names: Iterable[str]) -> pa.Schema:
    return pa.schema([(name, _TYPES.get(name, pa.string())) for name in names])


_IMAGE_SCHEMA = _schema(field.name for field in fields(Image))
_INSTANCE_SCHEMA = _schema([*(field.name for field in fields(Instance) if field.name != "rle"), *_RLE_COLUMNS])
_CONFLICT_SCHEMA = _schema(field.name for field in fields(Conflict))
_CATEGORY_SCHEMA = _schema(["name", "format"])
_PHOTO_SCHEMA = _schema([*(field.name for field in fields(Photo)), "fingerprint"])
_NUMPY_TYPES = {pa.int32(): np.int32, pa.int64(): np.int64, pa.float64(): np.float64}


@contextmanager
def shard_writer(path: Path, durable: bool = True) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends a shard to a table. It is written whole or not at all; durable: as for atomic_write."""
    writers: list[pq.ParquetWriter] = []

    def add(shard: pa.Table) -> None:
        if not writers:
            writers.append(pq.ParquetWriter(part, shard.schema, compression="zstd", store_schema=False))
        writers[0].write_table(shard, row_group_size=max(1, shard.num_rows))

    with atomic_write(path, durable) as part:
        try:
            yield add
        finally:
            for writer in writers:
                writer.close()


def with_position(table: pa.Table, position: np.ndarray) -> pa.Table:
    """The table with the column `position`, int64 (N,)."""
    return table.append_column(POSITION, integers(position))


def numbered(table: pa.Table) -> pa.Table:
    """The table with the numbers of its rows as the column `position`."""
    return with_position(table, np.arange(table.num_rows))


def rows_at(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """The rows of a table with these numbers, int (N,)."""
    return table.take(integers(rows))


def where(table: pa.Table, is_wanted: np.ndarray) -> pa.Table:
    """The rows of a table for which is_wanted, bool (N,), is true."""
    return rows_at(table, np.flatnonzero(is_wanted))


def in_order(table: pa.Table) -> pa.Table:
    """The rows in the order of the source."""
    return rows_at(table, numbers(table.column(POSITION)).argsort(kind="stable"))


def shard_sizes(path: Path) -> list[int]:
    """The number of rows of each shard of a table."""
    with path.open("rb") as file:
        facts = parquet_file(file).metadata
        return [facts.row_group(shard).num_rows for shard in range(facts.num_row_groups)]


def read_shard(path: Path, shard: int, names: Sequence[str] | None = None) -> pa.Table:
    """The rows of one shard. names: the columns to read, None for all."""
    with path.open("rb") as file:
        return parquet_file(file).read_row_group(shard, names, use_threads=False)


def read(path: Path, names: Sequence[str] | None = None) -> pa.Table:
    """All rows of a table, in the order of the source. names: the columns to read, None for all."""
    with path.open("rb") as file:
        source = parquet_file(file)
        if POSITION not in source.schema_arrow.names:
            return source.read(names, use_threads=False)
        return in_order(source.read(names and [*names, POSITION], use_threads=False))


def table_of(records: Sequence[Any], schema: pa.Schema) -> pa.Table:
    """The records as a table: each has the schema's names as attributes."""
    return table_of_columns([[*map(attrgetter(name), records)] for name in schema.names], schema)


def table_of_columns(columns: Iterable[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """The table of these columns, which have the order of the schema."""
    packed = [column(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(packed, schema=schema)


def write(path: Path, table: pa.Table, durable: bool = True) -> None:
    """Write a table of one shard to `path`, whole or not at all; durable: as for atomic_write."""
    with shard_writer(path, durable) as add:
        add(table)


def read_records(path: Path, kind: type[RecordT]) -> list[RecordT]:
    """The rows of a table as records, in the order of the source."""
    record: Any = kind
    return _records(kind, values_of(read(path, [field.name for field in fields(record)])))


def records_in(shards: Iterable[pa.Table], kind: type[RecordT]) -> list[RecordT]:
    """The rows of shards as records, in the order of the source."""
    shards = list(shards)
    return _records(kind, values_of(in_order(pa.concat_tables(shards)))) if shards else []


def values_of(table: pa.Table) -> Columns:
    """The values of each column."""
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _records(kind: type[RecordT], columns: Mapping[str, Sequence[Any]]) -> list[RecordT]:
    """The records of these columns; a field without a column has its default."""
    record: Any = kind
    names = [field.name for field in fields(record) if field.name in columns]
    return [kind(**dict(zip(names, row, strict=True))) for row in zip(*(columns[name] for name in names), strict=True)]


def table_of_instances(instances: Sequence[Instance]) -> pa.Table:
    """Instances as a table."""
    plain = [[*map(attrgetter(name), instances)] for name in _INSTANCE_SCHEMA.names if name not in _RLE_COLUMNS]
    masks = [instance.rle for instance in instances]
    counts = [rle.counts if rle else None for rle in masks]
    packed: list[list[Any]] = [
        [rle.size_hw if rle else None for rle in masks],
        [each if isinstance(each, tuple) else None for each in counts],
        [each if isinstance(each, str) else None for each in counts],
    ]
    return table_of_columns([*plain, *packed], _INSTANCE_SCHEMA)


def instances_of(columns: Columns) -> list[Instance]:
    """The instances of `table_of_instances`, from its values."""
    changed = {name: _tuples(columns[name]) for name in ("rings", "holes")}
    changed["flags"] = list(map(tuple, columns["flags"]))
    changed["rle"] = list(map(_rle, *(columns[name] for name in _RLE_COLUMNS)))
    return _records(Instance, columns | changed)


def images_of(columns: Columns) -> list[Image]:
    """The images of a table of ingest, from its values."""
    return _records(Image, columns | {"notes": _tuples(columns["notes"])})


def read_instances(path: Path) -> list[Instance]:
    """All instances of a table; those of ingest in the order of the source, those of validate shard by shard."""
    return instances_of(values_of(read(path)))


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write images.parquet and instances.parquet by shards, categories.parquet and conflicts.parquet into `folder`.

    A shard has the images whose keys belong to it, and the instances of these keys.
    """
    count = shards.count_for(len(dataset.images))
    images = shards.positions([image.key for image in dataset.images], count)
    instances = shards.positions([instance.image_key for instance in dataset.instances], count)
    with shard_writer(folder / "images.parquet") as add:
        for at in images:
            add(with_position(table_of([dataset.images[i] for i in at], _IMAGE_SCHEMA), at))
    with shard_writer(folder / "instances.parquet") as add:
        for at in instances:
            add(with_position(table_of_instances([dataset.instances[i] for i in at]), at))
    categories = [[*dataset.categories], [dataset.format] * len(dataset.categories)]
    write(folder / "categories.parquet", table_of_columns(categories, _CATEGORY_SCHEMA))
    write(folder / "conflicts.parquet", table_of(dataset.conflicts, _CONFLICT_SCHEMA))


def read_dataset(folder: Path) -> Dataset:
    """The data set that `write_dataset` wrote."""
    formats = read(folder / "categories.parquet", ["format"]).column("format").to_pylist()
    return Dataset(
        format=next(iter(formats), ""),
        categories=read_categories(folder),
        images=tuple(images_of(values_of(read(folder / "images.parquet")))),
        instances=tuple(read_instances(folder / "instances.parquet")),
        conflicts=read_conflicts(folder),
    )


def read_files(folder: Path) -> dict[str, str]:
    """The file of each image of a data set by its key, in the order of the source."""
    columns = values_of(read(folder / "images.parquet", ["key", "file"]))
    return dict(zip(columns["key"], columns["file"], strict=True))


def read_categories(folder: Path) -> tuple[str, ...]:
    """The category names of a data set that `write_dataset` wrote, in the order of the source."""
    return tuple(read(folder / "categories.parquet", ["name"]).column("name").to_pylist())


def read_conflicts(folder: Path) -> tuple[Conflict, ...]:
    """The conflicts of a data set that `write_dataset` wrote."""
    columns = values_of(read(folder / "conflicts.parquet"))
    columns["categories"] = list(map(tuple, columns["categories"]))
    return tuple(_records(Conflict, columns))


def read_used_categories(folder: Path) -> set[str]:
    """The categories that an instance of a data set has."""
    path = folder / "instances.parquet"
    columns = (shard.column("category") for shard in Shards(path, ["category"]))
    return {name for column in columns for name in column.unique().to_pylist() if name}


def _tuples(column: Sequence[Any]) -> list[Any]:
    """Each list of lists as a tuple of tuples."""
    return [tuple(map(tuple, lists)) for lists in column]


def _rle(size: Sequence[int] | None, counts: Sequence[int] | None, string: str | None) -> Rle | None:
    if size is None:
        return None
    height, width = size
    return Rle(size_hw=(height, width), counts=tuple(counts or ()) if string is None else string)


def table_of_photos(photos: Sequence[tuple[Photo, bytes]]) -> pa.Table:
    """Photos as a table, each with its `duplicates.fingerprint`."""
    plain = [[getattr(photo, field.name) for photo, _ in photos] for field in fields(Photo)]
    return table_of_columns([*plain, [fingerprint for _, fingerprint in photos]], _PHOTO_SCHEMA)


def photos_of(table: pa.Table) -> list[Photo]:
    """The photos of a table of one shard, in its order."""
    return _records(Photo, values_of(table.select([field.name for field in fields(Photo)])))


def read_photos(path: Path) -> list[Photo]:
    """All photos of a table, in the order of the source."""
    return read_records(path, Photo)


def read_fingerprints(path: Path) -> np.ndarray:
    """The fingerprints of all photos of a table, uint8 (N, FINGERPRINT_BYTES), in the order of the source."""
    with path.open("rb") as file:
        table = parquet_file(file, buffer_size=_BUFFER)  # without a buffer size, the whole file is held, too
        place = numbers(table.read([POSITION], use_threads=False).column(0)).argsort(kind="stable").argsort()
        fingerprints = np.empty((len(place), FINGERPRINT_BYTES), np.uint8)
        start = 0
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=["fingerprint"], use_threads=False):
            part = batch.column(0)
            values = np.frombuffer(part.buffers()[1], np.uint8).reshape(-1, FINGERPRINT_BYTES)
            fingerprints[place[start : start + len(part)]] = values[part.offset :][: len(part)]
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


def integers(values: np.ndarray, present: np.ndarray | None = None) -> pa.Array:
    """The values, int (N,), as a column of int64. present: bool (N,), whether each is there; without it, all are."""
    absent = None if present is None else _bits(present)
    return pa.Array.from_buffers(
        pa.int64(), len(values), [absent, pa.py_buffer(np.ascontiguousarray(values, np.int64))]
    )


def replaced(texts: pa.ChunkedArray, where: np.ndarray, by: pa.Array | str) -> pa.ChunkedArray:
    """A column of text with other values, or one other text, in the rows `where`, bool (N,)."""
    import pyarrow.compute as pc  # importing it takes as long as checking 20 photos; worker processes need not

    others = column([by] * len(texts), pa.string()) if isinstance(by, str) else by
    return pc.if_else(pa.Array.from_buffers(pa.bool_(), len(texts), [None, _bits(where)]), others, texts)


def _present(values: Sequence[Any]) -> pa.Buffer | None:
    """A bit per value, 1 if it is present; None if all are."""
    present = [value is not None for value in values]
    return None if all(present) else _bits(present)


def _buffer(numbers: Sequence[float], dtype: Any) -> pa.Buffer:
    return pa.py_buffer(np.array(numbers, dtype))


def _bits(truths: Sequence[Any] | np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(truths, bool), bitorder="little"))
