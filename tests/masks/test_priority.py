from segpipe.masks.painting import Paint, painting_order

BIG_CAR = Paint("car", 100, beneath=False)
SMALL_DOG = Paint("dog", 10, beneath=False)
EQUAL_CAT = Paint("cat", 10, beneath=False)
CROWD = Paint("person", 1, beneath=True)


def test_the_smaller_is_on_top_and_of_equals_the_later():
    assert painting_order([SMALL_DOG, BIG_CAR, EQUAL_CAT], "smaller_on_top") == [1, 0, 2]


def test_record_order_paints_the_later_on_top():
    assert painting_order([SMALL_DOG, BIG_CAR, EQUAL_CAT], "record_order") == [0, 1, 2]


def test_a_list_puts_its_first_class_on_top_and_unnamed_ones_at_the_bottom():
    assert painting_order([SMALL_DOG, BIG_CAR, EQUAL_CAT], ["car", "dog"]) == [2, 0, 1]


def test_crowds_lie_beneath_everything_whatever_the_priority():
    for priority in ("smaller_on_top", "record_order", ["person"]):
        assert painting_order([BIG_CAR, CROWD], priority) == [1, 0]
