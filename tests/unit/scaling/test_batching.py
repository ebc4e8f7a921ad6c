import bisect
import itertools
import math
import random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from skerry.scaling.batching import BatchPolicy, BatchReason

MAX_SIZE = 64
OBJECTIVE_S = 0.05

sizes = st.integers(1, 500)
waits_s = st.floats(0, 0.2)
costs_s = st.floats(0, 0.02)


def learned(a_s, b_s, *, max_size=MAX_SIZE, objective_s=OBJECTIVE_S, batches=60, **options):
    """Return a policy that has seen batches of all sizes that last exactly as the model says."""
    policy = BatchPolicy(max_size=max_size, objective_s=objective_s, **options)
    for number in range(batches):
        size = 1 + number * 7 % max_size
        policy.observe(size, a_s * size + b_s)
    return policy


def follow(policy, batches, *, size, duration_s):
    """Let a policy see batches whose size and duration are drawn by two functions."""
    for _ in range(batches):
        items = size()
        policy.observe(items, duration_s(items))


# What it decides


def test_before_the_first_batch_it_takes_what_waits_up_to_the_cap():
    policy = BatchPolicy(max_size=8, objective_s=OBJECTIVE_S)
    assert (policy.a_s, policy.b_s, policy.spread_s, policy.expected_s(3)) == (None, None, None, None)
    assert policy.decide(queued=3, oldest_wait_s=0, idle_workers=1) == (3, 0, BatchReason.QUEUE)
    assert policy.decide(queued=30, oldest_wait_s=0, idle_workers=1) == (8, 0, BatchReason.MAX_SIZE)


def test_idle_workers_share_what_waits():
    policy = learned(1e-5, 1e-4)
    assert policy.decide(queued=7, oldest_wait_s=0, idle_workers=2).size == 4
    assert policy.decide(queued=1, oldest_wait_s=0, idle_workers=3).size == 1
    assert policy.decide(queued=129, oldest_wait_s=0, idle_workers=2) == (64, 0, BatchReason.MAX_SIZE)
    assert policy.decide(queued=128, oldest_wait_s=0, idle_workers=2) == (64, 0, BatchReason.QUEUE)


def test_a_batch_is_as_large_as_lets_the_oldest_meet_the_objective():
    policy = learned(0.001, 0.002)
    assert policy.decide(queued=64, oldest_wait_s=0.0, idle_workers=1).reason == BatchReason.OBJECTIVE
    assert policy.decide(queued=64, oldest_wait_s=0.0, idle_workers=1).size in (47, 48)
    assert policy.decide(queued=64, oldest_wait_s=0.03, idle_workers=1).size in (17, 18)
    assert policy.decide(queued=17, oldest_wait_s=0.03, idle_workers=1) == (17, 0, BatchReason.QUEUE)


def test_a_batch_does_not_shrink_for_its_oldest_item_where_that_costs_much_throughput():
    policy = learned(0.001, 0.01)
    assert policy.decide(queued=64, oldest_wait_s=0.0, idle_workers=1).size in (39, 40)  # 0.80/ms instead of 0.86
    assert policy.decide(queued=64, oldest_wait_s=0.02, idle_workers=1) == (64, 0, BatchReason.LATE)  # 0.67/ms


def test_an_oldest_item_that_is_late_anyway_does_not_make_the_batch_small():
    policy = learned(0.001, 0.01)
    assert policy.decide(queued=100, oldest_wait_s=0.0405, idle_workers=1) == (64, 0, BatchReason.LATE)
    assert policy.decide(queued=5, oldest_wait_s=3.0, idle_workers=1) == (5, 0, BatchReason.LATE)


def test_an_objective_shorter_than_a_batch_leaves_the_best_throughput():
    policy = learned(0.001, 0.2)
    assert policy.decide(queued=100, oldest_wait_s=0, idle_workers=1) == (64, 0, BatchReason.LATE)


def test_while_all_workers_are_busy_it_says_how_long_the_oldest_can_wait():
    policy = learned(0.001, 0.01)
    decision = policy.decide(queued=10, oldest_wait_s=0.005, idle_workers=0)
    assert decision.reason == BatchReason.BUSY
    assert decision.wait_s == pytest.approx(0.034, abs=1e-4)
    assert decision.size == 10


