import numpy as np

from segpipe.data.split_table import Assignment
from segpipe.split import summary

NAMES = ["background", "cat"]
ROWS = [Assignment(key=k, split=s, group=k) for k, s in (("a", "train"), ("b", "test"), ("c", ""), ("d", "train"))]
PIXELS = np.array([[6, 2], [4, 4], [9, 0], [8, 0]])


def test_shares_are_compared_with_those_of_all_used_images():
    facts = summary.summary(ROWS, summary.shares(ROWS, PIXELS, NAMES))
    assert facts["images"] == {"train": 2, "val": 0, "test": 1}
    assert facts["share_off"]["images"] == {  # cat: on 2 of 3 images, 1 of 2 in train, 1 of 1 in test
        "train": {"background": 0.0, "cat": -0.25},
        "val": {},
        "test": {"background": 0.0, "cat": 0.5},
    }
    assert facts["share_off"]["pixels"] == {  # cat: 6 of 24, 2 of 16 in train, 4 of 8 in test
        "train": {"background": 0.1667, "cat": -0.5},
        "val": {},
        "test": {"background": -0.3333, "cat": 1.0},
    }
    assert facts["worst_share_off"] == {"images": 0.5, "pixels": 1.0}
    assert "folds" not in facts


def test_folds_are_counted():
    rows = [Assignment(key=str(i), split="train", group="", fold=f"{i % 2}/2") for i in range(3)]
    assert summary.summary(rows, summary.shares(rows, PIXELS[:3], NAMES))["folds"] == {"0/2": 2, "1/2": 1}


def test_the_table_and_the_csv_have_the_same_numbers():
    table = summary.shares(ROWS, PIXELS, NAMES)
    assert summary.share_table(table)[1:] == [
        "                   train           val          test",
        "background    +0 /   +17     - /     -    +0 /   -33",
        "cat          -25 /   -50     - /     -   +50 /  +100",
    ]
    assert summary.class_csv(table).splitlines() == [
        "class,split,images,pixels,images_off_percent,pixels_off_percent",
        "background,train,2,14,+0,+17",
        "background,val,0,0,,",
        "background,test,1,4,+0,-33",
        "cat,train,1,2,-25,-50",
        "cat,val,0,0,,",
        "cat,test,1,4,+50,+100",
    ]


def test_warnings_name_empty_splits_and_missing_classes():
    rows = [Assignment(key=k, split=s, group="g") for k, s in (("a", "train"), ("b", "test"))]
    lines = summary.warnings(rows, np.array([[6, 2], [4, 0]]), NAMES)
    assert lines[0] == "val has no image"
    assert lines[1] == "class cat has no pixel in test"
    assert lines[2].startswith("2 of 2 images are in one group")
    held_out = [
        Assignment(key=k, split=s, group=k, reason="empty_mask") for k, s in (("c", ""), ("d", "val"), ("e", "test"))
    ]
    assert summary.warnings([*rows, *held_out], np.full((5, 2), 9), NAMES)[0] == (
        "val and test: 2 images without an object; anything predicted there is an error"
    )


def test_a_group_of_one_image_has_no_warning():
    rows = [
        Assignment(key=k, split=s, group=k) for k, s in (("a", "train"), ("b", "val"), ("c", "test"), ("d", "train"))
    ]
    assert summary.warnings(rows, np.full((4, 2), 9), NAMES) == []


def test_a_split_without_val_and_test_has_a_warning():
    rows = [Assignment(key=k, split="train", group=k) for k in "ab"]
    assert summary.warnings(rows, np.full((2, 2), 9), NAMES)[-1] == (
        "nothing can be scored: evaluate needs an image in val or test"
    )


def test_advice_names_the_largest_deviation_of_a_common_class():
    rows = [Assignment(key=str(i), split="test" if i < 10 else "train", group=str(i)) for i in range(30)]
    even, uneven = np.array([[9, 1]] * 30), np.array([[9, 1 if i < 20 else 0] for i in range(30)])
    assert summary.advice(rows, even, NAMES) == []
    assert summary.advice(rows, uneven, NAMES) == [  # 10 of 100 in test, 20 of 290 in all
        "the share of class cat in test deviates by +45 %; set split.method: balanced in params.yaml for equal shares"
    ]
    empty = [Assignment(key=f"e{i}", split="test" if i < 10 else "", group="", reason="empty_mask") for i in range(30)]
    assert summary.advice([*rows, *empty], np.concatenate([even, [[10, 0]] * 30]), NAMES) == []
    rare = np.array([[9, 1 if i < 9 else 0] for i in range(30)])
    assert summary.advice(rows, rare, NAMES) == []


def test_there_is_no_advice_if_no_image_has_an_object():
    rows = [Assignment(key=str(i), split="", group="", reason="empty_mask") for i in range(20)]
    assert summary.advice(rows, np.array([[9, 0]] * 20), NAMES) == []
