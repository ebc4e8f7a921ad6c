"""Traces of Knative's algorithm, computed by hand, and a restatement of it in its own terms: whole ticks of 2 s.

The windows are full of a steady load before each table begins. ``stable`` and ``panic value`` are averages over 60 s
and 6 s, unless a table says otherwise; ``floor(ready / 2)`` is the least that the rate limit leaves in a tick.
"""

import math
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.scaling import Observation, ReactivePolicy
from skerry.spec import Scale

TICK_S = 2


class Row(NamedTuple):
    at_s: int
    value: float  # of the metric, since the row before
    ready: int
    stable: float
    panic_value: float
    desired: int
    panic: bool
    excess_burst: int


def replay(policy, rows, *, steady, ready):
    """Compare the policy with each row; between two rows, the values of the later one hold."""
    by_rate = policy.scale.metric == "rps"

    def decide(at_s, value, ready):
        load = {"concurrency": 0.0, "rate": value} if by_rate else {"concurrency": value}
        return policy.decide(Observation(**load, ready=ready), 1000.0 + at_s)

    for at_s in range(-200, 1, TICK_S):
        decide(at_s, steady, ready)
    at_s = 0
    for row in rows:
        while at_s < row.at_s:
            at_s += TICK_S
            decision = decide(at_s, row.value, row.ready)
        assert (row.at_s, decision.desired, decision.panic) == (row.at_s, row.desired, row.panic)
        assert decision.stable == pytest.approx(row.stable, abs=0.005), row
        assert decision.panic_value == pytest.approx(row.panic_value, abs=0.005), row
        assert decision.excess_burst == row.excess_burst, row


def test_a_surge_of_concurrency_and_its_end():
    # Target 10 x 70 % = 7 per worker. Excess burst capacity = floor(10 ready - 211 - panic value).
    rows = [
        # (58*7 + 2*70)/60 = 9.1 -> 2; (4*7 + 2*70)/6 = 28 -> 4; 4 of 1 is over 200 %: panic; 10 - 211 - 28
        Row(2, 70, 1, 9.1, 28, 4, True, -229),
        # (56*7 + 4*70)/60 = 11.2 -> 2; (2*7 + 4*70)/6 = 49 -> 7; 7 of 4 is below 200 %; 40 - 211 - 49
        Row(4, 70, 4, 11.2, 49, 7, True, -220),
        # (54*7 + 6*70)/60 = 13.3 -> 2; 70 -> 10; 70 - 211 - 70
        Row(6, 70, 7, 13.3, 70, 10, True, -211),
        # (52*7 + 8*70)/60 = 15.4 -> 3; 100 - 211 - 70
        Row(8, 70, 10, 15.4, 70, 10, True, -181),
        # It is over. (52*7 + 8*70)/60 = 15.4 -> 3; (4*70 + 2*7)/6 = 49 -> 7; panic does not shrink; 100 - 211 - 49
        Row(10, 7, 10, 15.4, 49, 10, True, -160),
        # 60 s after the threshold was crossed last, at 2 s. (54*7 + 6*70)/60 = 13.3 -> 2; 7 -> 1; 100 - 211 - 7
        Row(62, 7, 10, 13.3, 7, 10, True, -118),
        # More than 60 s: panic is over. (56*7 + 4*70)/60 = 11.2 -> 2, but floor(10/2) = 5
        Row(64, 7, 10, 11.2, 7, 5, False, -118),
        # (58*7 + 2*70)/60 = 9.1 -> 2 = floor(5/2); 50 - 211 - 7
        Row(66, 7, 5, 9.1, 7, 2, False, -168),
        # 7 -> 1 = floor(2/2); 20 - 211 - 7
        Row(68, 7, 2, 7, 7, 1, False, -198),
        Row(70, 7, 1, 7, 7, 1, False, -208),
    ]
    policy = ReactivePolicy(Scale(target=10), concurrency=10, capacity=1000)
    replay(policy, rows, steady=7, ready=1)


