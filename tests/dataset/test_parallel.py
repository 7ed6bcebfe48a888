from segpipe.dataset.parallel import ordered


def _square(number: int) -> int:
    return number * number


def test_results_come_in_order_whatever_the_number_of_workers():
    numbers = list(range(101))
    expected = [n * n for n in numbers]
    for workers in (1, 2, 3):
        assert list(ordered(_square, numbers, workers, "numbers")) == expected
    assert list(ordered(_square, [], 2, "numbers")) == []
