import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.learn.federated.coordinator.downlink import send_first, send_next, send_whole
from skerry.learn.federated.wire.coding import unpack
from skerry.learn.federated.wire.parameters import digest_of


def test_in_float32_models_are_sent_whole_to_who_does_not_hold_them():
    first = send_whole(np.arange(4, dtype=np.float32))
    following = send_next(np.ones(4, np.float32), first, "float32")
    assert following.view.tolist() == [1, 1, 1, 1]
    assert following.parts_for(None) == (following.whole, None)
    assert following.parts_for(first.digest) == (following.whole, None)
    assert following.parts_for(following.digest) == (None, None)


@pytest.mark.parametrize("coding", ["float16", "int8", "top-k"])
@given(seed=st.integers(0, 2**32 - 1))
def test_clients_with_the_difference_and_clients_with_the_whole_model_hold_the_same_bits(coding, seed):
    random = np.random.default_rng(seed)
    model = random.normal(size=100).astype(np.float32)
    outgoing = send_first(model, coding)
    held = unpack(outgoing.whole)
    assert digest_of(held) == outgoing.digest
    for _ in range(5):
        model = model + random.normal(0, 0.01, 100).astype(np.float32)
        following = send_next(model, outgoing, coding)
        difference, base = following.parts_for(outgoing.digest)
        assert base == outgoing.digest
        held = held + unpack(difference)
        assert digest_of(held) == following.digest
        assert digest_of(unpack(following.parts_for("other")[0])) == following.digest
        outgoing = following
    # What the codings have lost does not add up: the next difference is made to what clients hold.
    assert np.abs(held - model).max() < 0.2


def test_a_float64_model_is_sent_without_loss():
    model = np.random.default_rng(1).normal(size=10)
    assert unpack(send_whole(model).whole, "float64").tobytes() == model.tobytes()


def test_the_first_model_is_as_short_as_the_later_ones():
    model = np.random.default_rng(1).normal(size=6400).astype(np.float32)
    assert len(send_first(model, "int8").whole.data) < 0.27 * model.nbytes
    assert send_first(model, "top-k").view.tobytes() == model.tobytes()
