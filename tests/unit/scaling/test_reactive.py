import copy
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.scaling import Observation, ReactivePolicy, Reason
from skerry.spec import Scale

TICK_S = 2.0


class Run:
    """Steps a policy through time; workers are ready as soon as they are wanted, unless told otherwise."""

    def __init__(self, *, ready=0, capacity=1000, concurrency=1.0, step_s=TICK_S, start_limit_s=0.0, **scale):
        scale = {"utilization": 1.0, "initial": ready, **scale}
        self.policy = ReactivePolicy(
            Scale(**scale), capacity=capacity, concurrency=concurrency, start_limit_s=start_limit_s
        )
        self.ready = ready
        self.now_s = 1000.0
        self.step_s = step_s
        self.decisions = []

    def decide(self, load, *, ready=None, pending=0, after_s=None, rate=0.0, starting=0):
        self.now_s += self.step_s if after_s is None else after_s
        self.ready = self.ready if ready is None else ready
        observation = Observation(concurrency=load, ready=self.ready, pending=pending, rate=rate, starting=starting)
        decision = self.policy.decide(observation, self.now_s)
        self.decisions.append((self.now_s, decision))
        return decision

    def follow(self, load, *, for_s, step_s=None):
        """Return the decisions of a constant load that lasts for a time, with workers that follow at once."""
        step_s = step_s or self.step_s
        decisions = []
        for _ in range(round(for_s / step_s)):
            decisions.append(self.decide(load, after_s=step_s))
            self.ready = decisions[-1].desired
        return decisions


def steady(load, *, ready, **scale):
    """Return a run whose windows are full of a load, past every panic."""
    run = Run(ready=ready, **scale)
    for _ in range(100):
        run.decide(load)
    return run


def test_a_steady_load_gets_load_over_target_rounded_up():
    run = steady(10.0, ready=10, target=1.0)
    decision = run.decide(10.0)
    assert (decision.desired, decision.reason, decision.panic) == (10, Reason.LOAD, False)
    assert decision.stable == pytest.approx(10)
    assert steady(10.5, ready=10, target=1.0).decide(10.5).desired == 11


def test_the_target_is_thinned_by_the_utilization():
    assert steady(7.0, ready=10, target=1.0, utilization=0.7).decide(7.0).desired == 10
    assert steady(7.1, ready=10, target=1.0, utilization=0.7).decide(7.1).desired == 11


def test_without_a_target_the_concurrency_of_a_worker_is_the_target():
    assert steady(100.0, ready=10, concurrency=10).decide(100.0).desired == 10


def test_a_slow_rise_follows_the_stable_window():
    run = steady(10.0, ready=10, target=1.0)
    for _ in range(15):
        decision = run.decide(14.0)
    # Half of the stable window has the new load; the panic window is full of it, but 14/10 is under the threshold.
    assert decision.stable == pytest.approx(12)
    assert decision.panic_value == pytest.approx(14)
    assert (decision.desired, decision.panic) == (12, False)


def test_a_surge_is_answered_from_the_panic_window():
    run = steady(10.0, ready=10, target=1.0)
    run.decide(40.0)
    decision = run.decide(40.0)
    # 4 s of the 6 s of the panic window hold the surge: (2 * 10 + 4 * 40) / 6 = 30, three times what 10 workers bear.
    assert decision.panic_value == pytest.approx(30)
    assert (decision.desired, decision.reason, decision.panic) == (30, Reason.PANIC, True)


def test_panic_begins_at_the_threshold_and_not_below():
    run = steady(10.0, ready=10, target=1.0, panic_threshold=2.0)
    assert not run.decide(36.9).panic  # (4 * 10 + 2 * 36.9) / 6 = 18.97: 19 workers, below twice 10
    assert run.decide(30.0).panic