def test_an_oldest_item_that_cannot_wait_for_a_worker_is_late():
    policy = learned(0.001, 0.01)
    in_time = policy.decide(queued=10, oldest_wait_s=0.005, idle_workers=0, expected_idle_s=0.02)
    late = policy.decide(queued=10, oldest_wait_s=0.005, idle_workers=0, expected_idle_s=0.04)
    assert (in_time.reason, late.reason) == (BatchReason.BUSY, BatchReason.LATE)
    assert policy.decide(queued=10, oldest_wait_s=1, idle_workers=0) == (10, 0, BatchReason.LATE)


def test_nothing_that_waits_is_a_batch_of_none():
    assert learned(0.001, 0.01).decide(queued=0, oldest_wait_s=0, idle_workers=2).size == 0
    assert learned(0.001, 0.1).decide(queued=0, oldest_wait_s=0, idle_workers=0).size == 0


@given(sizes, waits_s, st.integers(0, 8), costs_s, costs_s, st.none() | waits_s)
def test_no_batch_is_above_the_cap_and_none_is_empty(queued, wait_s, idle, a_s, b_s, idle_s):
    decision = learned(a_s, b_s).decide(queued=queued, oldest_wait_s=wait_s, idle_workers=idle, expected_idle_s=idle_s)
    assert 1 <= decision.size <= min(MAX_SIZE, queued)


@given(sizes, waits_s, st.integers(1, 8), costs_s, costs_s)
def test_it_never_waits_while_a_worker_is_idle(queued, wait_s, idle, a_s, b_s):
    decision = learned(a_s, b_s).decide(queued=queued, oldest_wait_s=wait_s, idle_workers=idle)
    assert decision.wait_s == 0
    assert decision.reason != BatchReason.BUSY


def throughput(size, a_s, b_s):
    return size / (a_s * size + b_s)


