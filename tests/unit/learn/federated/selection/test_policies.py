"""What sets each selection apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN
from sklearn.metrics import calinski_harabasz_score

from skerry.learn.federated.policies.history import History
from skerry.learn.federated.selection import Apodotiko, Clustered, FedLesScan
from skerry.learn.federated.selection.groups import calinski_harabasz, cut, group, spanning_tree

POINTS = st.lists(st.tuples(st.integers(-30, 30), st.integers(-30, 30)), min_size=2, max_size=14)
SLOW = settings(max_examples=50, deadline=None)  # a loaded machine takes long for one example


def known(client, duration_s, *, examples=100, rounds=5):
    return History(
        client=client,
        durations_s=(duration_s,) * 3,
        examples=(examples,) * 3,
        rounds=rounds,
        answers=rounds,
        last_asked=9,
        last_answered=9,
    )


def of(*histories):
    return {history.client: history for history in histories}


@SLOW
@given(POINTS, st.floats(0.05, 20))
def test_groups_are_those_of_dbscan_with_two_points_as_the_least(points, reach):
    array = np.array(points, float)
    mine = cut(spanning_tree(array), len(array), reach)
    theirs = DBSCAN(eps=reach, min_samples=2).fit(array).labels_
    for one in range(len(array)):
        for other in range(one):
            assert (mine[one] == mine[other]) == (theirs[one] == theirs[other] != -1)


@SLOW
@given(POINTS, st.floats(0.05, 20))
def test_the_score_of_groups_is_scikit_learns(points, reach):
    array = np.array(points, float)
    labels = cut(spanning_tree(array), len(array), reach)
    if 1 < labels.max() + 1 < len(array):
        assert calinski_harabasz(array, labels) == pytest.approx(calinski_harabasz_score(array, labels))


def test_fast_and_slow_clients_are_two_groups_and_equal_ones_are_one():
    features = np.array([[10.0, 0], [11, 0], [10.5, 0], [100, 0], [101, 0]])
    assert list(group(features)) == [0, 0, 0, 1, 1]
    assert list(group(np.full((4, 2), 7.0))) == [0, 0, 0, 0]
    assert list(group(np.array([[3.0, 1.0]]))) == [0]


def test_fedlesscan_begins_with_the_fast_and_ends_with_the_slow():
    fast = [known(f"fast-{number}", 10 + number / 10) for number in range(4)]
    slow = [known(f"slow-{number}", 100 + number) for number in range(2)]
    assert set(FedLesScan(rounds=200).choose(of(*fast, *slow), 10, 4, 0)) == {one.client for one in fast}
    assert set(FedLesScan(rounds=10).choose(of(*fast, *slow), 9, 2, 0)) <= {one.client for one in slow}


def test_fedlesscan_prefers_those_of_a_group_that_were_asked_least():
    clients = [known(f"client-{number}", 10, rounds=9 - number) for number in range(5)]
    assert FedLesScan().choose(of(*clients), 10, 2, 0) == ("client-3", "client-4")


def missed(client, *rounds):
    history = known(client, 10)
    for round in rounds:
        history = history.asked(round).failed(round, "site unreachable")
    return history


@SLOW
@given(st.integers(1, 40), st.integers(1, 32))
def test_a_back_off_grows_and_ends(misses, longest):
    selection = FedLesScan(longest_back_off=longest)
    before = selection.back_off(missed("a", *range(10, 9 + misses)))
    history = missed("a", *range(10, 10 + misses))
    back_off, last = selection.back_off(history), 9 + misses
    assert before <= back_off <= longest
    assert all(selection.cooling(history, round) for round in range(last + 1, last + 1 + back_off))
    assert not selection.cooling(history, last + 1 + back_off)


def test_a_client_in_its_back_off_is_left_out_and_comes_back_when_it_answers():
    others = [known(f"client-{number}", 10, rounds=20) for number in range(4)]
    out = missed("dying", 10, 11, 12)
    selection = FedLesScan()
    assert "dying" not in selection.choose(of(*others, out), 13, 5, 0)
    assert "dying" in selection.choose(of(*others, out), 17, 5, 0)
    back = out.asked(17).answered(17, duration_s=10, examples=100)
    assert selection.back_off(back) == 0
    assert "dying" in selection.choose(of(*others, back), 18, 5, 0)


def test_a_round_is_not_left_empty_because_all_are_in_their_back_off():
    histories = of(missed("a", 10), missed("b", 10))
    assert FedLesScan().choose(histories, 11, 2, 0) == ("a", "b")
    assert Apodotiko().choose(histories, 11, 2, 0) == ("a", "b")


def test_apodotiko_scores_rows_and_speed_and_being_passed_over():
    selection = Apodotiko()
    score = selection.score(known("a", 10), 10)
    assert score == pytest.approx(100 * 100 / 10)
    assert selection.score(known("a", 20), 10) == pytest.approx(score / 2)
    assert selection.score(known("a", 10, examples=200), 10) == pytest.approx(4 * score)
    assert selection.score(known("a", 10), 13) == pytest.approx(score * 1.2**3)
    assert selection.score(known("a", 10), 10**6) < float("inf")


def test_apodotiko_leaves_out_whoever_missed_for_the_penalty_and_no_longer():
    selection, history = Apodotiko(penalty_rounds=3), missed("dying", 10)
    others = [known(f"client-{number}", 10) for number in range(3)]
    asked = [round for round in range(11, 18) if "dying" in selection.choose(of(*others, history), round, 4, 0)]
    assert asked == [14, 15, 16, 17]


def test_clustered_sampling_chooses_in_proportion_to_rows():
    clients = [known("large", 10, examples=500), *(known(f"small-{n}", 10, examples=100) for n in range(5))]
    drawn = [client for round in range(1, 1500) for client in Clustered().choose(of(*clients), round, 2, 0)]
    assert drawn.count("large") / 1499 == pytest.approx(1.0)
    for number in range(5):
        assert drawn.count(f"small-{number}") / 1499 == pytest.approx(0.2, abs=0.05)
