from segpipe.dataset import split_table


def test_keys_stay_text_and_left_out_is_an_empty_split(tmp_path):
    table = tmp_path / "splits.csv"
    table.write_text('key,split,group,reason\n001,train,001,\nNA,,NA,empty_mask\n"a,b",test,c,\n', encoding="utf-8")
    assert split_table.read(table) == {"001": "train", "NA": "", "a,b": "test"}
