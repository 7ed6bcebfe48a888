"""Records as parquet tables: the same rows always give the same bytes."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.files import whole
from segpipe.records import Conflict, Dataset, Image, Instance, Rle

_TYPES = {
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
    "rle_size": pa.list_(pa.int32()),
    "rle_counts": pa.list_(pa.int64()),
}
_IMAGE_SCHEMA = pa.schema([(f.name, _TYPES.get(f.name, pa.string())) for f in fields(Image)])
_RLE_COLUMNS = ["rle_size", "rle_counts", "rle_string"]
_INSTANCE_SCHEMA = pa.schema(
    [(f.name, _TYPES.get(f.name, pa.string())) for f in fields(Instance) if f.name != "rle"]
    + [(name, _TYPES.get(name, pa.string())) for name in _RLE_COLUMNS]
)
_CONFLICT_SCHEMA = pa.schema(
    [("kind", pa.string()), ("categories", pa.list_(pa.string())), ("what", pa.string()), ("remedy", pa.string())]
)
_CATEGORY_SCHEMA = pa.schema([("name", pa.string()), ("format", pa.string())])


def write_rows(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows, each a dict with the schema's keys, whole or not at all."""
    _write(path, pa.Table.from_pylist(list(rows), schema=schema))


def write_records(path: Path, records: Sequence[Any], schema: pa.Schema) -> None:
    """Write flat records, each with the schema's names as attributes, whole or not at all."""
    columns = [pa.array([getattr(record, field.name) for record in records], field.type) for field in schema]
    _write(path, pa.table(columns, schema=schema))


def _write(path: Path, table: pa.Table) -> None:
    with whole(path) as part:
        pq.write_table(table, part, compression="zstd", store_schema=False)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a table, in the order they were written."""
    with path.open("rb") as file:  # pq.read_table would import pandas, which takes longer than reading
        rows: list[dict[str, Any]] = pq.ParquetFile(file).read().to_pylist()
    return rows


def write_instances(path: Path, instances: Sequence[Instance]) -> None:
    """Write instances as parquet."""
    write_rows(path, [_instance_row(instance) for instance in instances], _INSTANCE_SCHEMA)


def read_instances(path: Path) -> list[Instance]:
    """Read what write_instances wrote."""
    return [_instance(row) for row in read_rows(path)]


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write images.parquet, instances.parquet, categories.parquet and conflicts.parquet into `folder`."""
    write_records(folder / "images.parquet", dataset.images, _IMAGE_SCHEMA)
    write_instances(folder / "instances.parquet", dataset.instances)
    categories = [{"name": name, "format": dataset.format} for name in dataset.categories]
    write_rows(folder / "categories.parquet", categories, _CATEGORY_SCHEMA)
    write_records(folder / "conflicts.parquet", dataset.conflicts, _CONFLICT_SCHEMA)


def read_dataset(folder: Path) -> Dataset:
    """Read what write_dataset wrote."""
    categories = read_rows(folder / "categories.parquet")
    return Dataset(
        format=categories[0]["format"] if categories else "",
        categories=tuple(row["name"] for row in categories),
        images=tuple(Image(**row) for row in read_rows(folder / "images.parquet")),
        instances=tuple(read_instances(folder / "instances.parquet")),
        conflicts=tuple(
            Conflict(**row | {"categories": tuple(row["categories"])})
            for row in read_rows(folder / "conflicts.parquet")
        ),
    )


def _instance_row(instance: Instance) -> dict[str, Any]:
    row = {field.name: getattr(instance, field.name) for field in fields(Instance) if field.name != "rle"}
    counts = instance.rle.counts if instance.rle else None
    return row | {
        "rle_size": instance.rle.size_hw if instance.rle else None,
        "rle_counts": counts if isinstance(counts, tuple) else None,
        "rle_string": counts if isinstance(counts, str) else None,
    }


def _instance(row: dict[str, Any]) -> Instance:
    size, counts, string = (row.pop(name) for name in _RLE_COLUMNS)
    rle = Rle(size_hw=tuple(size), counts=tuple(counts) if string is None else string) if size else None
    lines = {name: tuple(map(tuple, row[name])) for name in ("rings", "holes")}
    return Instance(**row | lines | {"rle": rle, "flags": tuple(row["flags"])})
