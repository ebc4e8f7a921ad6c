"""Updates of earlier rounds take no parameter past what some client has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.learn.federated.strategies import FedAvg, FedAvgM, FedNova, ListedReplies
from support.federated import reply_with

MODEL = np.array([1.0, -2.0], np.float32)


def play(strategy, silent_from, rounds, train, model=MODEL):
    """Play rounds in which clients fall silent and count with their last update; yield models and all that clients had.

    Args:
        silent_from: The round from which each client is silent, by client.
        train: Returns what a client has after training, of its name, the round and the model.
    """
    state, last, had = strategy.start(model.size), {}, [model.astype(np.float64)]
    for round in range(1, rounds + 1):
        for client, silent in silent_from.items():
            if round < silent:
                trained = np.asarray(train(client, round, model), np.float32)
                last[client] = round, model, trained - model
                had.append(trained.astype(np.float64))
        replies = ListedReplies(
            reply_with(delta, client, staleness=round - asked, steps=3, base=base if asked < round else None)
            for client, (asked, base, delta) in last.items()
        )
        model, state = strategy.aggregate(model, state, replies)
        yield model, had


@pytest.mark.parametrize("kind", [FedAvg, FedNova])
def test_a_running_variance_stays_one_however_long_a_client_is_silent(kind):
    # As of a BatchNorm: what training leaves does not depend on what it began from.
    goals = {"a": 0.3, "b": 0.25, "c": 0.5}
    steps = play(
        kind(late_exponent=0.0), {"a": 99, "b": 99, "c": 2}, 30, lambda client, *_: [goals[client], -2.0], MODEL
    )
    models = [model for model, _ in steps]
    assert all(0.25 <= model[0] <= 0.5 for model in models)
    assert all(model[1] == -2.0 for model in models)


def test_without_bounds_it_would_not():
    model = 1.0
    for _ in range(30):  # two clients at 0.3, and the last delta of the third
        model += (2 * (0.3 - model) - 0.7) / 3
    assert model < 0


def test_a_running_variance_that_moves_by_a_tenth_a_round_stays_one_too():
    def train(client, round, model):
        return model + np.float32(0.1) * (np.array([0.3, -2.0], np.float32) - model)

    *_, (model, _) = play(FedAvg(late_exponent=0.0), {"a": 99, "b": 2, "c": 3}, 60, train)
    assert 0.3 <= model[0] < 1


def test_what_gradients_move_is_moved_in_full():
    # A late client pulls one way, the others the other way: the mean is within what they have, and nothing is cut.
    replies = ListedReplies(
        [
            reply_with([-1.0, 1.0], "a"),
            reply_with([-1.0, -1.0], "b"),
            reply_with([1.5, 0.5], "late", staleness=4, base=MODEL - 0.25),
        ]
    )
    model, _ = FedAvg(late_exponent=0.0).aggregate(MODEL, {}, replies)
    np.testing.assert_allclose(model, MODEL + np.array([-0.5, 0.5]) / 3, rtol=1e-6)


def test_momentum_is_kept_of_what_was_cut():
    strategy = FedAvgM(late_exponent=0.0)
    replies = ListedReplies([reply_with([0.0, 0.0], "a"), reply_with([-0.7, 0.0], "b", staleness=1, base=MODEL + 0.7)])
    _, state = strategy.aggregate(MODEL, strategy.start(2), replies)
    np.testing.assert_allclose(state["momentum"], 0, atol=1e-6)


def test_a_client_without_examples_sets_no_bounds():
    replies = [reply_with([0.0, 0.0], "a"), reply_with([-0.7, 0.0], "b", staleness=1, base=MODEL + 0.7)]
    far = reply_with([-9.0, 9.0], "c", examples=0)
    model, _ = FedAvg(late_exponent=0.0).aggregate(MODEL, {}, ListedReplies([*replies, far]))
    np.testing.assert_allclose(model, MODEL, atol=1e-6)


@given(
    silent=st.lists(st.integers(2, 9), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.05, 0.5, 1.0]),
    exponent=st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=60, deadline=None)
def test_the_model_stays_between_what_clients_have_had(silent, seed, share, exponent):
    generator = np.random.default_rng(seed)
    goals = {f"c{index}": generator.normal(0, 3, 6) for index in range(len(silent) + 1)}
    last_rounds = {f"c{index}": round for index, round in enumerate(silent)} | {f"c{len(silent)}": 99}

    def train(client, round, model):
        return model + share * (goals[client] + generator.normal(0, 0.5, 6) - model)

    model = generator.normal(0, 3, 6).astype(np.float32)
    for after, had in play(FedAvg(late_exponent=exponent), last_rounds, 25, train, model):
        assert (np.min(had, axis=0) - 1e-4 <= after).all()
        assert (after <= np.max(had, axis=0) + 1e-4).all()