def test_panic_never_shrinks_and_ends_after_a_stable_window_below_the_threshold():
    run = steady(10.0, ready=10, target=1.0)
    for _ in range(3):
        run.decide(40.0)
    over_until_s = run.now_s
    run.ready = 40
    while run.now_s < over_until_s + 60:
        decision = run.decide(1.0)
        assert decision.panic
        assert (decision.desired, decision.reason) == (40, Reason.PANIC_HOLD)
    decision = run.decide(1.0)
    assert not decision.panic
    # Now at most half of the 40 workers go at a time.
    assert (decision.desired, decision.reason) == (20, Reason.DOWN_RATE)


def test_panic_is_extended_while_the_load_stays_over_the_threshold():
    run = steady(10.0, ready=10, target=1.0)
    for _ in range(60):
        assert run.decide(40.0).desired <= 40 or run.decisions[-1][1].panic
    assert run.decisions[-1][1].panic


def test_a_run_that_begins_with_several_workers_keeps_them_for_a_stable_window():
    run = Run(ready=5, target=1.0)
    first = run.decide(0.0)
    assert (first.desired, first.panic) == (5, True)
    for _ in range(30):
        assert run.decide(0.0).desired == 5
    assert run.decide(0.0).desired == 2


def test_initial_workers_are_wanted_before_they_are_ready():
    policy = ReactivePolicy(Scale(initial=3), capacity=8)
    assert policy.decide(Observation(concurrency=0, ready=0), 0.0).desired == 3


def test_an_engine_that_starts_again_goes_on_from_what_it_remembers():
    observation = Observation(concurrency=0, ready=0)
    assert ReactivePolicy(Scale(initial=3), capacity=8, initial=0).decide(observation, 0.0).desired == 0
    assert ReactivePolicy(Scale(initial=1), capacity=8, initial=4).decide(observation, 0.0).desired == 4


def test_growth_is_limited_per_tick():
    run = steady(10.0, ready=10, target=1.0, up_rate=1.1)
    run.decide(1000.0)
    decision = run.decide(1000.0)
    assert (decision.desired, decision.reason) == (11, Reason.UP_RATE)


def test_growth_by_one_is_always_allowed():
    run = steady(2.0, ready=2, target=1.0, up_rate=1.1)
    for _ in range(20):
        decision = run.decide(3.0)
    assert decision.desired == 3


