import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import DataError
from skerry.learn.federated.policies.history import RECENT, Event, History, fold, from_json, to_json

EVENTS = st.lists(
    st.builds(
        Event,
        kind=st.sampled_from(["asked", "answered", "missed", "failed"]),
        client=st.sampled_from(["a", "b"]),
        round=st.integers(1, 40),
        arrived=st.integers(0, 40),
        duration_s=st.floats(0, 1e6),
        examples=st.integers(0, 1000),
        reason=st.sampled_from(["", "site unreachable"]),
    ),
    max_size=60,
)
SLOW = settings(max_examples=50, deadline=None)  # a loaded machine takes long for one example


def test_a_client_that_answers_in_time_is_free_and_missed_nothing():
    history = History(client="a").asked(1).answered(1, duration_s=2.5, examples=30)
    assert not history.busy
    assert (history.durations_s, history.examples, history.rounds, history.missed) == ((2.5,), (30,), 1, 0)
    assert (history.last_asked, history.last_answered, history.late) == (1, 1, 0)


def test_a_client_that_missed_a_round_is_busy_until_its_late_answer_makes_the_round_good():
    missed = History(client="a").asked(3).missed_round(3)
    assert (missed.busy, missed.missed_in_row, missed.last_missed) == (True, 1, 3)
    late = missed.answered(3, duration_s=90.0, examples=30, arrived=8)
    assert (late.busy, late.missed_in_row, late.last_missed, late.late, late.last_answered) == (False, 0, 0, 1, 8)
    assert late.missed == 1


def test_a_task_that_is_given_up_after_its_round_was_missed_counts_once():
    history = History(client="a").asked(3).missed_round(3).failed(3, "no answer in time")
    assert (history.busy, history.missed, history.missed_in_row) == (False, 1, 1)
    assert history.failures[-1].reason == "no answer in time"


def test_an_answer_to_an_older_task_does_not_free_a_client_that_has_a_newer_one():
    assert History(client="a").asked(1).asked(2).answered(1, duration_s=1, examples=1).busy


def test_only_recent_entries_are_kept():
    history = History(client="a")
    for round in range(1, 40):
        history = history.asked(round).answered(round, duration_s=float(round), examples=round)
    assert history.durations_s == tuple(float(round) for round in range(40 - RECENT, 40))
    assert history.rounds == history.answers == 39


def test_a_record_that_tells_of_another_runs_client_is_refused():
    with pytest.raises(DataError, match=r"client 'b'; the run has \['a'\]"):
        fold(["a"], [Event(kind="asked", client="b", round=1)])


@pytest.mark.parametrize("text", ["", "{}", '[{"client": ""}]', '[{"client": "a", "age": 3}]'])
def test_text_that_is_no_history_is_refused(text):
    with pytest.raises(DataError, match="no histories of clients"):
        from_json(text)


@SLOW
@given(EVENTS)
def test_histories_survive_json_and_hold_what_was_told(events):
    histories = fold(["a", "b", "quiet"], events)
    assert from_json(to_json(histories)) == histories
    assert histories["quiet"] == History(client="quiet")
    for history in histories.values():
        told = [event for event in events if event.client == history.client]
        assert history.rounds == sum(event.kind == "asked" for event in told)
        assert history.answers == sum(event.kind == "answered" for event in told)
        assert history.missed_in_row <= history.missed
        assert len(history.durations_s) == len(history.examples) <= RECENT


@SLOW
@given(EVENTS, st.integers(0, 60))
def test_folding_a_record_in_two_parts_is_folding_it_whole(events, at):
    clients = ["a", "b"]
    first = fold(clients, events[:at])
    for event in events[at:]:
        first[event.client] = first[event.client].after(event)
    assert first == fold(clients, events)
