"""Tables shard by shard, and their columns as numpy arrays: for counts that need no Python object per row.

pyarrow's functions for this (to_numpy, scalar, group_by) import pandas first, which takes longer than the counting.
Tables are read without pyarrow's threads: one that still holds the file when the process ends aborts the process.
"""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_INTEGERS = {pa.int32(): np.int32, pa.int64(): np.int64}


@dataclass(frozen=True, slots=True)
class Shards:
    """The shards of a table, one in memory at a time. They may be read several times."""

    path: Path
    names: Sequence[str] | None = None  # the columns to read, None for all

    def __iter__(self) -> Iterator[pa.Table]:
        """The rows of each shard."""
        with self.path.open("rb") as file:
            table = parquet_file(file)
            for shard in range(table.num_row_groups):
                yield table.read_row_group(shard, self.names, use_threads=False)


def parquet_file(file: BinaryIO, buffer_size: int = 0) -> pq.ParquetFile:
    """An open parquet file. Read it with use_threads=False. buffer_size: bytes to read at a time; 0: a whole column."""
    return pq.ParquetFile(file, pre_buffer=False, buffer_size=buffer_size)


def numbers(column: pa.ChunkedArray, absent: int = 0) -> np.ndarray:
    """The values of a column of integers, int (N,). absent: the value where the column has none."""
    parts = [_numbers(chunk, absent) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def has(table: pa.Table, **texts: Container[str]) -> np.ndarray:
    """Whether each row has, in each of these columns, one of its texts, bool (N,).

    >>> table = pa.Table.from_pydict({"kind": ["image", "image"], "verdict": ["kept", "dropped"]})
    >>> has(table, kind=["image"], verdict=["kept", "ignored"]).tolist()
    [True, False]
    """
    matches = np.ones(table.num_rows, bool)
    for name, wanted in texts.items():
        words, codes = _encoded(table.column(name))
        matches &= np.array([word in wanted for word in words], bool)[codes]
    return matches


def counts(*columns: pa.ChunkedArray) -> Counter[tuple[str, ...]]:
    """The number of rows with each different tuple of texts."""
    keys, number = grouped(*columns)
    return Counter(dict(zip(keys, np.bincount(number).tolist(), strict=True)))


def grouped(*columns: pa.ChunkedArray) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Rows grouped by their texts: the different tuples of texts, and the number of each row's tuple, int (N,)."""
    words, codes = zip(*map(_encoded, columns), strict=True)
    sizes = [max(1, len(each)) for each in words]
    distinct, number = np.unique(np.ravel_multi_index(codes, sizes), return_inverse=True)
    of_tuple = zip(*np.unravel_index(distinct, sizes), strict=True)
    return [tuple(each[i] for each, i in zip(words, indices, strict=True)) for indices in of_tuple], number


def _numbers(chunk: pa.Array, absent: int) -> np.ndarray:
    values = _buffer(chunk.buffers()[1], _INTEGERS[chunk.type], chunk)
    if not chunk.null_count:
        return values
    present = np.unpackbits(np.frombuffer(chunk.buffers()[0], np.uint8), bitorder="little")
    return np.where(present[chunk.offset : chunk.offset + len(chunk)], values, absent)


def _encoded(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """The different texts of a column, and the number of each row's text, int32 (N,)."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), _buffer(encoded.indices.buffers()[1], np.int32, encoded)


def _buffer(buffer: pa.Buffer, dtype: type, of: pa.Array) -> np.ndarray:
    return np.frombuffer(buffer, dtype)[of.offset : of.offset + len(of)] if len(of) else np.empty(0, dtype)
