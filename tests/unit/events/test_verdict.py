import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.events.verdict import is_too_late, judge, pause_s
from skerry.spec import Retry

chances = st.floats(0, 1)
rules = st.builds(
    Retry,
    attempts=st.integers(0, 20),
    backoff=st.sampled_from(["linear", "exponential"]),
    delay=st.integers(0, 5000).map(lambda ms: f"{ms}ms"),
    max_delay=st.integers(0, 60).map(lambda s: f"{s}s"),
    jitter=st.floats(0, 1),
)


@pytest.mark.parametrize(
    ("backoff", "pauses"),
    [("linear", [1, 2, 3, 4, 5, 5]), ("exponential", [1, 2, 4, 5, 5, 5])],
)
def test_pauses_grow_up_to_the_longest(backoff, pauses):
    retry = Retry(backoff=backoff, delay="1s", max_delay="5s")
    assert [pause_s(retry, attempt, 0.5) for attempt in range(1, 7)] == pauses


@given(rules, st.integers(1, 10_000), chances)
def test_jitter_keeps_a_pause_within_its_share(retry, attempt, chance):
    without = pause_s(retry, attempt, 0.5)
    assert without <= retry.max_delay_s
    found = pause_s(retry, attempt, chance)
    assert without * (1 - retry.jitter) - 1e-9 <= found <= without * (1 + retry.jitter) + 1e-9


@given(rules, chances)
def test_an_event_is_given_once_and_as_often_again_as_the_rules_say(retry, chance):
    attempts = made = 0
    while True:
        made += 1
        verdict = judge(retry, status=500, attempts=attempts, age_s=0.0, chance=chance)
        attempts = verdict.attempts
        if verdict.action == "dead":
            break
    assert made == attempts == retry.attempts + 1


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_wrong_with_the_event_itself_is_not_tried_again(status):
    assert judge(Retry(), status=status, attempts=0, age_s=0.0, chance=0.5).action == "dead"


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status):
    assert judge(Retry(), status=status, attempts=0, age_s=0.0, chance=0.5).action == "again"


@pytest.mark.parametrize("status", [429, 503])
def test_what_was_not_begun_is_no_attempt_and_waits_as_long_as_it_is_asked_to(status):
    verdict = judge(Retry(attempts=0), status=status, attempts=0, age_s=0.0, chance=0.5, wait_s=7.0)
    assert (verdict.action, verdict.attempts, verdict.pause_s) == ("again", 0, 7.0)


def test_a_deadline_ends_the_attempts():
    retry = Retry(deadline="10s", delay="2s", jitter=0.0)
    assert judge(retry, status=500, attempts=0, age_s=7.9, chance=0.5).action == "again"
    late = judge(retry, status=503, attempts=0, age_s=8.1, chance=0.5)
    assert (late.action, late.reason) == ("dead", "its deadline of 10s would pass")
    assert is_too_late(retry, 10.1)
    assert not is_too_late(Retry(), 1e9)
