import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import DataError, SpecError
from skerry.learn.federated.data.partition import split_by_label, split_by_quantity, split_dirichlet, split_evenly

LABELS = np.repeat(np.arange(10), 60)


def assert_each_row_once(parts, rows):
    assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(rows))


@given(rows=st.integers(20, 300), clients=st.integers(1, 20), alpha=st.floats(0.001, 100), seed=st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_each_row_goes_to_exactly_one_client_and_the_seed_says_to_whom(rows, clients, alpha, seed):
    labels = np.random.default_rng(seed).integers(0, 5, rows)
    least = rows // clients // 2
    for split in (
        lambda: split_evenly(rows, clients, seed=seed),
        lambda: split_dirichlet(labels, clients, alpha=alpha, seed=seed, least_rows=least),
        lambda: split_by_quantity(rows, clients, alpha=alpha, seed=seed, least_rows=least),
    ):
        parts = split()
        assert len(parts) == clients
        assert_each_row_once(parts, rows)
        assert min(part.size for part in parts) >= min(least, rows // clients)
        for part, again in zip(parts, split(), strict=True):
            np.testing.assert_array_equal(part, again)


@given(clients=st.integers(1, 20), labels_per_client=st.integers(1, 10), seed=st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_each_client_has_exactly_as_many_labels_as_was_asked(clients, labels_per_client, seed):
    if clients * labels_per_client < 10:
        with pytest.raises(DataError, match="cannot hold 10 labels"):
            split_by_label(LABELS, clients, labels_per_client=labels_per_client, seed=seed)
        return
    parts = split_by_label(LABELS, clients, labels_per_client=labels_per_client, seed=seed)
    assert_each_row_once(parts, LABELS.size)
    assert {np.unique(LABELS[part]).size for part in parts} == {labels_per_client}


def test_even_parts_differ_by_one_row_and_hold_all_labels():
    parts = split_evenly(LABELS.size, 7, seed=1)
    assert {part.size for part in parts} == {85, 86}
    assert all(np.unique(LABELS[part]).size == 10 for part in parts)


def spread(parts):
    """Return how far the shares of labels of the clients are from even, 0 to 1."""
    shares = [np.bincount(LABELS[part], minlength=10) / part.size for part in parts]
    return np.mean([np.abs(share - 0.1).sum() / 2 for share in shares])


def test_a_smaller_alpha_makes_clients_less_alike():
    spreads = [spread(split_dirichlet(LABELS, 5, alpha=alpha, seed=3)) for alpha in (0.05, 1, 1000)]
    assert spreads[0] > 0.6 > spreads[1] > 0.1 > spreads[2]
    sizes = [np.std([part.size for part in split_by_quantity(600, 5, alpha=a, seed=3)]) for a in (0.1, 1000)]
    assert sizes[0] > 10 * sizes[1]


def test_other_seeds_deal_otherwise():
    one, other = (split_dirichlet(LABELS, 3, alpha=0.3, seed=seed) for seed in (0, 1))
    assert any(part.size != again.size or (part != again).any() for part, again in zip(one, other, strict=True))


def test_labels_can_be_words():
    assert_each_row_once(split_by_label(["cat", "dog", "cat", "dog"], 2, labels_per_client=1, seed=0), 4)


def test_what_cannot_be_dealt_is_refused():
    with pytest.raises(DataError, match="3 rows are too few for 4 clients with at least 1 each"):
        split_evenly(3, 4, seed=0)
    with pytest.raises(DataError, match="there are 10 labels; 11 per client"):
        split_by_label(LABELS, 3, labels_per_client=11, seed=0)
    with pytest.raises(DataError, match="has 1 rows for 2 clients"):
        split_by_label([0, 0, 1], 2, labels_per_client=2, seed=0)
    with pytest.raises(DataError, match="one per row"):
        split_dirichlet(np.zeros((3, 2)), 2, alpha=1, seed=0)
    with pytest.raises(SpecError, match=r"alpha must be a number, at least 0\.001; it is 0"):
        split_dirichlet(LABELS, 2, alpha=0, seed=0)
    with pytest.raises(SpecError, match="clients must be a whole number of at least 1; it is 0"):
        split_by_quantity(10, 0, alpha=1, seed=0)
