"""Bursty arrivals: made again from their seed, with the rate that was asked for."""

import pytest

from benchmarks.objective.trace import RATIO, SHAPES, Shape, Trace, ideal_share, make_trace

LONG, SHORT = SHAPES


def of_arrivals(*due_s):
    shape = Shape(name="given", low_s=1.0, high_s=1.0)
    return Trace(shape=shape, seed=0, mean_rate=1.0, low_rate=1.0, length_s=10.0, bursts=0, due_s=due_s)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_trace_has_its_rate_its_length_and_its_order(shape):
    trace = make_trace(shape, mean_rate=2000.0, length_s=20.0, seed=7)
    assert trace.describe()["actual_rate"] == pytest.approx(2000.0, rel=0.03)
    assert trace.due_s == sorted(trace.due_s)
    assert trace.due_s[0] >= 0.0
    assert trace.due_s[-1] < 20.0


def test_the_same_arguments_make_the_same_trace_and_another_seed_another():
    options = {"mean_rate": 500.0, "length_s": 5.0}
    assert make_trace(SHORT, **options, seed=1) == make_trace(SHORT, **options, seed=1)
    assert make_trace(SHORT, **options, seed=1).due_s != make_trace(SHORT, **options, seed=2).due_s


def test_traces_of_several_rates_have_the_same_bursts_and_one_ratio_of_rates():
    slow = make_trace(LONG, mean_rate=100.0, length_s=30.0, seed=3)
    fast = make_trace(LONG, mean_rate=1000.0, length_s=30.0, seed=3)
    assert slow.bursts == fast.bursts > 0
    assert fast.low_rate == pytest.approx(10 * slow.low_rate)
    told = slow.describe()
    assert told["high_rate"] == pytest.approx(RATIO * told["low_rate"])
    assert told["low_rate"] < 100.0 < told["high_rate"]


def test_arrivals_are_denser_in_bursts():
    trace = make_trace(LONG, mean_rate=1000.0, length_s=20.0, seed=5)
    counts = [0] * 200
    for due_s in trace.due_s:
        counts[int(due_s * 10)] += 1
    busy, quiet = sorted(counts)[-20], sorted(counts)[10]
    assert busy > 5 * quiet


def test_the_ideal_server_keeps_what_it_can_serve_in_time():
    # One second each: the three end after 1, 2 and 3 s, the last one after 1 s again.
    trace = of_arrivals(0.0, 0.0, 0.0, 9.0)
    assert ideal_share(trace, rate=1.0, objective_s=1.0) == 0.5
    assert ideal_share(trace, rate=1.0, objective_s=2.0) == 0.75
    assert ideal_share(trace, rate=1.0, objective_s=3.0) == 1.0


def test_the_ideal_share_of_no_arrivals_is_a_number():
    assert ideal_share(of_arrivals(), rate=1.0, objective_s=1.0) == 0.0
