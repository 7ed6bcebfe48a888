import logging
import re

from segpipe.dataset.parallel import ordered, pace


def _square(number: int) -> int:
    return number * number


def test_results_come_in_order_whatever_the_number_of_workers():
    numbers = list(range(101))
    expected = [n * n for n in numbers]
    for workers in (1, 2, 3):
        assert list(ordered(_square, numbers, workers, "numbers")) == expected
    assert list(ordered(_square, [], 2, "numbers")) == []


def test_the_last_line_tells_the_pace(caplog):
    caplog.set_level(logging.INFO)
    for workers in (1, 2):
        results = ordered(_square, [1, 2, 3, 4], workers, "numbers")
        for _ in range(4):
            next(results)  # a reader that asks for no more than there is
        (line,) = [record.getMessage() for record in caplog.records]
        assert re.fullmatch(r"4 numbers in [\d.]+ s, [\d.]+ a second; \d+% of it computing: .* it", line)
        caplog.clear()


def test_the_pace_names_what_limits_it():
    assert (
        pace(90, "masks", 3.0, 0.9) == "90 masks in 3.0 s, 30.0 a second; 90% of it computing: the processors limit it"
    )
    assert pace(1, "masks", 2.0, 0.5).endswith("50% of it computing: reading, writing or other work limits it")
