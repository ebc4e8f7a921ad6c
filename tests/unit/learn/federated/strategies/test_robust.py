import tracemalloc
import weakref

import numpy as np
import pytest

from skerry.errors import DataError
from skerry.learn.federated.strategies import (
    Krum,
    ListedReplies,
    Median,
    MultiKrum,
    Received,
    Replies,
    TrimmedMean,
    columns,
)
from skerry.learn.federated.strategies.columns import iterate_columns
from skerry.learn.federated.strategies.krum import choose_clients, squared_distances
from support.federated import replies_of, reply_with


def test_blocks_hold_what_the_clients_sent_whether_or_not_it_fits_in_memory():
    generator = np.random.default_rng(0)
    deltas = [generator.normal(size=1000).astype(dtype) for dtype in ("float32", "float64", "float32")]
    for memory_bytes in (100, 5_000, 1 << 20):
        blocks = list(iterate_columns(replies_of(deltas), 1000, memory_bytes))
        assert [part.start for part, _ in blocks][1:] == [part.stop for part, _ in blocks][:-1]
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), np.stack(deltas, axis=1))


@pytest.mark.parametrize("strategy", [Median(), TrimmedMean(), Krum(malicious_clients=1)])
def test_one_block_is_in_memory_at_a_time(strategy, monkeypatch):
    blocks, alive = [], []
    read = columns._read_block

    def watch(*arguments):
        alive.append(sum(block() is not None for block in blocks))
        block = read(*arguments)
        blocks.append(weakref.ref(block))
        return block

    monkeypatch.setattr(columns, "_read_block", watch)
    monkeypatch.setattr(columns.iterate_columns, "__defaults__", (8 * 5 * 100,))
    deltas = np.random.default_rng(0).normal(size=(5, 300))
    strategy.aggregate(np.zeros(300), {}, replies_of(deltas))
    assert alive == [0, 0, 0]


@pytest.mark.parametrize("clients", [1, 2, 5, 6])
def test_the_median_is_numpys(clients):
    deltas = np.random.default_rng(clients).normal(size=(clients, 300))
    model, _ = Median().aggregate(np.zeros(300), {}, replies_of(deltas))
    np.testing.assert_array_equal(model, np.median(deltas, axis=0))


def test_the_trimmed_mean_cuts_both_ends_of_each_parameter():
    deltas = [[0.0, 9.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [99.0, -50.0]]
    model, _ = TrimmedMean(trim_ratio=0.2).aggregate(np.zeros(2), {}, replies_of(deltas))
    np.testing.assert_allclose(model, [2.0, 2.0])


def usual_choice(whole_models):
    """Return whom Krum chooses by the usual formula, in float32 on whole models; one may be malicious."""
    stacked = np.stack(whole_models)
    norms = np.square(stacked).sum(axis=1)
    distances = norms[:, None] + norms[None, :] - 2 * stacked @ stacked.T
    nearest = [np.sort(row)[1 : len(row) - 2] for row in distances]
    return int(np.argmin([row.sum() for row in nearest]))


def test_late_in_training_the_usual_float32_formula_picks_the_wrong_client_and_ours_the_right_one():
    size, clients, wrong = 20_000, 7, 0
    for seed in range(10):
        generator = np.random.default_rng(seed)
        model = generator.normal(0, 0.05, size).astype(np.float32)
        # Each client is further from the middle than the one before it, so the first is Krum's.
        deltas = [generator.normal(0, 1e-5 * (1 + index / 10), size).astype(np.float32) for index in range(clients)]
        whole = [model + delta for delta in deltas]
        wrong += usual_choice(whole) != 0
        # Our clients rounded their models just as much.
        assert choose_clients(replies_of([sent - model for sent in whole]), size, 1, 1) == {"c000"}
    assert wrong >= 5  # one in seven is right by chance


def test_krum_takes_one_delta_as_it_is():
    deltas = [[0.0], [1.0], [1.5], [2.5], [1e9]]
    model, _ = Krum().aggregate(np.array([1.0]), {}, replies_of(deltas))
    np.testing.assert_allclose(model, [1.0 + 1.0])


def test_multi_krum_takes_the_plain_mean_whatever_examples_clients_claim():
    deltas = [[0.0], [1.0], [1.5], [2.5], [1e9]]
    model, _ = MultiKrum(selected_clients=2).aggregate(np.zeros(1), {}, replies_of(deltas, examples=[1, 1, 999, 1, 1]))
    np.testing.assert_allclose(model, [1.25])
    all_but_one, _ = MultiKrum().aggregate(np.zeros(1), {}, replies_of(deltas))
    np.testing.assert_allclose(all_but_one, [1.25])


def test_a_client_that_is_very_far_away_does_not_blur_the_others():
    deltas = [np.full(50, value) for value in (1e-6, 2e-6, 3.1e-6, 4.3e-6, 5.6e-6, 1e30, -1e200)]
    distances = squared_distances(replies_of(deltas), 50)
    expected = (
        50 * (np.array([1e-6, 2e-6, 3.1e-6, 4.3e-6, 5.6e-6])[:, None] - [1e-6, 2e-6, 3.1e-6, 4.3e-6, 5.6e-6]) ** 2
    )
    np.testing.assert_allclose(distances[:5, :5], expected, rtol=1e-9, atol=1e-20)
    assert np.isinf(distances[6, :6]).all()


def test_too_few_replies_for_so_many_malicious_clients_are_an_error_with_both_numbers():
    with pytest.raises(DataError, match="2 malicious clients needs at least 7 replies; the round has 6"):
        Krum(malicious_clients=2).aggregate(np.zeros(1), {}, replies_of([[0.0]] * 6))
    with pytest.raises(DataError, match="cannot select 6 of 6 replies of which 1 may"):
        MultiKrum(selected_clients=6).aggregate(np.zeros(1), {}, replies_of([[0.0]] * 6))


class DrawnReplies(Replies):
    """Replies that are drawn when they are read, so that only a strategy's own memory is measured."""

    def __init__(self, clients, size):
        self.clients, self.size = clients, size

    def __len__(self):
        return self.clients

    def __iter__(self):
        for index in range(self.clients):
            delta = np.random.default_rng(index).normal(size=self.size).astype(np.float32)
            yield Received(client=f"c{index:03}", delta=delta, examples=1)


@pytest.mark.parametrize("strategy", [Median(), TrimmedMean(), MultiKrum()])
def test_memory_does_not_grow_with_the_clients(strategy):
    size, peaks = 8_000, {}
    for clients in (150, 300):
        tracemalloc.start()
        try:
            strategy.aggregate(np.zeros(size, np.float32), {}, DrawnReplies(clients, size))
            peaks[clients] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peaks[300] < 1.25 * peaks[150]
    assert peaks[300] < 32 << 20


def test_ties_go_to_the_client_that_comes_first_by_name():
    replies = ListedReplies(reply_with([1.0], name) for name in "edcba")
    assert choose_clients(replies, 1, 1, 1) == {"a"}
