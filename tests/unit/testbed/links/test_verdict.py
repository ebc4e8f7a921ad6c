import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.testbed.links import BurstLoss, Conditions, Scheduler
from skerry.testbed.links.verdict import (
    judge_delay,
    judge_loss,
    judge_missed,
    judge_rate,
    loss_inflation,
    loss_interval,
)


def delay(mean_ms, deviation_ms=0.0, count=20_000):
    return {"count": count, "mean_ms": mean_ms, "deviation_ms": deviation_ms}


def passed(findings):
    return {finding.quantity: finding.passed for finding in findings}


def test_five_per_cent_of_the_delay_pass():
    what = Conditions(delay_ms=15)

    assert passed(judge_delay("forward", what, delay(15.7), size_bytes=92, took_s=4))["delay_ms"]
    assert not passed(judge_delay("forward", what, delay(15.8), size_bytes=92, took_s=4))["delay_ms"]
    assert not passed(judge_delay("forward", what, delay(14.2), size_bytes=92, took_s=4))["delay_ms"]


def test_few_samples_of_a_random_delay_are_given_room():
    what = Conditions(delay_ms=15, jitter_ms=3)
    measured = delay(16.5, 3)

    assert passed(judge_delay("forward", what, measured, size_bytes=92, took_s=1))["delay_ms"]
    assert not passed(judge_delay("forward", what, measured, size_bytes=92, took_s=60))["delay_ms"]


def test_jitter_is_a_standard_deviation():
    what = Conditions(delay_ms=15, jitter_ms=3)

    assert passed(judge_delay("forward", what, delay(15, 3.1), size_bytes=92, took_s=60))["jitter_ms"]
    assert not passed(judge_delay("forward", what, delay(15, 4), size_bytes=92, took_s=60))["jitter_ms"]


def test_figures_without_the_slow_moments_of_the_machine_are_told_beside_and_decide_nothing():
    what = Conditions(delay_ms=15)
    slow, quick = delay(17, 2), delay(15.1, 0.01)

    mean, jitter = judge_delay("forward", what, slow, size_bytes=92, took_s=4, clear=quick)
    assert (mean.clear, mean.clear_passed, mean.passed) == (15.1, True, False)
    assert (jitter.clear, jitter.clear_passed, jitter.passed) == (0.01, True, False)
    unknown = judge_delay("forward", what, slow, size_bytes=92, took_s=4, clear={"count": 0})[0]
    assert (unknown.clear, unknown.clear_passed) == (None, None)


def test_the_time_that_a_rate_takes_belongs_to_the_delay():
    finding = judge_delay("forward", Conditions(rate_mbps=1), delay(0.74), size_bytes=92, took_s=4)[0]

    assert finding.wanted == pytest.approx(0.736)


def test_loss_passes_within_what_chance_does():
    what = Conditions(loss_ratio=0.0024)

    assert judge_loss("forward", what, sent=20_000, lost=48).passed
    assert judge_loss("forward", what, sent=20_000, lost=62).passed
    assert not judge_loss("forward", what, sent=20_000, lost=80).passed
    assert not judge_loss("forward", what, sent=20_000, lost=16).passed
    assert not judge_loss("forward", Conditions(), sent=20_000, lost=1).passed
    assert judge_loss("forward", Conditions(loss_ratio=1.0), sent=20_000, lost=20_000).passed


def test_rate_and_missed_packets_are_judged():
    assert judge_rate("forward", Conditions(rate_mbps=10), 9.6).passed
    assert not judge_rate("forward", Conditions(rate_mbps=10), 9.4).passed
    assert judge_missed("forward", packets=20_000, missed=1).passed
    assert not judge_missed("forward", packets=20_000, missed=5).passed
    assert "9.4 instead of 10" in str(judge_rate("forward", Conditions(rate_mbps=10), 9.4))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.integers(1000, 100_000))
def test_the_interval_holds_what_was_measured(lost, sent):
    low, high = loss_interval(lost, sent, of=sent)

    assert 0 <= low <= lost / sent + 1e-12
    assert lost / sent - 1e-12 <= high <= 1


def test_the_interval_of_95_per_cent_holds_the_true_share_so_often():
    draw = random.Random(5)
    held = 0
    for _ in range(400):
        lost = sum(draw.random() < 0.05 for _ in range(1000))
        low, high = loss_interval(lost, 1000, of=1000)
        held += low <= 0.05 <= high

    assert 365 <= held <= 395


def test_bursts_say_less_than_independent_losses():
    burst = BurstLoss(enter_ratio=0.01, leave_ratio=0.2)
    inflation = loss_inflation(burst)
    shares = []
    for seed in range(100):
        scheduler = Scheduler(Conditions(loss_burst=burst), seed=seed)
        shares.append(sum(not scheduler.admit(100, n * 1e-3) for n in range(2000)) / 2000)
    mean = sum(shares) / len(shares)
    variance = sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)

    assert variance * 2000 / (mean * (1 - mean)) == pytest.approx(inflation, rel=0.4)
    assert loss_inflation(None) == 1
