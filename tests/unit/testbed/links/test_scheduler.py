import math
import statistics
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.testbed.links import BurstLoss, Conditions, Scheduler

ratios = st.floats(0, 1)
conditions = st.builds(
    Conditions,
    delay_ms=st.floats(0, 200),
    jitter_ms=st.floats(0, 50),
    jitter_distribution=st.sampled_from(["uniform", "normal", "pareto", "paretonormal"]),
    jitter_correlation_ratio=st.floats(0, 0.99),
    loss_ratio=ratios,
    rate_mbps=st.none() | st.floats(0.01, 1000),
    queue_bytes=st.none() | st.integers(1, 100_000),
    duplicate_ratio=ratios,
)
packets = st.lists(st.tuples(st.integers(20, 1500), st.floats(0, 0.05)), max_size=60)


def feed(scheduler, arrivals):
    now_s = 0.0
    for size_bytes, gap_s in arrivals:
        now_s += gap_s
        yield size_bytes, now_s, scheduler.admit(size_bytes, now_s)


@given(conditions, packets)
def test_no_packet_leaves_before_it_came_and_none_overtakes(what, arrivals):
    last_s = 0.0
    for _, now_s, moments in feed(Scheduler(what), arrivals):
        for leaves_s in moments:
            assert leaves_s >= now_s
            assert leaves_s >= last_s
            last_s = leaves_s


@given(conditions, packets)
def test_each_packet_is_accounted_for(what, arrivals):
    scheduler = Scheduler(what)
    sent = sum(len(moments) for _, _, moments in feed(scheduler, arrivals))
    tally = scheduler.tally
    assert tally.packets == len(arrivals)
    assert tally.bytes == sum(size for size, _ in arrivals)
    assert sent == tally.packets + tally.duplicated - tally.lost - tally.overflowed


@given(conditions, packets, st.integers())
def test_the_same_seed_gives_the_same_fates(what, arrivals, seed):
    first = [moments for *_, moments in feed(Scheduler(what, seed=seed), arrivals)]
    assert first == [moments for *_, moments in feed(Scheduler(what, seed=seed), arrivals)]


@given(st.floats(0.1, 100), st.integers(100, 200_000), packets)
def test_no_window_carries_more_than_the_rate(rate_mbps, queue_bytes, arrivals):
    scheduler = Scheduler(Conditions(rate_mbps=rate_mbps, queue_bytes=queue_bytes))
    sent = [(size, moments[0]) for size, _, moments in feed(scheduler, arrivals) if moments]
    for (_, earlier_s), (size, later_s) in pairwise(sent):
        assert later_s - earlier_s >= size * 8 / (rate_mbps * 1e6) * (1 - 1e-6) - 1e-9