def test_a_surge_of_the_rate_and_its_end():
    # Knative's target for the rate is 200/s; 200 x 70 % = 140. Excess = floor(200 ready - 211 - panic value).
    rows = [
        # (58*140 + 2*1000)/60 = 168.67 -> 2; (4*140 + 2*1000)/6 = 426.67 -> 3.05 -> 4: panic; 200 - 211 - 426.67
        Row(2, 1000, 1, 168.67, 426.67, 4, True, -438),
        # (56*140 + 4*1000)/60 = 197.33 -> 2; (2*140 + 4*1000)/6 = 713.33 -> 5.1 -> 6; 800 - 211 - 713.33
        Row(4, 1000, 4, 197.33, 713.33, 6, True, -125),
        # (54*140 + 6*1000)/60 = 226 -> 2; 1000 -> 7.14 -> 8; 1200 - 211 - 1000
        Row(6, 1000, 6, 226, 1000, 8, True, -11),
        # (52*140 + 8*1000)/60 = 254.67 -> 2; 1600 - 211 - 1000
        Row(8, 1000, 8, 254.67, 1000, 8, True, 389),
        # (50*140 + 8*1000 + 2*280)/60 = 259.33 -> 2; (4*1000 + 2*280)/6 = 760 -> 6; held; 1600 - 211 - 760
        Row(10, 280, 8, 259.33, 760, 8, True, 629),
        # (4*1000 + 56*280)/60 = 328 -> 3; 280 -> 2; floor(8/2) = 4; 1600 - 211 - 280
        Row(64, 280, 8, 328, 280, 4, False, 1109),
        # (2*1000 + 58*280)/60 = 304 -> 2.17 -> 3; floor(4/2) = 2; 800 - 211 - 280
        Row(66, 280, 4, 304, 280, 3, False, 309),
        # 280 -> 2; floor(3/2) = 1; 600 - 211 - 280
        Row(68, 280, 3, 280, 280, 2, False, 109),
    ]
    replay(ReactivePolicy(Scale(metric="rps"), capacity=1000), rows, steady=140, ready=1)


def test_growth_at_twice_the_workers_that_are_ready():
    # Target 1 x 100 %; the burst is unlimited, so its excess is always -1.
    rows = [
        # (58*1 + 2*100)/60 = 4.3 -> 5; (4*1 + 2*100)/6 = 34; at most ceil(2*1) = 2
        Row(2, 100, 1, 4.3, 34, 2, True, -1),
        # (56*1 + 4*100)/60 = 7.6; (2*1 + 4*100)/6 = 67; at most ceil(2*2) = 4
        Row(4, 100, 2, 7.6, 67, 4, True, -1),
        # (54*1 + 6*100)/60 = 10.9; 100; at most 8
        Row(6, 100, 4, 10.9, 100, 8, True, -1),
        # (52*1 + 8*100)/60 = 14.2; at most ceil(2*7) = 14: one worker has not become ready
        Row(8, 100, 7, 14.2, 100, 14, True, -1),
    ]
    policy = ReactivePolicy(Scale(target=1, utilization=1, up_rate=2, burst=-1), capacity=1000)
    replay(policy, rows, steady=1, ready=1)


def test_the_way_to_zero_through_the_delay_window_and_the_retention_of_the_last_worker():
    # Target 1 x 100 %; stable and panic window 6 s, delay 4 s, which is two ticks; retention 10 s; no burst.
    scale = Scale(target=1, utilization=1, window="6s", panic_window="6s", delay="4s", grace="10s", burst=0)
    rows = [
        # 4*6/6 = 4 >= floor(6/2); the larger of 6 and 4
        Row(2, 0, 6, 4, 4, 6, False, 0),
        # 2*6/6 = 2, floor(6/2) = 3; the larger of 4 and 3
        Row(4, 0, 6, 2, 2, 4, False, 0),
        # 0, floor(4/2) = 2; the larger of 3 and 2
        Row(6, 0, 4, 0, 0, 3, False, 0),
        # 0, floor(3/2) = 1; the larger of 2 and 1
        Row(8, 0, 3, 0, 0, 2, False, 0),
        # 0, floor(2/2) = 1; 1 and 1
        Row(10, 0, 2, 0, 0, 1, False, 0),
        # 0, floor(1/2) = 0; the larger of 1 and 0
        Row(12, 0, 1, 0, 0, 1, False, 0),
        # 0 and 0: nothing is called for. The window has been empty for 14 - 6 = 8 s: the last worker stays
        Row(14, 0, 1, 0, 0, 1, False, 0),
        # 16 - 6 = 10 s
        Row(16, 0, 1, 0, 0, 0, False, 0),
    ]
    replay(ReactivePolicy(scale, capacity=1000), rows, steady=6, ready=6)


