import numpy as np
import pytest

from segpipe.core.errors import LedgerError
from segpipe.data import tables
from segpipe.ledger.rows import (
    Row,
    check_kept,
    check_totals,
    is_vanished,
    one_shard,
    read_ledger,
    to_table,
    with_visible_px,
    write_ledger,
)


def rows() -> list[Row]:
    kept = [Row(kind="annotation", id=f"json#{i}", image_key="a", place=f"annotations[{i}]") for i in range(8)]
    lost = [
        Row(kind="annotation", id=f"json#{i}", image_key="a", place=f"annotations[{i}]", verdict="dropped",
            reason="bad_ring", detail="two points")
        for i in (8, 9)
    ]  # fmt: skip
    return [Row(kind="image", id="a", image_key="a", place="images[0]"), *kept, *lost]


def test_a_complete_ledger_passes_the_check():
    check_totals(rows(), images_in=1, annotations_in=10)


@pytest.mark.parametrize("change", [lambda r: r[:-1], lambda r: [*r, r[-1]]])
def test_a_missing_or_repeated_record_is_an_error(change):
    with pytest.raises(LedgerError, match="ledger"):
        check_totals(change(rows()), images_in=1, annotations_in=10)


def test_the_ledger_is_read_as_written_and_equal_ledgers_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_ledger(tmp_path / name, rows())
    assert read_ledger(tmp_path / "one") == rows()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_ledger_in_any_order_is_read_in_the_order_of_the_source(tmp_path):
    at = np.array([3, 0, 10, 7, 1, 2, 9, 8, 4, 6, 5])
    tables.write(tmp_path / "ledger", tables.with_position(to_table([rows()[i] for i in at]), at))
    assert read_ledger(tmp_path / "ledger") == rows()


def test_an_object_without_visible_pixels_is_hidden_and_an_ignored_region_is_not():
    kept = Row(kind="annotation", id="1", image_key="a", place="annotations[0]", px_before=9)
    ignored = Row(kind="annotation", id="1", image_key="a", place="annotations[0]", verdict="ignored", reason="crowd")
    hidden, visible = with_visible_px(kept, 0), with_visible_px(kept, 4)
    assert (hidden.verdict, hidden.reason, hidden.px_after) == ("hidden", "covered", 0)
    assert (visible.verdict, visible.reason, visible.px_after) == ("kept", "", 4)
    assert with_visible_px(ignored, 0).verdict == "ignored"


@pytest.mark.parametrize(
    ("px_after", "px_store", "verdict", "vanished"),
    [
        (5, 0, "kept", True),
        (5, 1, "kept", False),
        (5, None, "kept", False),
        (0, 0, "hidden", False),
        (5, 0, "ignored", False),
    ],
)
def test_an_object_vanishes_if_it_is_visible_but_has_no_pixel_at_training_size(px_after, px_store, verdict, vanished):
    row = Row(kind="annotation", id="1", image_key="a", place="", verdict=verdict, px_after=px_after, px_store=px_store)
    assert is_vanished(one_shard([row])).tolist() == [vanished]


def test_a_stage_that_passes_on_other_records_than_the_ledger_keeps_is_an_error():
    kept = [f"json#{i}" for i in range(8)]
    check_kept(rows(), ["a"], kept)
    message = "keeps 9 records, the stage passes on 8; first difference: annotation json#7"
    with pytest.raises(LedgerError, match=message):
        check_kept(rows(), ["a"], kept[:-1])
