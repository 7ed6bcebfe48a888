"""Columns of a table from Python's values.

pyarrow's own way, pa.array, imports pandas first, which takes longer than writing the records of thousands of images.
"""

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa

_NUMBERS = {pa.int32(): np.int32, pa.int64(): np.int64, pa.float64(): np.float64}


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The values as Arrow's text, numbers, truths or lists of those; None is absent."""
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
    packed = _bits(numbers) if pa.types.is_boolean(kind) else _buffer(numbers, _NUMBERS[kind])
    return pa.Array.from_buffers(kind, len(values), [present, packed])


def _present(values: Sequence[Any]) -> pa.Buffer | None:
    """A bit for each value that is there; None where all are."""
    present = [value is not None for value in values]
    return None if all(present) else _bits(present)


def _buffer(numbers: Sequence[float], dtype: Any) -> pa.Buffer:
    return pa.py_buffer(np.array(numbers, dtype))


def _bits(truths: Sequence[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(truths, bool), bitorder="little"))
