import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skerry.learn.federated.strategies import STRATEGIES, ListedReplies, Received, find_strategy
from skerry.learn.federated.strategies.krum import choose_clients
from skerry.learn.federated.strategies.mean import weighted_mean

SIZE = 5
numbers = st.floats(-100, 100, width=32)


@st.composite
def rounds(draw, least=5):
    """Draw the replies of a round; the first client has examples."""
    clients = draw(st.integers(least, 9))
    deltas, controls = (draw(arrays(np.float32, (clients, SIZE), elements=numbers)) for _ in range(2))
    return [
        Received(
            client=f"c{index}",
            delta=deltas[index],
            examples=draw(st.integers(1 if index == 0 else 0, 1000)),
            steps=index + 1,
            staleness=draw(st.integers(0, 4)),
            control=controls[index],
        )
        for index in range(clients)
    ]


def bits(result):
    model, state = result
    return model.tobytes(), {name: array.tobytes() for name, array in state.items()}


@pytest.mark.parametrize("name", STRATEGIES)
@given(replies=rounds(), data=st.data())
@settings(max_examples=15, deadline=None)
def test_the_order_of_arrival_changes_no_bit_and_nothing_is_changed_in_place(name, replies, data):
    strategy = find_strategy(name)
    model, state = np.linspace(-1, 1, SIZE, dtype=np.float32), strategy.start(SIZE)
    before = bits((model, state))
    shuffled = data.draw(st.permutations(replies))
    expected = bits(strategy.aggregate(model, state, ListedReplies(replies)))
    assert bits(strategy.aggregate(model, state, ListedReplies(shuffled))) == expected
    assert bits((model, state)) == before
    assert strategy.aggregate(model, state, ListedReplies(replies))[0].dtype == np.float32


@given(replies=rounds(least=1), value=numbers)
@settings(max_examples=30, deadline=None)
def test_weights_sum_to_one(replies, value):
    same = ListedReplies(
        Received(client=reply.client, delta=np.full(3, value), examples=reply.examples, staleness=reply.staleness)
        for reply in replies
    )
    mean = weighted_mean(same, lambda reply: reply.examples / (1 + reply.staleness))
    np.testing.assert_allclose(mean, value, rtol=1e-14)


@pytest.mark.parametrize("name", ["median", "trimmed-mean"])
@given(replies=rounds(least=1))
@settings(max_examples=30, deadline=None)
def test_robust_means_stay_within_what_clients_sent(name, replies):
    model, _ = find_strategy(name).aggregate(np.zeros(SIZE), {}, ListedReplies(replies))
    deltas = np.stack([reply.delta.astype(np.float64) for reply in replies])
    assert (deltas.min(axis=0) <= model).all()
    assert (model <= deltas.max(axis=0)).all()


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "median", "trimmed-mean", "fedbuff", "multi-krum"])
@given(replies=rounds(), shift=st.lists(st.integers(-1000, 1000), min_size=SIZE, max_size=SIZE))
@settings(max_examples=25, deadline=None)
def test_what_all_clients_add_the_model_gains(name, replies, shift):
    strategy, shift = find_strategy(name), np.array(shift, np.float64)
    replies = [replace(reply, np.round(reply.delta * 1024).astype(np.float64) / 1024) for reply in replies]
    plain, _ = strategy.aggregate(np.zeros(SIZE), {}, ListedReplies(replies))
    shifted = ListedReplies(replace(reply, reply.delta + shift) for reply in replies)
    moved, _ = strategy.aggregate(np.zeros(SIZE), {}, shifted)
    np.testing.assert_allclose(moved, plain + shift, rtol=1e-12, atol=1e-9)


def replace(reply, delta):
    return Received(client=reply.client, delta=delta, examples=reply.examples, staleness=reply.staleness)


@given(
    honest=st.integers(5, 12),
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1e3, 1e6, 1e30]),
    together=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_krum_picks_honest_clients_under_as_many_attackers_as_it_was_told_of(honest, seed, size, together):
    generator = np.random.default_rng(seed)
    attackers = honest - 3  # as many as 2 f + 3 replies allow
    deltas = [generator.normal(0, 1, SIZE) for _ in range(honest)]
    place = generator.normal(0, size, SIZE)
    deltas += [place if together else generator.normal(0, size, SIZE) + size for _ in range(attackers)]
    names = [f"{'honest' if index < honest else 'attacker'}{index}" for index in range(len(deltas))]
    replies = ListedReplies(
        Received(client=name, delta=delta, examples=1) for name, delta in zip(names, deltas, strict=True)
    )
    assert all(name.startswith("honest") for name in choose_clients(replies, attackers, 1))
