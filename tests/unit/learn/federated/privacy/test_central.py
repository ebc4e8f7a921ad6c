"""Central differential privacy around a strategy."""

import re

import numpy as np
import pytest

from skerry.errors import ConfigError, DataError
from skerry.learn.federated.privacy.central import PrivateMean
from skerry.learn.federated.strategies.base import Instructions, Received, Replies, Strategy
from skerry.learn.federated.strategies.fedavg import FedAvg

KEY = bytes(range(32))


class Round(Replies):
    def __init__(self, *replies):
        self.replies = replies

    def __len__(self):
        return len(self.replies)

    def __iter__(self):
        return iter(self.replies)


class Momentum(Strategy):
    """Keeps something, to see that it is kept."""

    name = "momentum"

    def start(self, size):
        return {"velocity": np.zeros(size)}

    def instruct(self, state):
        return Instructions(proximal=0.5)

    def aggregate(self, model, state, replies):
        (reply,) = replies
        velocity = state["velocity"] * 0.5 + reply.delta
        return (model + velocity).astype(model.dtype), {"velocity": velocity}


class Controlled(Momentum):
    name = "controlled"

    def instruct(self, state):
        return Instructions(control=np.zeros(2))


def make(strategy=None, **changes) -> PrivateMean:
    given = {"clip_norm": 1.0, "noise_multiplier": 0.0, "clients_per_round": 2, "key": KEY}
    return PrivateMean(strategy=strategy or FedAvg(), **(given | changes))


def reply(client, *delta, examples=10) -> Received:
    return Received(client=client, delta=np.array(delta, np.float32), examples=examples)


def test_without_noise_it_is_the_mean_of_clipped_deltas_of_equal_weight():
    private = make()
    replies = Round(reply("a", 3.0, 4.0, examples=1), reply("b", 0.0, 0.5, examples=999))
    model, _ = private.aggregate(np.ones(2, np.float32), private.start(2), replies)
    assert model == pytest.approx([1 + 0.3, 1 + 0.65])
    assert model.dtype == np.float32


def test_the_divisor_does_not_tell_how_many_came():
    private = make(clients_per_round=4)
    model, _ = private.aggregate(np.zeros(2, np.float32), private.start(2), Round(reply("a", 0.8, 0.0)))
    assert model == pytest.approx([0.2, 0.0])


def test_one_client_moves_the_mean_by_no_more_than_its_part_of_the_clip_norm():
    private = make(clients_per_round=5)
    others = [reply(name, 0.1, -0.2) for name in "abcd"]
    state, model = private.start(2), np.zeros(2)
    without, _ = private.aggregate(model, state, Round(*others))
    with_it, _ = private.aggregate(model, state, Round(*others, reply("e", 1e20, -1e20, examples=10**9)))
    assert np.linalg.norm(with_it - without) <= 1.0 / 5 * (1 + 1e-6)


def test_noise_is_of_the_clip_norm_over_the_clients_and_added_once():
    size = 100_000
    private = make(noise_multiplier=3.0, clip_norm=0.5, clients_per_round=10)
    zero = np.zeros(size, np.float32)
    replies = Round(*(Received(client=name, delta=zero, examples=1) for name in "abcdefgh"))
    model, _ = private.aggregate(np.zeros(size), private.start(size), replies)
    assert model.std() == pytest.approx(3.0 * 0.5 / 10, rel=0.02)


def test_a_round_that_is_repeated_from_its_state_ends_in_the_same_bits():
    private = make(noise_multiplier=1.0, key=None)
    state, model, replies = private.start(2), np.zeros(2), Round(reply("a", 0.1, 0.2))
    first, after = private.aggregate(model, state, replies)
    again, _ = make(noise_multiplier=1.0, key=None).aggregate(model, state, replies)
    assert (first == again).all()
    assert (after["private.key"] == state["private.key"]).all()


def test_no_two_rounds_runs_or_sums_have_the_same_noise():
    private = make(noise_multiplier=1.0, key=None)
    state, model = private.start(2), np.zeros(2)
    zero, small = Round(reply("a", 0.0, 0.0)), Round(reply("a", 1e-9, 0.0))
    first, after = private.aggregate(model, state, zero)
    second, _ = private.aggregate(model, after, zero)
    other_run, _ = private.aggregate(model, private.start(2), zero)
    other_sum, _ = private.aggregate(model, state, small)
    for other in (second, other_run, other_sum):
        assert (np.abs(first - other) > 1e-6).all()


def test_the_strategy_inside_keeps_its_state_and_asks_what_it_asks():
    private = make(Momentum())
    state, model = private.start(2), np.zeros(2)
    assert private.instruct(state) == Instructions(proximal=0.5)
    model, state = private.aggregate(model, state, Round(reply("a", 0.2, 0.0)))
    model, state = private.aggregate(model, state, Round(reply("a", 0.2, 0.0)))
    assert state["velocity"] == pytest.approx([0.15, 0.0])
    assert model == pytest.approx([0.25, 0.0])
    assert int(state["private.round"]) == 2


def test_control_variates_are_refused_because_no_noise_protects_them():
    with pytest.raises(ConfigError, match="controlled exchanges control variates with each client"):
        make(Controlled()).start(2)


def test_a_sum_that_was_clipped_at_the_sites_gives_the_same_bits():
    private = make(noise_multiplier=1.0)
    state, model = private.start(2), np.zeros(2)
    replies = Round(reply("a", 0.5, 0.25), reply("b", -0.125, 0.5))
    summed, _ = private.aggregate_sum(model, state, np.array([0.375, 0.75]))
    assert (summed == private.aggregate(model, state, replies)[0]).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"clip_norm": 0.0}, "clip_norm is 0.0"),
        ({"clip_norm": float("nan")}, "clip_norm is nan"),
        ({"noise_multiplier": -1.0}, "noise_multiplier is -1.0"),
        ({"clients_per_round": 0}, "clients_per_round is 0"),
        ({"key": b"short"}, "the key has 5 bytes"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, reason):
    with pytest.raises(ConfigError, match=re.escape(reason)):
        make(**changes)


def test_a_round_without_replies_and_a_state_of_another_strategy_are_refused():
    private = make()
    with pytest.raises(DataError, match="no reply"):
        private.aggregate(np.zeros(2), private.start(2), Round())
    with pytest.raises(DataError, match="written by another strategy"):
        private.aggregate(np.zeros(2), {}, Round(reply("a", 0.0, 0.0)))
