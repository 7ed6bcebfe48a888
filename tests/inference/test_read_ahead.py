import threading

import pytest

from segpipe.inference.read_ahead import PIXELS_AHEAD, in_batches, read_ahead


def test_results_are_in_order_with_their_items():
    assert list(read_ahead(range(20), lambda n: n * n, ahead=4)) == [(n, n * n) for n in range(20)]


def test_at_most_ahead_results_are_read_beyond_the_result_in_use():
    started = []
    stream = read_ahead(range(100), started.append, ahead=3)
    for used in range(5):
        next(stream)
        assert len(started) <= used + 1 + 3


def test_reading_goes_on_while_the_caller_works():
    second_is_read = threading.Event()
    stream = read_ahead([1, 2], lambda n: second_is_read.set() if n == 2 else None, ahead=2)
    next(stream)
    assert second_is_read.wait(timeout=5)


def test_an_error_of_reading_is_raised_at_its_item():
    stream = read_ahead([2, 1, 0], lambda n: 2 // n, ahead=3)
    assert [next(stream), next(stream)] == [(2, 1), (1, 2)]
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_batches_have_every_item_once():
    assert list(in_batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(in_batches([], 2)) == []


def test_large_results_are_read_one_at_a_time():
    started = []
    stream = read_ahead(range(6), started.append, ahead=4, pixels_of=lambda _: PIXELS_AHEAD)
    for used in range(5):
        next(stream)
        assert len(started) == used + 1