def test_the_activation_scale_holds_from_zero_until_the_window_is_empty():
    scale = Scale(target=1, utilization=1, window="6s", panic_window="6s", grace="4s", initial=0, activation=3)
    policy = ReactivePolicy(scale, capacity=1000)
    trace = [  # seconds, concurrency, ready, pending, desired
        (0, 0, 0, 0, 0),
        (2, 0.001, 0, 1, 3),  # ceil(1/1) = 1 > 0: the activation scale
        (4, 1, 3, 1, 3),  # ceil(1/1) = 1
        (6, 0, 3, 0, 3),  # ceil(2.1/4.1) = 1: the window holds load
        (8, 0, 3, 0, 3),  # ceil(2/6) = 1
        (10, 0, 3, 0, 1),  # the window is empty: floor(3/2) = 1
        (12, 0, 1, 0, 1),  # floor(1/2) = 0, and the last worker stays until 4 + 6 + 4 = 14 s
        (14, 0, 1, 0, 0),
    ]
    decided = [
        policy.decide(Observation(concurrency=load, ready=ready, pending=pending), at_s).desired
        for at_s, load, ready, pending, _ in trace
    ]
    assert decided == [desired for *_, desired in trace]


class Reference:
    """Knative's autoscaler in its own terms: one value per tick, windows of whole ticks, no delay, never at zero."""

    def __init__(self, *, target, up_rate, down_rate, threshold, activation, steady):
        self.values = [steady] * 30
        self.target, self.up_rate, self.down_rate = target, up_rate, down_rate
        self.threshold, self.activation = threshold, activation
        self.tick = 0
        self.panic_tick = None
        self.panic_workers = 0

    def scale(self, value, ready):
        self.tick += 1
        self.values = [*self.values[1:], value]
        most, fewest = math.ceil(self.up_rate * ready), math.floor(ready / self.down_rate)
        asked, asked_in_panic = (
            math.ceil(round(sum(part) / len(part) / self.target, 6)) for part in (self.values, self.values[-3:])
        )
        stable, panic = (max(min(max(n, fewest), most), self.activation) for n in (asked, asked_in_panic))
        if asked_in_panic / ready >= self.threshold:
            self.panic_tick = self.tick
        elif self.panic_tick is not None and self.panic_tick + 30 < self.tick:
            self.panic_tick, self.panic_workers = None, 0
        if self.panic_tick is None:
            return stable
        self.panic_workers = max(self.panic_workers, stable, panic)
        return self.panic_workers


@settings(deadline=None)
@given(
    st.sampled_from(["concurrency", "rps"]),
    st.lists(st.tuples(st.integers(1, 40), st.floats(0.1, 40), st.integers(0, 3)), min_size=1, max_size=6),
    st.sampled_from([1.0, 2.5]),
    st.sampled_from([1.1, 2.0, 1000.0]),
    st.sampled_from([1.3, 2.0]),
    st.sampled_from([2.0, 5.0]),
    st.integers(1, 4),
)
def test_the_curve_is_that_of_the_reference(metric, phases, target, up_rate, down_rate, threshold, activation):
    scale = Scale(
        metric=metric,
        target=target,
        utilization=0.8,
        up_rate=up_rate,
        down_rate=down_rate,
        panic_threshold=threshold,
        activation=activation,
    )
    policy = ReactivePolicy(scale, concurrency=10, capacity=10**9)
    reference = Reference(
        target=0.8 * target,
        up_rate=up_rate,
        down_rate=down_rate,
        threshold=threshold,
        activation=activation,
        steady=1.0,
    )
    now_s = 0.0
    for _ in range(100):  # the history of the reference
        now_s += TICK_S
        policy.decide(Observation(concurrency=1.0, rate=1.0, ready=4), now_s)
    desired = 4
    for ticks, value, missing in phases:
        for _ in range(ticks):
            now_s += TICK_S
            ready = max(1, desired - missing)
            decision = policy.decide(Observation(concurrency=value, rate=value, ready=ready), now_s)
            desired = reference.scale(value, ready)
            assert decision.desired == desired
            assert decision.panic == (reference.panic_tick is not None)
