"""The policy of rollouts: what it may never do, whatever the figures are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.scaling.evidence import LaneStatistics, wilson_bounds
from skerry.scaling.rollout import FEWEST, Rollout, Step, decide

BOUNDS_S = (0.001, 0.01, 0.1, 1.0)
NOW = Step(number=0, began_s=0.0, rollout_began_s=0.0)
QUICK = Rollout(steps=(0.1, 0.5), step_duration="0s")


def lane(requests=0, errors=0, refusals=0, *, bucket=1, **more):
    counts = [0] * (len(BOUNDS_S) + 1)
    counts[bucket] = requests - errors - refusals
    return LaneStatistics(
        requests=requests, errors=errors, refusals=refusals, bounds_s=BOUNDS_S, counts=tuple(counts), **more
    )


@st.composite
def lanes(draw, most=3000):
    results, errors, refusals, agreements, apart = (draw(st.integers(0, most)) for _ in range(5))
    cuts = sorted(draw(st.lists(st.integers(0, results), min_size=4, max_size=4)))
    counts = tuple(b - a for a, b in zip([0, *cuts], [*cuts, results], strict=True))
    return LaneStatistics(
        requests=results + errors + refusals,
        errors=errors,
        refusals=refusals,
        bounds_s=BOUNDS_S,
        counts=counts,
        comparisons=agreements + apart,
        agreements=agreements,
    )


options = st.builds(
    Rollout,
    steps=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=4, unique=True).map(lambda s: tuple(sorted(s))),
    min_requests=st.integers(1, 2000),
    max_error_ratio=st.floats(0.001, 0.5),
    max_latency_ratio=st.none() | st.floats(1.0, 5.0),
    min_agreement_ratio=st.none() | st.floats(0.1, 0.999),
    step_duration=st.sampled_from(["0s", "10s"]),
)


@given(options, lanes(), lanes(), st.integers(0, 3), st.floats(0, 7200))
def test_nothing_advances_with_too_few_requests_or_before_its_step_has_lasted(
    rollout, stable, candidate, number, now_s
):
    decision = decide(rollout, stable, candidate, Step(number=number, began_s=0.0, rollout_began_s=0.0), now_s)

    if decision.action in ("advance", "promote"):
        assert candidate.requests >= rollout.min_requests
        assert now_s >= rollout.step_duration_s
        assert candidate.errors <= rollout.max_error_ratio * candidate.requests
        assert (decision.action == "promote") == (number + 1 >= len(rollout.steps))
    assert decision.reason


@given(options, lanes(), lanes(), st.floats(0, 1e6))
def test_it_ends(rollout, stable, candidate, more_s):
    assert decide(rollout, stable, candidate, NOW, rollout.max_duration_s + more_s).action != "wait"


@given(options, lanes(), st.integers(FEWEST, 3000), st.floats(0, 3000))
def test_what_only_fails_is_rolled_back(rollout, stable, errors, now_s):
    assert decide(rollout, stable, lane(errors, errors), NOW, now_s).action == "rollback" or (
        wilson_bounds(errors, errors, 3.0)[0] <= rollout.max_error_ratio
    )


@given(options, lanes(), lanes(FEWEST - 1), st.floats(0, 3000))
def test_a_few_bad_answers_never_roll_back(rollout, stable, candidate, now_s):
    assert decide(rollout, stable, candidate, NOW, now_s).action != "rollback"


@given(options, lanes(), lanes(), st.floats(0, 7200))
def test_more_errors_never_save_a_candidate(rollout, stable, candidate, now_s):
    worse = LaneStatistics(
        requests=candidate.requests + 1,
        errors=candidate.errors + 1,
        bounds_s=BOUNDS_S,
        counts=candidate.counts,
        comparisons=candidate.comparisons,
        agreements=candidate.agreements,
    )
    same = LaneStatistics(
        requests=candidate.requests,
        errors=candidate.errors,
        bounds_s=BOUNDS_S,
        counts=candidate.counts,
        comparisons=candidate.comparisons,
        agreements=candidate.agreements,
    )
    before, after = decide(rollout, stable, same, NOW, now_s), decide(rollout, stable, worse, NOW, now_s)
    if before.action == "rollback" and same.requests >= rollout.min_requests:
        assert after.action == "rollback"


@given(st.integers(0, 2000), st.integers(0, 2000), st.floats(0.5, 4))
def test_the_bounds_hold_the_ratio_and_follow_the_evidence(hits, misses, z):
    trials = hits + misses
    low, high = wilson_bounds(hits, trials, z)

    assert 0.0 <= low <= high <= 1.0
    if trials:
        assert low <= hits / trials <= high
    more, fewer = wilson_bounds(hits + 1, trials + 1, z), wilson_bounds(hits, trials + 1, z)
    assert more[0] >= low - 1e-12
    assert fewer[1] <= high + 1e-12
    wider = wilson_bounds(hits, trials, z + 1)
    assert wider[0] <= low
    assert wider[1] >= high


def test_the_bounds_are_those_of_the_textbook():
    assert wilson_bounds(0, 10, 1.96) == pytest.approx((0.0, 0.2775), abs=5e-4)
    assert wilson_bounds(15, 20, 1.96) == pytest.approx((0.5313, 0.8881), abs=5e-4)


def test_a_good_candidate_advances_step_by_step_and_is_promoted():
    good, stable = lane(381), lane(10_000)

    assert decide(QUICK, stable, lane(380), NOW, 1.0).action == "wait"
    assert decide(QUICK, stable, good, NOW, 1.0).action == "advance"
    last = Step(number=1, began_s=0.0, rollout_began_s=0.0)
    assert decide(QUICK, stable, good, last, 1.0).action == "promote"


@pytest.mark.parametrize(
    ("options", "stable", "candidate", "says"),
    [
        ({}, lane(1000), lane(40, 12), "12 of 40 answers were errors"),
        ({}, lane(1000), lane(100, 0, 60), "60 of 100 requests were refused as wrong"),
        ({}, lane(1000), lane(100, bucket=3), "p50 is"),
        ({"min_agreement_ratio": 0.99}, lane(1000), lane(100, comparisons=100, agreements=80), "20 of 100 answers"),
    ],
)
def test_a_bad_candidate_is_rolled_back_with_the_figures(options, stable, candidate, says):
    decision = decide(Rollout(**options), stable, candidate, NOW, 1.0)

    assert decision.action == "rollback"
    assert decision.reason.startswith(says)


@pytest.mark.parametrize(
    ("options", "stable", "candidate", "says"),
    [
        ({"step_duration": "10s"}, lane(1000), lane(1000), "the step lasts 10s"),
        ({}, lane(1000), lane(99), "99 of 100 answers are there"),
        ({}, lane(1000), lane(200, 1), "1 errors in 200 answers do not show"),
        ({}, lane(100_000), lane(1000, 0, 15), "15 of 1000 requests were refused"),
        ({"min_agreement_ratio": 0.9}, lane(1000), lane(1000), "0 of 0 compared answers agree"),
    ],
)
def test_what_is_missing_is_named_and_becomes_the_reason_at_the_end(options, stable, candidate, says):
    rollout = Rollout(**{"step_duration": "0s", "max_duration": "1m", **options})
    waiting, ended = decide(rollout, stable, candidate, NOW, 5.0), decide(rollout, stable, candidate, NOW, 60.0)

    if says.startswith("the step"):
        assert ended.action == "advance"
    else:
        assert (ended.action, says in ended.reason) == ("rollback", True)
    assert waiting.action == "wait"
    assert waiting.reason.startswith(says)


def test_input_that_both_versions_refuse_is_not_the_candidates_fault():
    decision = decide(QUICK, lane(1000, 0, 500), lane(1000, 0, 500), NOW, 1.0)

    assert decision.action == "advance"


def test_agreement_is_shown_before_the_candidate_gets_everything_and_not_asked_for_then():
    rollout = Rollout(steps=(0.0, 0.5, 1), min_agreement_ratio=0.95, step_duration="0s")
    copied, alone = lane(1000, comparisons=1000, agreements=980), lane(1000)

    def action(number, candidate):
        return decide(rollout, lane(1000), candidate, Step(number=number, began_s=0.0, rollout_began_s=0.0), 1.0).action

    assert [action(number, copied) for number in (0, 1)] == ["advance", "advance"]
    assert [action(number, alone) for number in (0, 1)] == ["wait", "wait"]
    assert action(2, alone) == "promote"
    assert action(2, lane(1000, comparisons=100, agreements=50)) == "rollback"  # copies that were under way


def test_without_a_stable_version_to_compare_with_latency_is_left_out():
    assert decide(QUICK, lane(0), lane(1000, bucket=4), NOW, 1.0).action == "advance"


def test_statistics_come_from_counts_by_status():
    before = LaneStatistics.of_statuses(
        {200: 3, 204: 1, 422: 3, 429: 9, 499: 7}, bounds_s=BOUNDS_S, counts=(1, 3, 0, 0, 0)
    )
    after = LaneStatistics.of_statuses(
        {200: 4, 204: 1, 422: 3, 429: 9, 503: 5}, bounds_s=BOUNDS_S, counts=(1, 3, 0, 1, 0)
    )

    assert (before.requests, before.errors, before.refusals, before.runs) == (7, 0, 3, 4)
    assert after.since(before) == LaneStatistics(requests=6, errors=5, bounds_s=BOUNDS_S, counts=(0, 0, 0, 1, 0))
    assert LaneStatistics.of_statuses({}).latency_s(0.5) is None


@given(lanes(), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_quantiles_rise_and_lie_between_their_bounds(statistics, a, b):
    low, high = sorted((a, b))
    if not statistics.runs:
        assert statistics.latency_s(a) is None
        return
    assert 0.0 <= statistics.latency_s(low) <= statistics.latency_s(high) <= BOUNDS_S[-1]
    fast, slow = statistics.latency_bounds_s(a, 3.0)
    if statistics.runs > 100:
        assert fast <= statistics.latency_s(a) * (1 + 1e-9) + 1e-3
        assert slow >= statistics.latency_s(a) * (1 - 1e-9) - 1e-3


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": []},
        {"steps": [0.5, 0.1]},
        {"steps": [0.5, 0.5]},
        {"steps": [2.0]},
        {"steps": "all"},
        {"min_requests": 0},
        {"max_error_ratio": 0.0},
        {"min_agreement_ratio": 1.0},
        {"max_latency_ratio": 0.5},
        {"max_duration": "0s"},
        {"max_duration": "soon"},
        {"unknown": 1},
    ],
)
def test_wrong_options_are_refused_by_name(wrong):
    with pytest.raises(SpecError, match=f"automatic: .*{next(iter(wrong))}"):
        Rollout.from_dict(wrong, where="automatic")


def test_options_survive_as_plain_values():
    rollout = Rollout(steps=(0.2, 1), max_latency_ratio=None, max_duration="5m")

    assert Rollout.from_dict(rollout.to_dict(), where="x") == rollout
