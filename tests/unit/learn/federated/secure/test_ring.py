"""Updates in the ring: no sum wraps, and rounding is small."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from skerry.errors import DataError, InvalidPayloadError
from skerry.learn.federated.secure.messages import read_terms
from skerry.learn.federated.secure.ring import decode, encode
from support.secure_ceremony import make_terms


@st.composite
def all_terms(draw):
    bits = draw(st.sampled_from([32, 64]))
    clients = draw(st.integers(3, 20))
    return make_terms(
        size=3,
        bits=bits,
        value_range=draw(st.floats(1e-3, 1e3)),
        max_examples=draw(st.integers(1, 100 if bits == 32 else 10**9)),
        max_clients=clients,
        threshold=clients,
    )


@given(terms=all_terms(), data=st.data())
def test_the_sum_in_the_ring_is_the_plain_sum(terms, data):
    numbers = st.floats(-terms.value_range, terms.value_range)
    total, plain, weight = np.zeros(4, terms.dtype), np.zeros(3), 0
    clients = tuple(str(number) for number in range(terms.max_clients))
    for _ in clients:
        update = np.array(data.draw(st.lists(numbers, min_size=3, max_size=3)))
        examples = data.draw(st.integers(1, terms.max_examples))
        total += encode(update, examples, terms)
        plain += update * examples
        weight += examples
    found = decode(total, clients, terms)
    assert found.examples == weight
    assert np.abs(found.mean - plain / weight).max() <= 1.01e-6 * terms.value_range


@given(terms=all_terms(), sign=st.sampled_from([-1.0, 1.0]))
def test_the_largest_numbers_of_all_clients_do_not_wrap(terms, sign):
    element = encode(np.full(3, sign * 1e30), terms.max_examples, terms)
    total = np.zeros(4, terms.dtype)
    for _ in range(terms.max_clients):
        total += element
    mean = decode(total, tuple("c" * terms.max_clients), terms).mean
    assert mean == pytest.approx(np.full(3, sign * terms.value_range), rel=2e-6)


def test_terms_that_round_too_coarsely_are_refused():
    with pytest.raises(ValidationError, match="leave too few of 32 bits"):
        make_terms(bits=32, max_examples=10_000)


@pytest.mark.parametrize("threshold", [0, 5, 11])
def test_a_threshold_of_half_the_clients_or_less_is_refused(threshold):
    with pytest.raises(ValidationError, match="from 6 \\(more than half\\) to 10"):
        make_terms(threshold=threshold)


def test_terms_come_back_as_they_were_sent():
    terms = make_terms()
    assert read_terms(terms.model_dump()) == terms


@pytest.mark.parametrize("change", [{"threshold": 5}, {"bits": 16}, {"value_range": float("inf")}, {"more": 1}])
def test_terms_that_cannot_be_kept_are_refused(change):
    with pytest.raises(InvalidPayloadError):
        read_terms(make_terms().model_dump() | change)


def test_two_clients_are_too_few_to_hide_in():
    with pytest.raises(ValidationError, match="greater than or equal to 3"):
        make_terms(max_clients=2, threshold=2)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="not finite"):
        encode(np.array([0.0, np.nan, 1.0]), 1, make_terms(size=3))


def test_more_examples_than_the_terms_allow_are_refused():
    with pytest.raises(DataError, match="10001 examples, and the terms allow from 0 to 10000"):
        encode(np.zeros(3), 10_001, make_terms(size=3))


def test_an_update_of_another_length_is_refused():
    with pytest.raises(DataError, match="does not fit a model of 3 parameters"):
        encode(np.zeros(4), 1, make_terms(size=3))


def test_with_one_example_at_most_all_clients_weigh_alike():
    assert encode(np.zeros(3), 250, make_terms(size=3, max_examples=1))[-1] == 1


@pytest.mark.parametrize("weight", [0, -1, 30_001])
def test_a_weight_that_no_clients_could_have_is_refused(weight):
    elements = np.array([0, 0, 0, weight], np.int64).view(np.uint64)
    with pytest.raises(DataError, match="the terms allow from 1 to 30000"):
        decode(elements, ("a", "b", "c"), make_terms(size=3))
