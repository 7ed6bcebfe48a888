import pytest

from segpipe.core.errors import UserError
from segpipe.split import pins
from segpipe.split.pins import Pin


def test_pins_are_written_sorted_by_content_and_read_back(tmp_path):
    table = tmp_path / "pins.csv"
    pins.write(table, {"ff": Pin(split="test"), "0a": Pin(split="train", fold="2/5")})
    assert table.read_text() == "sha256,split,fold\n0a,train,2/5\nff,test,\n"
    assert pins.read(table) == {"0a": Pin(split="train", fold="2/5"), "ff": Pin(split="test")}


def test_a_table_without_rows_has_no_pins(tmp_path):
    pins.write(tmp_path / "pins.csv", {})
    assert pins.read(tmp_path / "pins.csv") == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "sha256,split\n0a,valid\n",
            r"line 2: needs sha256, split, fold, with train, val or test, and an empty",
        ),
        ("sha256,split,fold\n0a,val,5/5\n", r"line 2: needs sha256"),
        ("sha256,split,fold\n0a,val,\n0b,val,first\n", r"line 3: needs sha256"),
        ("key,split\nx,val\n", r"line 2: needs sha256"),
        (
            "sha256,split\n0a,val\n0a,test\n",
            r"line 3: an earlier row has another split for this image; keep one",
        ),
    ],
)
def test_an_invalid_table_is_an_error_with_its_line(tmp_path, text, problem):
    (tmp_path / "pins.csv").write_text(text)
    with pytest.raises(UserError, match=problem):
        pins.read(tmp_path / "pins.csv")


def test_an_image_left_out_of_training_is_pinned_to_train(tmp_path):
    table = tmp_path / "splits.csv"
    table.write_text("key,split,group,reason,fold,sha256\na,val,a,empty_mask,1/3,0a\nb,,b,empty_mask,0/3,0b\n")
    assert pins.of_split(table) == {"0a": Pin(split="val", fold="1/3"), "0b": Pin(split="train", fold="0/3")}
