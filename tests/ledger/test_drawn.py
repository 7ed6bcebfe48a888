import numpy as np
import pyarrow as pa
import pytest

from segpipe.core.errors import LedgerError
from segpipe.data import tables
from segpipe.ledger.drawn import with_pixels
from segpipe.ledger.rows import Row, one_shard, with_visible_px

IMAGE = Row(kind="image", id="a", image_key="a", place="images[0]")
SKIPPED = Row(
    kind="image", id="b", image_key="b", place="images[1]", verdict="skipped", reason="no_matching_annotation"
)


def annotation(number: int, verdict: str = "kept", reason: str = "") -> Row:
    return Row(kind="annotation", id=f"json#{number}", image_key="a", place="", verdict=verdict, reason=reason)


ROWS = [
    IMAGE,
    annotation(0),
    annotation(1, "dropped", "bad_ring"),
    annotation(2, "ignored", "crowd"),
    annotation(3, "clipped", "past_border"),
    annotation(4, "ignored", "crowd"),
    SKIPPED,
    annotation(5),
]
DRAWN = ["json#0", "json#2", "json#3", "json#4", "json#5"]


def texts(*values: str) -> pa.ChunkedArray:
    return pa.chunked_array([tables.column(values, pa.string())])


def drawn(visible: list[int], stored: list[int], keys=("a",), ids=tuple(DRAWN)) -> list[Row]:
    table = with_pixels(one_shard(ROWS), texts(*keys), texts(*ids), np.array(visible), np.array(stored))
    assert table.schema.equals(one_shard(ROWS).schema)
    return tables.records_in([table], Row)


def test_drawn_annotations_get_their_pixels_and_objects_without_any_are_hidden():
    rows = drawn([9, 0, 0, 7, 0], [1, 0, 0, 2, 0])
    assert [(row.id, row.verdict, row.reason, row.px_after, row.px_store) for row in rows] == [
        ("a", "kept", "", None, None),
        ("json#0", "kept", "", 9, 1),
        ("json#1", "dropped", "bad_ring", None, None),
        ("json#2", "ignored", "crowd", 0, 0),
        ("json#3", "hidden", "covered", 0, 0),
        ("json#4", "ignored", "crowd", 7, 2),
        ("b", "skipped", "no_matching_annotation", None, None),
        ("json#5", "hidden", "covered", 0, 0),
    ]


def test_the_verdicts_are_those_of_single_rows():
    visible = dict(zip(DRAWN, [9, 0, 0, 7, 0], strict=True))
    expected = [with_visible_px(row, visible[row.id]) if row.id in visible else row for row in ROWS]
    rows = drawn([*visible.values()], [0] * 5)
    names = ("id", "verdict", "reason", "detail", "px_after")
    assert [[getattr(row, name) for name in names] for row in rows] == [
        [getattr(row, name) for name in names] for row in expected
    ]


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        ({"ids": (*DRAWN[:4], "json#1")}, "annotation json#1"),
        ({"ids": tuple(DRAWN[:4])}, "annotation json#5"),
        ({"keys": ("a", "b")}, "image b"),
        ({"keys": ()}, "image a"),
    ],
)
def test_other_records_than_those_that_validate_keeps_are_an_error(changed, first):
    with pytest.raises(LedgerError, match=f"first difference: {first}"):
        drawn([1] * 5, [1] * 5, **changed)


def test_records_in_another_order_are_an_error():
    with pytest.raises(LedgerError, match="have another order than the ledger"):
        drawn([1] * 5, [1] * 5, ids=(DRAWN[1], DRAWN[0], *DRAWN[2:]))


def test_a_shard_without_records_stays_empty():
    table = with_pixels(one_shard([]), texts(), texts(), np.empty(0, np.int64), np.empty(0, np.int64))
    assert table.num_rows == 0