def test_shrinking_is_limited_per_tick_however_often_it_is_asked():
    for step_s in (2.0, 0.5, 0.1):
        run = steady(16.0, ready=16, target=1.0, grace="0s")
        seen = run.follow(0.0, for_s=120, step_s=step_s)
        counts = [d.desired for d in seen]
        assert counts == sorted(counts, reverse=True)
        at_each_tick = counts[:: round(2 / step_s)]
        assert all(after >= before // 2 for before, after in itertools.pairwise(at_each_tick))
        assert counts[-1] == 0


def test_scale_down_waits_for_the_delay():
    run = steady(10.0, ready=10, target=1.0, delay="30s")
    went_down_s = {}
    start_s = run.now_s
    for _ in range(60):
        decision = run.decide(5.0)
        went_down_s.setdefault(decision.desired, run.now_s - start_s)
    # The stable average falls to 9 after 12 s (10 - 5 * 12 / 60), and stays there for the delay.
    assert went_down_s[9] == pytest.approx(12 + 30, abs=TICK_S)
    assert went_down_s[5] == pytest.approx(60 + 30, abs=TICK_S)
    assert run.decisions[110][1].reason == Reason.DELAY


def test_scale_up_does_not_wait_for_the_delay():
    run = steady(10.0, ready=10, target=1.0, delay="30s")
    for _ in range(3):
        decision = run.decide(40.0)
    assert decision.desired == 40


def test_the_last_worker_goes_after_window_and_grace():
    run = steady(1.0, ready=1, target=1.0, window="60s", grace="30s")
    idle_from_s = run.now_s
    while run.now_s < idle_from_s + 88:
        assert run.decide(0.0).desired == 1
    assert run.decisions[-1][1].reason == Reason.GRACE
    decision = run.decide(0.0)
    assert run.now_s == idle_from_s + 90
    assert (decision.desired, decision.reason) == (0, Reason.IDLE)


def test_a_request_within_the_grace_starts_the_wait_anew():
    run = steady(1.0, ready=1, target=1.0)
    run.follow(0.0, for_s=80)
    run.decide(0.01)
    assert all(d.desired == 1 for d in run.follow(0.0, for_s=88))
    assert run.decide(0.0).desired == 0


def test_idle_time_with_a_worker_counts_in_the_average_of_the_next_load():
    run = steady(0.0, ready=1, target=1.0, min=1)
    decision = run.decide(30.0)
    assert decision.stable == pytest.approx(30 * 2 / 60)
    assert decision.panic_value == pytest.approx(30 * 2 / 6)


def test_the_minimum_is_kept_without_load():
    run = steady(0.0, ready=2, target=1.0, min=2)
    decision = run.decide(0.0)
    assert (decision.desired, decision.reason) == (2, Reason.MIN)


def test_the_maximum_and_else_the_capacity_bound_the_growth():
    decision = steady(50.0, ready=4, target=1.0, max=4).decide(50.0)
    assert (decision.desired, decision.reason) == (4, Reason.MAX)
    assert steady(50.0, ready=4, target=1.0, capacity=6).decide(50.0).desired == 6
    assert steady(50.0, ready=4, target=1.0, max=8, capacity=6).decide(50.0).desired == 8


def test_the_capacity_can_be_set_anew():
    run = steady(50.0, ready=4, target=1.0, capacity=6)
    run.policy.capacity = 3
    assert run.decide(50.0).desired == 3


def test_a_request_at_zero_is_answered_without_waiting_for_a_tick():
    run = Run()
    assert run.decide(0.0).desired == 0
    run.follow(0.0, for_s=500)
    decision = run.decide(1e-6, pending=1, after_s=0.001)
    assert (decision.desired, decision.reason) == (1, Reason.ACTIVATION)


def test_a_request_at_the_very_instant_of_the_last_decision_is_seen():
    run = Run()
    run.decide(0.0)
    assert run.decide(0.0, pending=1, after_s=0.0).desired == 1


def test_one_request_at_zero_starts_one_worker_with_the_default_utilization():
    run = Run(utilization=0.7)
    run.follow(0.0, for_s=100)
    assert run.decide(0.0, pending=1, after_s=0.0).desired == 1


def test_a_burst_at_zero_starts_as_many_workers_as_it_needs():
    run = Run(capacity=50)
    run.follow(0.0, for_s=500)
    decision = run.decide(0.001, pending=20, after_s=0.5)
    assert decision.desired == 20
    assert decision.panic


def test_the_wanted_worker_stays_wanted_while_it_starts():
    run = Run()
    run.follow(0.0, for_s=100)
    run.decide(0.0, pending=1, after_s=0.0)
    assert all(run.decide(1.0, ready=0, pending=1).desired >= 1 for _ in range(100))


def test_one_long_request_of_one_worker_calls_for_two_with_the_default_utilization():
    # Knative's arithmetic: 1 / (1 x 70 %) = 1.43. All of the target leaves no headroom, and calls for one.
    assert steady(1.0, ready=1, utilization=0.7).decide(1.0).desired == 2
    assert steady(1.0, ready=1, utilization=1.0).decide(1.0).desired == 1


def test_a_target_above_the_concurrency_counts_as_the_concurrency():
    assert steady(8.0, ready=4, concurrency=2, target=4.0).decide(8.0).desired == 4


def test_the_minimum_is_kept_on_a_machine_that_has_not_the_room():
    run = steady(0.0, ready=4, min=4, capacity=2)
    assert run.decide(0.0).desired == run.policy.highest == 4


def test_no_more_workers_begin_than_may_be():
    assert ReactivePolicy(Scale(initial=5, max=2), capacity=8).desired == 2
    assert ReactivePolicy(Scale(initial=0, min=2), capacity=8, initial=0).desired == 2


def test_the_load_is_what_keeps_workers_busy_without_headroom():
    decision = steady(8.0, ready=4, concurrency=2, utilization=0.7).decide(8.0)
    assert (decision.load, decision.desired) == (pytest.approx(4), 6)


# The rate


def by_rate(rate, *, ready, **scale):
    run = Run(ready=ready, metric="rps", **scale)
    for _ in range(100):
        run.decide(0.5, rate=rate)
    return run


def test_the_rate_is_followed_whatever_the_concurrency():
    assert by_rate(1000.0, ready=5).decide(300.0, rate=1000.0).desired == 5  # 200 per second and worker
    assert by_rate(1000.0, ready=5, target=100.0).decide(0.1, rate=1000.0).desired == 10


def test_a_long_request_keeps_one_worker_although_nothing_arrives():
    run = by_rate(400.0, ready=2)
    assert run.follow(2.0, for_s=200)[-1].desired == 1
    decision = run.decide(1.0, pending=1)
    assert (decision.desired, decision.reason) == (1, Reason.BUSY)
    assert all(run.decide(0.0).desired == 1 for _ in range(44))  # window and grace begin when it has ended
    assert run.decide(0.0).desired == 0


@pytest.mark.parametrize("after_s", [0.01, 0.1, 1.0, 30.0])
def test_one_request_at_zero_starts_one_worker_however_short_the_time_that_its_rate_is_of(after_s):
    run = Run(metric="rps", target=1.0, utilization=0.7, min=0)
    run.decide(0.0)
    decision = run.decide(0.5, rate=1 / after_s, pending=1, after_s=after_s)
    assert (decision.desired, decision.reason) == (1, Reason.ACTIVATION)


def test_a_burst_at_zero_counts_as_a_second_of_arrivals():
    run = Run(metric="rps", target=10.0)
    run.decide(0.0)
    assert run.decide(1.0, rate=50 / 0.1, pending=50, after_s=0.1).desired == 5


def test_the_first_second_after_zero_is_no_rate_of_its_own():
    run = Run(metric="rps", target=2.0)
    run.decide(0.0)
    run.decide(1.0, rate=1.0, pending=1, after_s=1.0)
    # A second with one arrival, half a second with three: 4 / 1.5 s = 2.7 per second.
    decision = run.decide(3.0, rate=6.0, pending=3, after_s=0.5)
    assert (decision.desired, decision.panic_value) == (2, pytest.approx(4 / 1.5))


# Burst capacity, activation scale, buffer


def test_no_burst_leaves_no_excess_and_one_without_limit_never_has_any():
    assert steady(5.0, ready=10, burst=0).decide(5.0).excess_burst == 0
    assert steady(5.0, ready=1000, burst=-1).decide(5.0).excess_burst == -1


def test_the_excess_burst_is_what_the_ready_workers_could_bear_beyond_load_and_burst():
    # 10 workers of 4 requests each, 5 in flight and 20 expected at once.
    assert steady(5.0, ready=10, concurrency=4, burst=20).decide(5.0).excess_burst == 15
    assert steady(5.5, ready=1, concurrency=4, burst=20).decide(5.5).excess_burst == -22


def test_the_activation_scale_is_within_the_bounds():
    run = Run(activation=5, max=3)
    run.decide(0.0)
    assert run.decide(0.0, pending=1, after_s=0.01).desired == 3


def test_the_activation_scale_is_no_minimum():
    run = steady(0.0, ready=0, activation=5)
    assert run.decide(0.0).desired == 0


def test_the_buffer_stands_beside_what_the_load_calls_for():
    assert steady(4.0, ready=6, buffer=2).decide(4.0).desired == 6
    assert steady(4.0, ready=5, buffer=2, max=5).decide(4.0).desired == 5


def test_the_buffer_comes_with_the_first_request_and_is_no_panic():
    run = Run(buffer=2)
    run.decide(0.0)
    decision = run.decide(0.0, pending=1, after_s=0.01)
    assert (decision.desired, decision.panic) == (3, False)


def test_the_buffer_goes_when_the_window_is_empty():
    run = steady(1.0, ready=3, buffer=2)
    assert all(d.desired == 3 for d in run.follow(0.0, for_s=58))
    assert [d.desired for d in run.follow(0.0, for_s=4)] == [1, 1]


# Slow starts


def test_a_worker_that_loads_longer_than_the_window_is_not_given_up_though_its_caller_has_left():
    run = Run(window="1s", grace="0s", start_limit_s=60.0, step_s=0.5)
    run.decide(0.0)
    run.decide(0.1, ready=0, pending=1)
    for _ in range(100):  # 50 s
        assert run.decide(0.0, ready=0, starting=1).desired == 1
    assert run.decide(0.0, ready=1).desired == 1  # idle time begins here
    assert run.decide(0.0).desired == 0


def test_an_initial_worker_that_loads_longer_than_the_window_is_not_given_up():
    run = Run(initial=1, window="1s", grace="0s", start_limit_s=60.0, step_s=0.5)
    for _ in range(100):
        assert run.decide(0.0, ready=0, starting=1).desired == 1


def test_a_function_that_cannot_start_goes_to_zero():
    run = Run(initial=1, window="1s", grace="0s", start_limit_s=5.0, step_s=0.5)
    for attempt in range(14):  # 7 s, in which it is started again and again
        run.decide(0.0, ready=0, starting=attempt % 2)
    assert run.decisions[-1][1].desired == 0


def test_a_copied_policy_goes_on_by_itself():
    run = steady(10.0, ready=10, target=1.0)
    twin = copy.deepcopy(run.policy)
    observation = Observation(concurrency=30.0, ready=10)
    assert twin.decide(observation, run.now_s + 2) == run.policy.decide(observation, run.now_s + 2)


SCALES = st.fixed_dictionaries(
    {
        "target": st.sampled_from([0.5, 1.0, 3.0]),
        "utilization": st.sampled_from([0.5, 0.7, 1.0]),
        "min": st.integers(0, 2),
        "max": st.sampled_from([0, 2, 5, 50]),
        "initial": st.integers(0, 3),
        "window": st.sampled_from(["1s", "10s", "60s"]),
        "grace": st.sampled_from(["0s", "5s", "30s"]),
        "delay": st.sampled_from(["0s", "7s"]),
        "up_rate": st.sampled_from([1.1, 2.0, 1000.0]),
        "down_rate": st.sampled_from([1.1, 2.0, 10.0]),
        "metric": st.sampled_from(["concurrency", "rps"]),
        "activation": st.sampled_from([1, 1, 3]),
        "buffer": st.sampled_from([0, 0, 2]),
        "burst": st.sampled_from([-1, 0, 211]),
    }
)
STEPS = st.lists(
    st.tuples(st.floats(0, 30), st.just(0.0) | st.floats(0.001, 100), st.integers(0, 20), st.integers(0, 30)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(SCALES, STEPS, st.integers(0, 10), st.sampled_from([0.0, 60.0]))
def test_decisions_keep_their_promises(scale, steps, capacity, start_limit_s):
    policy = ReactivePolicy(Scale(**scale), capacity=capacity, start_limit_s=start_limit_s)
    highest = scale["max"] or max(1, scale["min"], capacity)
    now_s, before = 0.0, None
    for length_s, load, pending, ready in steps:
        now_s += length_s
        observation = Observation(concurrency=load, rate=load, ready=ready, pending=pending, starting=pending % 3)
        decision = policy.decide(observation, now_s)
        assert decision.load >= 0
        assert scale["min"] <= decision.desired <= highest
        if load > 0 or pending > 0:
            assert decision.desired >= 1
        if before is not None and before.panic and decision.panic:
            assert decision.desired >= before.desired
        before = decision


@settings(deadline=None)
@given(STEPS, st.floats(0, 50))
def test_more_load_never_means_fewer_workers(steps, extra):
    scale = Scale(utilization=1.0, panic_threshold=10.0)
    low, high = ReactivePolicy(scale, capacity=1000), ReactivePolicy(scale, capacity=1000)
    now_s = 0.0
    for length_s, load, pending, ready in steps:
        now_s += length_s
        few = low.decide(Observation(concurrency=load, ready=ready, pending=pending), now_s)
        many = high.decide(Observation(concurrency=load + extra, ready=ready, pending=pending), now_s)
        assert many.stable >= few.stable - 1e-6
        if not few.panic:
            assert many.desired >= few.desired


@settings(deadline=None)
@given(SCALES, st.floats(0.1, 20), st.integers(0, 10))
def test_without_load_it_ends_at_the_minimum(scale, load, ready):
    policy = ReactivePolicy(Scale(**scale), capacity=8, start_limit_s=5.0)
    now_s = 0.0
    for _ in range(50):
        now_s += TICK_S
        ready = policy.decide(Observation(concurrency=load, rate=load, ready=ready), now_s).desired
    for _ in range(100):
        now_s += TICK_S
        ready = policy.decide(Observation(concurrency=0.0, ready=ready), now_s).desired
    assert ready == scale["min"]


@settings(deadline=None)
@given(SCALES, st.floats(0.1, 20), st.integers(1, 10))
def test_a_steady_load_gets_what_it_calls_for_and_the_buffer(scale, load, ready):
    policy = ReactivePolicy(Scale(**{**scale, "max": 0}), capacity=1000)
    now_s = 0.0
    for _ in range(300):
        now_s += TICK_S
        decision = policy.decide(Observation(concurrency=load, rate=load, ready=ready), now_s)
        ready = decision.desired
    target = scale["target"] if scale["metric"] == "rps" else min(1.0, scale["target"])
    called_for = math.ceil(round(load / (target * scale["utilization"]), 6)) + scale["buffer"]
    if not decision.panic:  # which holds what it once had
        assert ready == max(called_for, scale["activation"], scale["min"])


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(0.05, 3), min_size=1, max_size=30),
    st.floats(0.001, 1.0),
    st.sampled_from(["1s", "10s", "60s"]),
    st.sampled_from(["0s", "5s", "30s"]),
)
def test_one_worker_goes_after_window_and_grace_and_not_before(steps, load, window, grace):
    scale = Scale(target=1.0, utilization=1.0, window=window, grace=grace)
    policy = ReactivePolicy(scale, capacity=4)
    policy.decide(Observation(concurrency=load, ready=1), 0.0)
    now_s, allowed_s = 0.0, scale.window_s + scale.grace_s
    for step_s in steps * math.ceil((allowed_s + 10) / sum(steps)):
        now_s += step_s
        decision = policy.decide(Observation(concurrency=0.0, ready=1), now_s)
        assert decision.desired == (1 if now_s < allowed_s else 0)
        if decision.desired == 0:
            break


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0.0, 0.5, 3.0, 8.0])), min_size=1, max_size=6),
    st.sampled_from([0.1, 0.5, 1.0]),
)
def test_asking_more_often_changes_little(phases, step_s):
    scale = {"target": 1.0, "window": "20s", "panic_threshold": 10.0, "min": 1}
    rare, often = Run(ready=1, **scale), Run(ready=1, **scale)
    for run in (rare, often):
        run.follow(0.0, for_s=20)  # a history begins with one sample, whatever time that stands for
    for ticks, load in phases:
        for_s = ticks * TICK_S
        a, b = rare.follow(load, for_s=for_s)[-1], often.follow(load, for_s=for_s, step_s=step_s)[-1]
        assert a.stable == pytest.approx(b.stable, abs=0.2)
    settled = [run.follow(load, for_s=100)[-1].desired for run in (rare, often)]
    assert settled[0] == settled[1]
