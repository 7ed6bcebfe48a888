import time

from segpipe.train.budget import Budget


def test_without_a_limit_time_is_never_up():
    assert not Budget(None, used=1e9, validation=1e9).is_spent()


def test_room_is_kept_for_one_more_validation():
    assert not Budget(100, used=80, validation=10).is_spent()  # 80 + 12 < 100
    assert Budget(100, used=90, validation=10).is_spent()  # 90 + 12 > 100


def test_room_is_kept_for_one_more_checkpoint():
    assert Budget(100, used=80, validation=10, saving=8).is_spent()  # 80 + 12 + 9.6 > 100


def test_earlier_processes_count():
    assert Budget(10, used=11).is_spent()


def test_the_clock_runs():
    budget = Budget(10, used=5)
    before = budget.used
    time.sleep(0.02)
    assert 5 <= before < budget.used < 6


def test_the_first_validation_is_judged_from_the_training_steps():
    budget = Budget(100, used=60)
    budget.guess_validation(seconds_per_picture=1.0, pictures=80)  # half a step's time each: 40 s
    assert budget.is_spent()
