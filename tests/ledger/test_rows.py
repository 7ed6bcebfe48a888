import pytest

from segpipe.core.errors import LedgerError
from segpipe.ledger.rows import Row, check_totals, read_ledger, summary, warnings, write_ledger


def rows() -> list[Row]:
    kept = [Row(kind="annotation", id=f"json#{i}", image_key="a", place=f"annotations[{i}]") for i in range(8)]
    lost = [
        Row(kind="annotation", id=f"json#{i}", image_key="a", place=f"annotations[{i}]", verdict="dropped",
            reason="bad_ring", detail="two points")
        for i in (8, 9)
    ]  # fmt: skip
    return [Row(kind="image", id="a", image_key="a", place="images[0]"), *kept, *lost]


def test_sums_that_close_pass():
    check_totals(rows(), images_in=1, annotations_in=10)


@pytest.mark.parametrize("change", [lambda r: r[:-1], lambda r: [*r, r[-1]]])
def test_a_lost_or_doubled_record_stops_the_stage(change):
    with pytest.raises(LedgerError, match="ledger"):
        check_totals(change(rows()), images_in=1, annotations_in=10)


def test_counts_by_verdict_and_reason():
    assert summary(rows())["annotations"] == {
        "in": 10,
        "verdicts": {"kept": 8, "dropped": 2},
        "reasons": {"bad_ring": 2},
    }


def test_each_reason_is_one_warning():
    assert warnings(rows()) == ["2 annotations dropped: bad_ring (first: annotations[8]: two points)"]


def test_the_ledger_comes_back_and_is_the_same_bytes_each_time(tmp_path):
    for name in ("one", "two"):
        write_ledger(tmp_path / name, rows())
    assert read_ledger(tmp_path / "one") == rows()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
