import pytest

from segpipe.core.errors import UserError
from segpipe.split import pins
from segpipe.split.pins import Pin


def test_pins_come_back_as_they_were_written_sorted_by_content(tmp_path):
    table = tmp_path / "pins.csv"
    pins.write(table, {"ff": Pin(split="test"), "0a": Pin(split="train", fold="2/5")})
    assert table.read_text() == "sha256,split,fold\n0a,train,2/5\nff,test,\n"
    assert pins.read(table) == {"0a": Pin(split="train", fold="2/5"), "ff": Pin(split="test")}


def test_a_table_with_its_header_alone_pins_nothing(tmp_path):
    pins.write(tmp_path / "pins.csv", {})
    assert pins.read(tmp_path / "pins.csv") == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sha256,split\n0a,valid\n", r"line 2: columns sha256, split, fold expected: train, val or test, and no fold"),
        ("sha256,split,fold\n0a,val,5/5\n", r"line 2: columns"),
        ("sha256,split,fold\n0a,val,\n0b,val,first\n", r"line 3: columns"),
        ("key,split\nx,val\n", r"line 2: columns sha256"),
        ("sha256,split\n0a,val\n0a,test\n", r"line 3: this image has another side in an earlier row"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_error_with_its_line(tmp_path, text, problem):
    (tmp_path / "pins.csv").write_text(text)
    with pytest.raises(UserError, match=problem):
        pins.read(tmp_path / "pins.csv")


def test_what_is_left_out_of_training_is_pinned_to_it_so_that_it_never_moves_to_another_side(tmp_path):
    table = tmp_path / "splits.csv"
    table.write_text("key,split,group,reason,fold,sha256\na,val,a,empty_mask,1/3,0a\nb,,b,empty_mask,0/3,0b\n")
    assert pins.of_split(table) == {"0a": Pin(split="val", fold="1/3"), "0b": Pin(split="train", fold="0/3")}
