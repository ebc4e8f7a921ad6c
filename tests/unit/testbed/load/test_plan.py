import itertools
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.testbed.load import ArrivalPlan, ClientPlan, at_times, bursty, constant, poisson

RATES = st.floats(0.1, 300)
DURATIONS_S = st.floats(0.01, 8)
SEEDS = st.integers(0, 2**32)


def check(plan):
    assert all(first <= second for first, second in itertools.pairwise(plan.offsets_ns))
    assert all(0 <= offset_ns < plan.duration_s * 1e9 for offset_ns in plan.offsets_ns)


def counts_per_second(plan):
    counts = [0] * int(plan.duration_s)
    for offset_ns in plan.offsets_ns:
        counts[int(offset_ns / 1e9)] += 1
    return counts


@settings(deadline=None, max_examples=40)
@given(RATES, DURATIONS_S, SEEDS)
def test_times_rise_and_lie_within_the_plan(rate_per_s, duration_s, seed):
    check(constant(rate_per_s, duration_s))
    check(poisson(rate_per_s, duration_s, seed=seed))
    check(bursty(rate_per_s, duration_s, seed=seed))


@settings(deadline=None, max_examples=40)
@given(RATES, DURATIONS_S, SEEDS)
def test_the_same_seed_gives_the_same_plan(rate_per_s, duration_s, seed):
    for make in (poisson, bursty):
        assert make(rate_per_s, duration_s, seed=seed) == make(rate_per_s, duration_s, seed=seed)


def test_another_seed_gives_another_plan():
    assert poisson(100, 1, seed=1).offsets_ns != poisson(100, 1, seed=2).offsets_ns


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 2000), st.integers(1, 3))
def test_a_constant_plan_has_exactly_its_requests_at_equal_distances(rate_per_s, duration_s):
    plan = constant(rate_per_s, duration_s)
    assert len(plan) == rate_per_s * duration_s
    gap_ns = 1e9 / rate_per_s
    assert all(abs(later - sooner - gap_ns) <= 1 for sooner, later in itertools.pairwise(plan.offsets_ns))


def test_poisson_gaps_are_exponential():
    offsets_ns = poisson(1000, 100, seed=3).offsets_ns
    gaps_s = [(later - sooner) / 1e9 for sooner, later in itertools.pairwise(offsets_ns)]
    assert statistics.mean(gaps_s) == pytest.approx(1e-3, rel=0.02)
    assert statistics.stdev(gaps_s) == pytest.approx(1e-3, rel=0.02)
    assert statistics.median(gaps_s) == pytest.approx(0.6931e-3, rel=0.02)


def test_poisson_counts_vary_as_their_mean_and_bursts_much_more():
    calm = counts_per_second(poisson(50, 2000, seed=4))
    wild = counts_per_second(bursty(50, 2000, seed=4))
    assert statistics.variance(calm) / statistics.mean(calm) == pytest.approx(1, abs=0.15)
    assert statistics.variance(wild) / statistics.mean(wild) > 10


def test_bursts_keep_the_mean_rate_in_the_long_run():
    assert bursty(20, 10_000, seed=5).rate_per_s == pytest.approx(20, rel=0.05)


def test_an_on_off_plan_is_silent_between_its_bursts():
    counts = counts_per_second(bursty(100, 500, seed=6, quiet_ratio=0, peak_ratio=10, burst_s=2))
    assert counts.count(0) > 250
    assert max(counts) > 700


def test_given_times_are_put_in_order_and_cut():
    plan = at_times([2.0, 0.5, 1.0, 9.0], duration_s=3)
    assert list(plan.offsets_ns) == [500_000_000, 1_000_000_000, 2_000_000_000]
    assert plan.rate_per_s == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: constant(0, 1),
        lambda: constant(1, -1),
        lambda: poisson(float("nan"), 1),
        lambda: poisson(1e9, 3600),
        lambda: bursty(1, 1, peak_ratio=0.5),
        lambda: bursty(1, 1, quiet_ratio=1),
        lambda: bursty(1, 1, burst_s=0),
        lambda: at_times([]),
        lambda: at_times([-1.0]),
        lambda: ClientPlan(clients=0, duration_s=1),
        lambda: ClientPlan(clients=1, duration_s=0),
        lambda: ClientPlan(clients=1, duration_s=1, think_s=-1),
    ],
)
def test_a_plan_that_cannot_be_is_refused(make):
    with pytest.raises(SpecError):
        make()


def test_a_plan_knows_its_length_and_rate():
    plan = ArrivalPlan(name="two", offsets_ns=[0, 1], duration_s=2)
    assert len(plan) == 2
    assert plan.rate_per_s == 1
