import pytest

from skerry.runtime.load import Load


def test_the_average_is_over_the_time_since_it_was_taken_last():
    load = Load(10.0)
    load.entered(10.0)
    load.entered(11.0)
    load.left(12.0)
    assert load.take(14.0) == pytest.approx((1 + 2 + 1 + 1) / 4)
    load.left(15.0)
    assert load.take(16.0) == pytest.approx(0.5)
    assert load.take(16.0) == 0.0


def test_several_calls_may_be_over_at_once():
    load = Load(0.0)
    for _ in range(3):
        load.entered(0.0)
    load.left(1.0, 3)
    assert (load.in_system, load.arrived, load.answered) == (0, 3, 3)
    assert load.take(2.0) == pytest.approx(1.5)


def test_the_rate_of_arrivals_is_over_the_time_since_it_was_taken_last():
    load = Load(0.0)
    for _ in range(6):
        load.entered(1.0)
    assert load.take_rate(2.0) == 3.0
    assert load.take_rate(4.0) == 0.0
    assert load.take_rate(4.0) == 0.0


def run(load, *, from_s, seconds, rate):
    """Have so many calls a second come and be answered, and mark ten times a second."""
    for tick in range(int(seconds * 10)):
        now_s = from_s + (tick + 1) / 10
        for _ in range(rate // 10):
            load.entered(now_s)
            load.left(now_s)
        load.mark(now_s)


def test_the_rate_of_answers_follows_what_is_answered():
    load = Load(0.0)
    assert load.answer_rate() == 0.0
    run(load, from_s=0.0, seconds=20, rate=100)
    assert load.answer_rate() == pytest.approx(100, rel=0.01)
    run(load, from_s=20.0, seconds=20, rate=1000)
    assert load.answer_rate() == pytest.approx(1000, rel=0.01)


def test_marking_twice_in_a_moment_changes_nothing():
    load = Load(0.0)
    run(load, from_s=0.0, seconds=5, rate=100)
    before = load.answer_rate()
    load.mark(5.0)
    assert load.answer_rate() == before


def test_the_rate_of_answers_does_not_count_the_time_when_nobody_asked():
    load = Load(0.0)
    run(load, from_s=0.0, seconds=10, rate=100)
    load.entered(3600.0)  # an hour later
    for _ in range(9):
        load.entered(3600.0)
    load.left(3600.1, 10)
    load.mark(3600.1)
    assert load.answer_rate() > 10
