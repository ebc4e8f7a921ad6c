import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.scaling.window import Extreme, LoadWindow

STEPS = st.lists(st.tuples(st.floats(0.001, 5), st.floats(0, 100)), min_size=1, max_size=60)


def filled(window_s, steps):
    window, now = LoadWindow(window_s), 0.0
    for length, load in steps:
        window.record(now, now + length, load)
        now += length
    return window, now


def test_an_empty_window_averages_to_nothing():
    assert LoadWindow(60).average(5.0) == 0


def test_loads_are_weighted_by_their_time():
    window, now = filled(60, [(10, 1.0), (30, 5.0)])
    assert window.average(now) == pytest.approx((10 * 1 + 30 * 5) / 40)


def test_what_is_older_than_the_window_is_forgotten():
    window, now = filled(6, [(10, 100.0), (3, 0.0)])
    assert window.average(now) == pytest.approx(50)
    assert window.average(now + 3) == 0


def test_a_sample_longer_than_the_window_fills_it():
    window, now = filled(6, [(1, 100.0), (1000, 2.0)])
    assert window.average(now) == pytest.approx(2)


@pytest.mark.parametrize(("window_s", "bucket_s"), [(60, 1), (6, 0.1), (1, 0.02), (3600, 1)])
def test_the_bucket_is_a_sixtieth_within_bounds(window_s, bucket_s):
    assert LoadWindow(window_s).bucket_s == bucket_s


def test_many_short_samples_need_few_buckets():
    window, now = filled(6, [(0.001, 1.0)] * 20_000)
    assert len(window._buckets) < 130
    assert window.average(now) == pytest.approx(1)


@given(STEPS)
def test_the_average_is_exact_while_the_window_holds_everything(steps):
    window, now = filled(1000, steps)
    expected = sum(length * load for length, load in steps) / sum(length for length, _ in steps)
    assert window.average(now) == pytest.approx(expected, abs=1e-6)


@given(STEPS, st.floats(1, 60))
def test_the_average_is_within_the_loads(steps, window_s):
    window, now = filled(window_s, steps)
    assert -1e-9 <= window.average(now) <= max(load for _, load in steps) + 1e-6


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(-10, 10)), min_size=1), st.floats(0.1, 20))
def test_the_extreme_is_the_largest_of_the_window(steps, window_s):
    extreme, now, seen = Extreme(window_s), 0.0, []
    for length, value in steps:
        now += length
        seen.append((now, value))
        assert extreme.record(now, value) == max(v for t, v in seen if t > now - window_s)


def test_an_extreme_without_a_window_is_the_last_value():
    extreme = Extreme(0)
    assert [extreme.record(t, v) for t, v in [(0, 5), (0, 3), (1, 4)]] == [5, 3, 4]
