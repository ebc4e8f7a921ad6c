"""What holds of every selection, by name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.learn.federated.policies.history import Event, fold
from skerry.learn.federated.selection import SELECTIONS, make_selection
from skerry.learn.federated.selection.base import draw

NAMES = [f"c{number}" for number in range(7)]
EVENTS = st.lists(
    st.builds(
        Event,
        kind=st.sampled_from(["asked", "answered", "missed", "failed"]),
        client=st.sampled_from(NAMES),
        round=st.integers(1, 30),
        arrived=st.integers(0, 30),
        duration_s=st.floats(0, 1e5),
        examples=st.integers(0, 10**6),
    ),
    max_size=60,
)
SLOW = settings(max_examples=50, deadline=None)  # a loaded machine takes long for one example


@pytest.mark.parametrize("name", SELECTIONS)
@SLOW
@given(events=EVENTS, round=st.integers(1, 400), count=st.integers(1, 9), seed=st.integers(0, 5))
def test_free_clients_are_chosen_at_most_as_many_as_allowed_and_the_same_ones_again(name, events, round, count, seed):
    histories = fold(NAMES, events)
    chosen = make_selection(name).choose(histories, round, count, seed)
    free = {client for client, history in histories.items() if not history.busy}
    assert len(chosen) <= count
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= free
    assert bool(chosen) == bool(free)
    backwards = {client: histories[client] for client in reversed(NAMES)}
    assert make_selection(name).choose(backwards, round, count, seed) == chosen


@pytest.mark.parametrize("name", ["random", "fedlesscan", "apodotiko", "clustered"])
def test_rounds_and_seeds_draw_anew(name):
    histories = fold(NAMES, ())
    selection = make_selection(name)
    assert len({selection.choose(histories, round, 3, 0) for round in range(1, 12)}) > 1
    assert len({selection.choose(histories, 1, 3, seed) for seed in range(12)}) > 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fastest", {}, "there is no selection 'fastest'; there are all, random, fedlesscan, apodotiko, clustered"),
        ("random", {"rate": 1}, "'random' has no option 'rate'; it has no options"),
        ("fedlesscan", {"round": 1}, "has no option 'round'; its options are rounds, longest_back_off"),
        ("fedlesscan", {"rounds": "50"}, "rounds is '50'; it must be of type int"),
        ("fedlesscan", {"rounds": 1.5}, "rounds is 1.5; it must be of type int"),
        ("fedlesscan", {"longest_back_off": 0}, "longest_back_off is 0; it must be at least 1"),
        ("apodotiko", {"rate": 1}, "rate is 1; it must be above 0 and below 1"),
        ("apodotiko", {"penalty_rounds": -1}, "penalty_rounds is -1; it must be at least 0"),
    ],
)
def test_a_wrong_selection_or_option_is_refused_with_what_there_is(name, options, message):
    with pytest.raises(SpecError) as caught:
        make_selection(name, options)
    assert message in str(caught.value)


@pytest.mark.parametrize("bad", [{"round": 0, "count": 1}, {"round": 1, "count": 0}])
def test_rounds_and_counts_begin_at_one(bad):
    with pytest.raises(SpecError, match="must be at least 1"):
        make_selection("all").choose(fold(NAMES, ()), seed=0, **bad)


def test_draws_are_in_proportion_to_weights_and_zero_comes_last():
    import random

    chance = random.Random(1)
    weights = {"heavy": 1.0, "light": 0.25, "none": 0.0}
    first = [draw(weights, 1, chance)[0] for _ in range(4000)]
    assert first.count("heavy") / len(first) == pytest.approx(0.8, abs=0.03)
    assert draw(weights, 3, chance)[2] == "none"


@pytest.mark.parametrize("name", ["fedlesscan", "apodotiko"])
def test_a_client_that_was_never_asked_comes_first(name):
    events = [
        event
        for client in NAMES[:-1]
        for event in (
            Event(kind="asked", client=client, round=1),
            Event(kind="answered", client=client, round=1, duration_s=1, examples=10),
        )
    ]
    assert NAMES[-1] in make_selection(name).choose(fold(NAMES, events), 2, 1, 0)


def test_everyone_who_is_free_is_chosen_and_those_asked_least_where_there_are_too_many():
    events = [Event(kind="asked", client="c0", round=1)]
    selection = make_selection("all")
    assert selection.choose(fold(NAMES, events), 2, 10, 0) == tuple(NAMES[1:])
    events += [Event(kind="answered", client="c0", round=1, duration_s=1, examples=1)]
    assert selection.choose(fold(NAMES, events), 2, 6, 0) == tuple(NAMES[1:])