@given(st.floats(0.1, 10), st.integers(2000, 50_000))
def test_the_queue_holds_what_it_is_set_to_and_no_more(rate_mbps, queue_bytes):
    scheduler = Scheduler(Conditions(rate_mbps=rate_mbps, queue_bytes=queue_bytes))
    burst = [scheduler.admit(1000, 0.0) for _ in range(200)]
    taken = sum(1 for moments in burst if moments)
    assert taken == min(200, max(1, queue_bytes // 1000))
    longest_s = max(moments[0] for moments in burst if moments)
    assert longest_s <= queue_bytes * 8 / (rate_mbps * 1e6) + 1e-9


@settings(max_examples=20)
@given(
    st.sampled_from(["uniform", "normal", "pareto", "paretonormal"]),
    st.sampled_from([0.0, 0.5]),
    st.booleans(),
)
def test_delays_have_the_mean_and_the_deviation_that_were_set(distribution, correlation, reorders):
    what = Conditions(
        delay_ms=15,
        jitter_ms=3,
        jitter_distribution=distribution,
        jitter_correlation_ratio=correlation,
        jitter_reorders=reorders,
    )
    scheduler = Scheduler(what, seed=7)
    # One packet per span of the wandering delay.
    delays = [scheduler.admit(100, 0.0187 * n)[0] * 1000 - 18.7 * n for n in range(20_000)]
    assert statistics.mean(delays) == pytest.approx(15, rel=0.01)
    assert statistics.stdev(delays) == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("distribution", ["uniform", "normal", "pareto", "paretonormal"])
def test_a_busy_link_delays_as_an_idle_one_does(distribution):
    what = Conditions(delay_ms=15, jitter_ms=3, jitter_distribution=distribution)
    scheduler = Scheduler(what, seed=3)
    # 5,000 packets a second: keeping order must not let the slow ones hold up all others.
    delays = [scheduler.admit(1500, 0.0002 * n)[0] * 1000 - 0.2 * n for n in range(200_000)]
    assert statistics.mean(delays) == pytest.approx(15, rel=0.02)
    assert statistics.stdev(delays) == pytest.approx(3, rel=0.05)


def test_packets_overtake_where_jitter_may_reorder():
    scheduler = Scheduler(Conditions(delay_ms=15, jitter_ms=3, jitter_reorders=True))
    moments = [scheduler.admit(100, 0.001 * n)[0] for n in range(1000)]
    assert any(later < earlier for earlier, later in pairwise(moments))
    assert scheduler.tally.reordered > 100


def test_reordered_packets_skip_the_delay():
    scheduler = Scheduler(Conditions(delay_ms=10, reorder_ratio=0.25))
    moments = [scheduler.admit(100, float(n))[0] - n for n in range(4000)]
    at_once = sum(1 for moment in moments if moment == 0)
    assert at_once == scheduler.tally.reordered
    assert at_once / 4000 == pytest.approx(0.25, abs=0.03)


def test_independent_loss_takes_its_share():
    scheduler = Scheduler(Conditions(loss_ratio=0.0024), seed=1)
    count = 200_000
    lost = sum(1 for n in range(count) if not scheduler.admit(100, n * 1e-3))
    assert abs(lost - 0.0024 * count) < 4 * math.sqrt(count * 0.0024)


def test_bursts_have_their_share_and_their_length():
    burst = BurstLoss(enter_ratio=0.01, leave_ratio=0.25)
    scheduler = Scheduler(Conditions(loss_burst=burst), seed=1)
    fates = [not scheduler.admit(100, n * 1e-3) for n in range(200_000)]
    runs = sum(1 for earlier, later in pairwise(fates) if later and not earlier)
    assert sum(fates) / len(fates) == pytest.approx(burst.loss_ratio, rel=0.1)
    assert sum(fates) / runs == pytest.approx(4, rel=0.1)


def test_which_packets_are_lost_does_not_depend_on_the_jitter():
    def fates(what):
        scheduler = Scheduler(what, seed=5)
        return [bool(scheduler.admit(100, n * 1e-3)) for n in range(2000)]

    steady = fates(Conditions(loss_ratio=0.1))
    assert steady == fates(Conditions(delay_ms=10, jitter_ms=2, loss_ratio=0.1, rate_mbps=1000))


def test_a_change_keeps_what_was_admitted_and_what_waits():
    scheduler = Scheduler(Conditions(delay_ms=100, rate_mbps=8, queue_bytes=100_000))
    for _ in range(10):
        last_s = scheduler.admit(1000, 0.0)[0]
    assert last_s == pytest.approx(0.11)
    scheduler.change(Conditions(delay_ms=10, rate_mbps=0.8, queue_bytes=100_000), 0.005)
    # 5,000 bytes still wait; they take 50 ms at the new rate, and the packet 10 ms more, and 10 ms of delay.
    assert scheduler.admit(1000, 0.005)[0] == pytest.approx(max(0.11, 0.005 + 0.05 + 0.01 + 0.01))
    assert scheduler.admit(1000, 0.2)[0] == pytest.approx(0.22)


def test_a_cut_link_loses_everything_until_it_is_mended():
    scheduler = Scheduler(Conditions(delay_ms=1))
    scheduler.change(scheduler.conditions.changed(loss_ratio=1.0), 0.0)
    assert [scheduler.admit(100, n * 1.0) for n in range(5)] == [()] * 5
    scheduler.change(scheduler.conditions.changed(loss_ratio=0.0), 5.0)
    assert scheduler.admit(100, 5.0) == (pytest.approx(5.001),)