@given(sizes, waits_s, st.integers(1, 4), costs_s, st.floats(1e-6, 0.02))
@example(64, 0.0, 1, 0.001, 0.01)
@example(64, 0.03, 1, 0.001, 0.002)
def test_the_oldest_item_meets_the_objective_where_that_costs_little_throughput(queued, wait_s, idle, a_s, b_s):
    error_s = 0.02 * (a_s * MAX_SIZE + b_s)  # what is left of the error of the fit
    most = min(MAX_SIZE, -(-queued // idle))
    in_time = [n for n in range(1, most + 1) if wait_s + a_s * n + b_s + error_s <= OBJECTIVE_S]
    assume(in_time)
    assume(throughput(in_time[-1], a_s, b_s) > 0.85 * throughput(most, a_s, b_s))
    decision = learned(a_s, b_s, batches=400).decide(queued=queued, oldest_wait_s=wait_s, idle_workers=idle)
    assert decision.reason != BatchReason.LATE
    assert wait_s + a_s * decision.size + b_s <= OBJECTIVE_S + error_s
    assert decision.size >= in_time[-1] - 1


@given(sizes, waits_s, costs_s, costs_s)
def test_a_batch_is_smaller_than_what_waits_only_for_the_cap_or_the_objective(queued, wait_s, a_s, b_s):
    policy = learned(a_s, b_s)
    decision = policy.decide(queued=queued, oldest_wait_s=wait_s, idle_workers=1)
    if decision.reason == BatchReason.OBJECTIVE:
        assert wait_s + policy.expected_s(decision.size + 1) + policy.spread_s > OBJECTIVE_S - 1e-9
    else:
        assert decision.size == min(queued, MAX_SIZE)


@given(sizes, costs_s, costs_s, st.floats(0, 1), st.integers(0, 40))
def test_an_item_that_has_not_waited_too_long_is_served_in_time(queued, a_s, b_s, share, spread):
    policy = learned(a_s, b_s)
    for step in range(spread):  # batches that scatter
        policy.observe(8, (a_s * 8 + b_s) * (0.8 if step % 2 else 1.2))
    longest_s = policy.longest_wait_s(queued)
    if longest_s >= 0:
        wait_s = max(0.0, share * longest_s - 1e-9)
        decision = policy.decide(queued=queued, oldest_wait_s=wait_s, idle_workers=1)
        assert decision.reason != BatchReason.LATE
        assert wait_s + policy.expected_s(decision.size) <= OBJECTIVE_S + 1e-9
    margin_s = max(policy.spread_s, 0.1 * OBJECTIVE_S) + 1e-9
    late_s = max(0.0, longest_s + margin_s)
    assert policy.decide(queued=queued, oldest_wait_s=late_s, idle_workers=1).reason == BatchReason.LATE


def test_before_the_first_batch_no_item_is_late():
    assert BatchPolicy(max_size=4, objective_s=0.01).longest_wait_s(9) == math.inf


def share_in_time(a_s, b_s, *, load, strict=False):
    """Return the share within the objective of a server that batches Poisson arrivals at a share of its capacity."""
    draw = random.Random(3)
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S)
    rate = load * throughput(MAX_SIZE, a_s, b_s)
    due_s = list(itertools.accumulate(draw.expovariate(rate) for _ in range(10_000)))
    now_s, begin, in_time = 0.0, 0, 0
    while begin < len(due_s):
        now_s = max(now_s, due_s[begin])
        queued = bisect.bisect_right(due_s, now_s, lo=begin) - begin
        size = policy.decide(queued=queued, oldest_wait_s=now_s - due_s[begin], idle_workers=1).size
        if strict:
            left_s = OBJECTIVE_S - (now_s - due_s[begin]) - b_s
            size = min(queued, MAX_SIZE, int(left_s / a_s)) if left_s > a_s else size
        took_s = (a_s * size + b_s) * max(0.3, draw.gauss(1, 0.2))
        policy.observe(size, took_s)
        now_s += took_s
        in_time += sum(now_s - due <= OBJECTIVE_S for due in due_s[begin : begin + size])
        begin += size
    return in_time / len(due_s)


def test_near_saturation_more_items_meet_the_objective_than_if_every_batch_shrank_to_its_oldest():
    assert share_in_time(3e-4, 5e-3, load=0.8) > 0.98
    kept = share_in_time(1e-3, 1e-2, load=0.6)
    assert kept > share_in_time(1e-3, 1e-2, load=0.6, strict=True) + 0.05


# What it learns


@given(st.floats(1e-7, 0.01), st.floats(1e-6, 0.1))
def test_it_finds_the_cost_of_items_and_of_a_batch(a_s, b_s):
    policy = learned(a_s, b_s, batches=300)
    for size in (1, 16, 64):
        assert policy.expected_s(size) == pytest.approx(a_s * size + b_s, rel=0.02, abs=0.01 * (a_s * 64 + b_s))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.05, 0.3])
@pytest.mark.parametrize(("a_s", "b_s"), [(1e-4, 1e-3), (1e-6, 2e-3), (1e-3, 0.0)])
def test_it_finds_them_under_noise(a_s, b_s, noise, seed):
    draw = random.Random(seed)
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S)
    follow(
        policy,
        500,
        size=lambda: draw.randint(1, MAX_SIZE),
        duration_s=lambda size: (a_s * size + b_s) * max(0.1, draw.gauss(1, noise)),
    )
    for size in (8, 32, 64):
        assert policy.expected_s(size) == pytest.approx(a_s * size + b_s, rel=0.05 + noise)
    mean_s = a_s * 32 + b_s
    assert noise / 2 < policy.spread_s / mean_s < 2 * noise


@pytest.mark.parametrize("factor", [0.2, 4.0])
def test_it_follows_a_change(factor):
    draw = random.Random(7)
    policy = learned(1e-4, 1e-3)
    follow(
        policy,
        80,
        size=lambda: draw.randint(1, MAX_SIZE),
        duration_s=lambda size: factor * (1e-4 * size + 1e-3) * draw.gauss(1, 0.1),
    )
    assert policy.expected_s(32) == pytest.approx(factor * 4.2e-3, rel=0.2)
    assert policy.expected_s(64) == pytest.approx(factor * 7.4e-3, rel=0.2)


def test_it_follows_a_slow_drift():
    draw = random.Random(8)
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S)
    for number in range(2000):
        size = draw.randint(1, MAX_SIZE)
        policy.observe(size, (1e-4 * size + 1e-3) * (1 + number / 1000) * draw.gauss(1, 0.05))
    assert policy.expected_s(32) == pytest.approx(3 * 4.2e-3, rel=0.15)


