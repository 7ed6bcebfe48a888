import pyarrow as pa
import pytest

from segpipe.data.columns import counts, grouped, has, numbers


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64()])
def test_numbers_of_several_chunks_and_of_a_slice(kind):
    column = pa.chunked_array([pa.array([5, None, 7], kind), pa.array([1, 2], kind)])
    assert numbers(column, absent=-1).tolist() == [5, -1, 7, 1, 2]
    assert numbers(column.slice(1, 3)).tolist() == [0, 7, 1]
    assert numbers(column.slice(2, 0)).tolist() == []


def test_rows_are_grouped_by_all_their_texts():
    kinds = pa.chunked_array([["image", "image"], ["annotation", "image"]])
    verdicts = pa.chunked_array([["kept", "dropped", "kept", "kept"]])
    keys, number = grouped(kinds, verdicts)
    assert [keys[i] for i in number] == [
        ("image", "kept"), ("image", "dropped"), ("annotation", "kept"), ("image", "kept"),
    ]  # fmt: skip
    assert counts(kinds, verdicts) == {("image", "kept"): 2, ("image", "dropped"): 1, ("annotation", "kept"): 1}
    assert counts(kinds.slice(1, 2)) == {("image",): 1, ("annotation",): 1}


def test_an_empty_table_has_no_groups_and_no_matches():
    empty = pa.schema([("kind", pa.string())]).empty_table()
    assert counts(empty["kind"], empty["kind"]) == {}
    assert has(empty, kind=["image"]).tolist() == []
