"""The ledger of one shard after its annotations are drawn: the visible pixels of each, by columns."""

import numpy as np
import pyarrow as pa

from segpipe.core.errors import check_total
from segpipe.data import tables
from segpipe.data.columns import has
from segpipe.ledger.rows import COVERED, DRAWN, IGNORED, KEPT, Row, check_kept


def with_pixels(
    ledger: pa.Table, keys: pa.ChunkedArray, ids: pa.ChunkedArray, visible_px: np.ndarray, store_px: np.ndarray
) -> pa.Table:
    """The ledger of validate with the pixels of each drawn annotation; objects without visible pixels are hidden.

    keys: of the drawn images; ids: of the drawn annotations; visible_px: int64 (n,), of each in its label map;
    store_px: int64 (n,), of each at training size.
    Raises LedgerError unless these are the images and annotations that validate keeps, in its order.
    """
    is_drawn = has(ledger, kind=["annotation"], verdict=DRAWN)
    is_used = has(ledger, kind=["image"], verdict=[KEPT])
    for drawn, kept in ((keys, is_used), (ids, is_drawn)):
        if not tables.where(ledger.select(["id"]), kept).column(0).equals(drawn):
            check_kept(tables.records_in([ledger], Row), keys.to_pylist(), ids.to_pylist())
            check_total(False, "the drawn records have another order than the ledger")
    after, at_store = (_spread(px, is_drawn) for px in (visible_px, store_px))
    is_hidden = is_drawn & (after == 0) & ~has(ledger, verdict=[IGNORED])
    columns = {name: ledger.column(name) for name in ledger.column_names}
    for name, text in zip(("verdict", "reason", "detail"), COVERED, strict=True):
        columns[name] = tables.replaced(columns[name], is_hidden, text)
    columns |= {"px_after": tables.integers(after, is_drawn), "px_store": tables.integers(at_store, is_drawn)}
    return pa.table(columns)


def _spread(px: np.ndarray, is_drawn: np.ndarray) -> np.ndarray:
    """The pixels of each row of the ledger, int64 (N,), from those of the drawn ones; 0 for the others."""
    of_rows = np.zeros(len(is_drawn), np.int64)
    of_rows[is_drawn] = px
    return of_rows
