import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.learn.federated.policies.deadlines import Patience, Reason, abandoned, decide, limit_s, patience_s, quorum
from skerry.learn.federated.policies.history import History

SETTINGS = Patience(deadline_s=100)
SLOW = settings(max_examples=50, deadline=None)  # a loaded machine takes long for one example


def known(client, *durations_s):
    return History(client=client, durations_s=durations_s, examples=(10,) * len(durations_s), rounds=len(durations_s))


FOUR = {
    "a": known("a", 9, 10, 10),
    "b": known("b", 10, 10, 11),
    "c": known("c", 10, 10, 10),
    "slow": known("slow", 95, 90),
}


def ask(now_s, answered, *, histories=FOUR, failed=(), settings=SETTINGS):
    return decide(
        now_s,
        0.0,
        chosen=histories,
        answered=set(answered),
        in_flight=set(histories) - set(answered) - set(failed),
        histories=histories,
        settings=settings,
    )


def test_a_round_ends_when_everyone_has_answered_or_failed():
    assert ask(10, "abc", failed={"slow"}).reason is Reason.ALL
    assert ask(10, "abc", failed={"slow"}).end


def test_a_slow_client_does_not_hold_up_a_round_once_the_others_have_answered():
    decision = ask(10, "abc")
    assert (decision.end, decision.reason) == (True, Reason.REST_LATE)


def test_a_client_that_is_expected_is_waited_for_until_it_is_late_by_its_own_history():
    decision = ask(10, "ab")
    assert (decision.end, decision.reason) == (False, Reason.EXPECTED)
    assert decision.wait_s == pytest.approx(patience_s(FOUR["c"]) - 10)
    assert ask(10 + decision.wait_s, "ab").end


def test_a_quorum_is_waited_for_even_when_everyone_is_late():
    decision = ask(50, "a")
    assert (decision.end, decision.reason, decision.wait_s) == (False, Reason.QUORUM, 50)


def test_failures_that_make_the_quorum_impossible_do_not_hold_up_the_round():
    settings = Patience(deadline_s=100, quorum_ratio=0.75)
    assert ask(12, "ab", settings=settings).reason is Reason.QUORUM
    assert ask(12, "ab", failed={"c"}, settings=settings).reason is Reason.QUORUM
    halves = Patience(deadline_s=100, quorum_ratio=0.6)
    assert ask(12, "ab", failed={"c"}, settings=halves).reason is Reason.QUORUM
    assert ask(12, "ab", failed={"c"}, settings=Patience(deadline_s=100)).reason is Reason.REST_LATE


def test_the_longest_time_ends_a_round_with_what_is_there():
    decision = ask(100, "a")
    assert (decision.end, decision.reason) == (True, Reason.LONGEST)


@pytest.mark.parametrize(("now_s", "failed"), [(100, ()), (3, tuple(FOUR))])
def test_a_round_never_ends_with_nothing(now_s, failed):
    decision = ask(now_s, "", failed=failed)
    assert (decision.end, decision.wait_s, decision.reason) == (False, 0, Reason.LOST)


def test_a_client_that_did_not_answer_last_time_is_not_waited_for():
    silent = FOUR | {"c": FOUR["c"].asked(4).missed_round(4)}
    assert ask(10, "ab", histories=silent).reason is Reason.REST_LATE


def test_in_a_first_round_the_answers_of_the_round_itself_say_how_long_to_wait():
    new = {client: History(client=client) for client in FOUR}
    assert ask(50, "ab", histories=new).wait_s == 50
    told = new | {"a": known("a", 10), "b": known("b", 12)}
    decision = ask(12, "ab", histories=told)
    assert decision.wait_s == pytest.approx(SETTINGS.first_slack_ratio * 12 - 12, abs=SETTINGS.first_slack_ratio * 1.1)
    assert ask(12 + decision.wait_s, "ab", histories=told).end


def test_one_slow_round_hardly_changes_how_long_a_client_is_waited_for():
    steady, once = known("a", *[10.0] * 9), known("a", *[10.0] * 8, 300.0)
    assert patience_s(once) == patience_s(steady)


def test_an_answer_is_given_up_after_the_rounds_that_were_set():
    histories = {"a": History(client="a").asked(1), "b": History(client="b").asked(5)}
    settings = Patience(late_rounds=3)
    assert abandoned(histories, 4, settings) == ()
    assert abandoned(histories, 5, settings) == ("a",)


@pytest.mark.parametrize(
    "bad",
    [
        {"quorum_ratio": 0},
        {"quorum_ratio": 1.1},
        {"deadline_s": 0},
        {"deadline_s": float("inf")},
        {"slack_ratio": 0.9},
        {"first_slack_ratio": float("nan")},
        {"late_rounds": -1},
    ],
)
def test_settings_out_of_range_are_refused_by_name(bad):
    with pytest.raises(SpecError, match=next(iter(bad))):
        Patience(**bad)


DURATIONS = st.lists(st.floats(0.01, 1000), min_size=0, max_size=6)
ROUND = st.lists(DURATIONS, min_size=1, max_size=8)
RATIOS = st.floats(0.05, 1)


@SLOW
@given(ROUND, st.lists(st.floats(0, 500), min_size=48, max_size=48), RATIOS)
def test_limits_never_fall_when_clients_get_slower(round, more, ratio):
    settings = Patience(quorum_ratio=ratio, deadline_s=5000)
    extra = iter(more)
    before = {str(number): known(str(number), *durations) for number, durations in enumerate(round)}
    after = {name: known(name, *(d + next(extra) for d in history.durations_s)) for name, history in before.items()}
    assert limit_s(after, after, settings) >= limit_s(before, before, settings) - 1e-9


@SLOW
@given(ROUND, st.data(), RATIOS, st.floats(0, 700))
def test_decisions_keep_their_bounds(round, data, ratio, now_s):
    settings = Patience(quorum_ratio=ratio, deadline_s=600)
    histories = {str(number): known(str(number), *durations) for number, durations in enumerate(round)}
    states = {name: data.draw(st.sampled_from(["answered", "in flight", "failed"])) for name in histories}
    answered = {name for name, state in states.items() if state == "answered"}
    in_flight = {name for name, state in states.items() if state == "in flight"}

    def at(now_s):
        return decide(
            now_s,
            0.0,
            chosen=histories,
            answered=answered,
            in_flight=in_flight,
            histories=histories,
            settings=settings,
        )

    decision = at(now_s)
    assert decision == at(now_s)
    if decision.end:
        assert answered
        assert decision.wait_s == 0
        able = len(answered) + len(in_flight)
        needed = quorum(len(histories), settings)
        enough = len(answered) >= (needed if needed <= able else quorum(able, settings))
        assert enough or not in_flight or now_s >= 600 - 1e-3
    elif decision.reason is not Reason.LOST:
        assert 0 < decision.wait_s <= 600 - now_s + 1e-9
        later = at(now_s + decision.wait_s)
        assert later.end or later.reason is Reason.LOST
