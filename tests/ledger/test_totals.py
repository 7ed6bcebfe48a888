import subprocess
import sys

import numpy as np
import pyarrow as pa

from segpipe.data import tables
from segpipe.data.columns import Shards
from segpipe.ledger.rows import Row, one_shard, to_table, write_ledger
from segpipe.ledger.totals import Totals


def annotation(number: int, **fields) -> Row:
    return Row(kind="annotation", id=f"json#{number}", image_key="a", place=f"annotations[{number}]", **fields)


def bad(number: int, detail: str = "two points") -> Row:
    return annotation(number, verdict="dropped", reason="bad_ring", detail=detail)


IMAGE = Row(kind="image", id="a", image_key="a", place="images[0]")
ROWS = [IMAGE, *map(annotation, range(8)), bad(8), bad(9, "one point")]


def in_shards(rows, *shards) -> list[pa.Table]:
    """A ledger whose shards have these positions each."""
    return [tables.with_position(to_table([rows[i] for i in at]), np.array(at, np.int64)) for at in shards]


def test_records_are_counted_by_verdict_and_reason():
    summary = Totals.of([one_shard(ROWS)]).summary()
    assert summary == {
        "images": {"in": 1, "verdicts": {"kept": 1}, "reasons": {}},
        "annotations": {"in": 10, "verdicts": {"kept": 8, "dropped": 2}, "reasons": {"bad_ring": 2}},
    }


def test_each_reason_gives_one_warning_with_its_first_record():
    assert Totals.of([one_shard(ROWS)]).warnings() == [
        "2 annotations dropped: bad_ring (first: annotations[8]: two points)"
    ]
    assert Totals.of([one_shard(ROWS[:-1])]).warnings() == [
        "1 annotation dropped: bad_ring (first: annotations[8]: two points)"
    ]


def test_no_warning_for_ignored_objects_but_for_ignored_defects():
    rows = [
        annotation(0, verdict="ignored", reason="crowd"),
        annotation(1, verdict="ignored", reason="unknown_category"),
    ]
    (line,) = Totals.of([one_shard(rows)]).warnings()
    assert line.startswith("1 annotation ignored: unknown_category")


def test_the_first_record_is_the_first_of_the_source_in_whichever_shard_it_is():
    nameless = Row(kind="image", id="b", image_key="b", place="", verdict="dropped", reason="missing_file", detail="no")
    rows = [*ROWS, nameless]
    expected = Totals.of([one_shard(rows)])
    assert "1 image dropped: missing_file (first: b: no)" in expected.warnings()
    assert Totals.of(in_shards(rows, [9, 11, 1, 0], [10, 2, 3, 8], [], [4, 5, 6, 7])) == expected


def test_policies_add_up_over_shards():
    box = annotation(0, policies="box,holes", px_before=16, px_nested=4)
    unmeasured = annotation(1, policies="box", verdict="dropped", reason="bad_ring")
    rows = [box, box, unmeasured, annotation(2)]
    assert Totals.of(in_shards(rows, [0, 3], [1, 2])).policies() == {
        "box": {"used": {"annotations": 2, "pixels": 32}, "left_out": {"annotations": 1, "pixels": 0}},
        "holes": {"used": {"annotations": 2, "pixels": 8}},
    }


def test_an_empty_ledger_has_no_counts(tmp_path):
    write_ledger(tmp_path / "ledger.parquet", [])
    for totals in (Totals.of([]), Totals.read(tmp_path / "ledger.parquet")):
        assert totals.summary()["images"] == {"in": 0, "verdicts": {}, "reasons": {}}
        assert (totals.warnings(), totals.policies(), totals.vanished()) == ([], {}, {})


def test_a_file_has_the_counts_of_its_rows(tmp_path):
    path = tmp_path / "ledger.parquet"
    write_ledger(path, ROWS)
    assert Totals.read(path) == Totals.of(Shards(path)) == Totals.of([one_shard(ROWS)])


def test_counting_imports_no_pandas(tmp_path):
    write_ledger(tmp_path / "ledger.parquet", ROWS)
    code = """
import sys
from pathlib import Path
from segpipe.ledger.totals import Totals
print(Totals.read(Path("ledger.parquet")).warnings(), "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith(" False\n")