@pytest.mark.parametrize("pause_s", [0.1, 10.0])
def test_one_pause_is_no_lesson(pause_s):
    policy = learned(1e-4, 1e-3, batches=300)
    before_s = policy.expected_s(32)
    policy.observe(10, pause_s)
    assert policy.expected_s(32) == pytest.approx(before_s, rel=0.05)
    assert policy.decide(queued=64, oldest_wait_s=0, idle_workers=1).size == 64


def test_a_slow_first_batch_is_forgotten_within_a_few():
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S)
    policy.observe(1, 2.0)
    follow(policy, 40, size=iter(range(1, 41)).__next__, duration_s=lambda size: 1e-4 * size + 1e-3)
    assert policy.expected_s(32) == pytest.approx(4.2e-3, rel=0.15)


def test_while_no_two_sizes_were_seen_the_items_cost_it_all():
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S)
    follow(policy, 100, size=lambda: 4, duration_s=lambda size: 0.004)
    assert (policy.a_s, policy.b_s) == (pytest.approx(0.001), pytest.approx(0))
    assert policy.decide(queued=64, oldest_wait_s=0, idle_workers=1).size in (49, 50)


def test_batches_of_one_size_leave_the_ratio_of_the_costs_as_it_was():
    policy = learned(1e-4, 1e-3, batches=300)
    follow(policy, 200_000, size=lambda: 16, duration_s=lambda size: 2.6e-3)
    assert (policy.a_s, policy.b_s) == (pytest.approx(1e-4, rel=0.05), pytest.approx(1e-3, rel=0.05))
    follow(policy, 2000, size=lambda: 16, duration_s=lambda size: 5.2e-3)
    assert (policy.a_s, policy.b_s) == (pytest.approx(2e-4, rel=0.05), pytest.approx(2e-3, rel=0.05))


def test_after_batches_of_one_size_another_size_is_learned():
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S)
    follow(policy, 1000, size=lambda: 1, duration_s=lambda size: 1.01e-3)
    follow(policy, 30, size=iter([1, 8] * 15).__next__, duration_s=lambda size: 1e-5 * size + 1e-3)
    assert policy.expected_s(8) == pytest.approx(1.08e-3, rel=0.05)


durations_s = st.floats(0, 1e6) | st.sampled_from([0.0, -1.0, math.inf, -math.inf, math.nan])


@given(st.lists(st.tuples(st.integers(-1, 10_000), durations_s), max_size=60))
def test_costs_are_finite_and_never_negative_whatever_is_observed(batches):
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S)
    for size, duration_s in batches:
        policy.observe(size, duration_s)
        if policy.a_s is not None:
            assert 0 <= policy.a_s < math.inf
            assert 0 <= policy.b_s < math.inf
            assert 0 <= policy.spread_s < math.inf
    assert 1 <= policy.decide(queued=100, oldest_wait_s=0.01, idle_workers=1).size <= MAX_SIZE


def test_what_is_no_batch_or_no_time_is_ignored():
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S)
    for size, duration_s in [(0, 1.0), (1, -1.0), (1, math.nan), (1, math.inf)]:
        policy.observe(size, duration_s)
    assert policy.a_s is None


# Weights


def test_items_fit_until_their_weights_exceed_the_bound():
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S, max_weight=10)
    assert policy.fitting([4, 6, 1]) == 2
    assert policy.fitting([4, 6.5]) == 1
    assert policy.fitting([11, 1]) == 1
    assert policy.fitting([]) == 0
    assert policy.fitting([0, 0, 0]) == 3


def test_without_a_bound_all_fit():
    assert BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S).fitting([1e9] * 5) == 5


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 200))
def test_the_items_that_fit_are_the_most_that_do(weights, bound):
    policy = BatchPolicy(max_size=MAX_SIZE, objective_s=OBJECTIVE_S, max_weight=bound)
    count = policy.fitting(iter(weights))
    assert count >= 1
    assert count == 1 or sum(weights[:count]) <= bound + 1e-9
    assert count == len(weights) or sum(weights[: count + 1]) >= bound - 1e-9
