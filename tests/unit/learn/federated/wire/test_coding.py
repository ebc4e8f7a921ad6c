import hashlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skerry.errors import DataError, SpecError
from skerry.learn.federated.wire.coding import pack, unpack
from skerry.learn.federated.wire.messages import Packed

SIZES = st.sampled_from([0, 1, 2, 63, 64, 65, 128, 255, 256, 257, 700])
LOSSY = ["float16", "int8", "top-k"]
PARAMETERS_OF_THE_PAPER = 317_066


def vectors(dtype="float32", **limits):
    width = int(dtype[-2:])
    elements = st.floats(width=width, allow_nan=False, allow_infinity=False, **limits)
    return SIZES.flatmap(lambda size: arrays(dtype, size, elements=elements))


def wire(coding, size, data):
    return Packed(coding=coding, size=size, data=data, digest=hashlib.sha256(data).hexdigest())


def fault_of(packed, dtype="float32"):
    with pytest.raises(DataError) as caught:
        unpack(packed, dtype)
    return caught.value.details["fault"]


@settings(max_examples=30, deadline=None)
@given(vectors())
def test_float32_comes_back_to_the_last_bit(vector):
    packed, lost = pack(vector, "float32")
    assert lost is None
    assert unpack(packed).tobytes() == vector.tobytes()


@settings(max_examples=30, deadline=None)
@given(vectors("float64"))
def test_float64_comes_back_to_the_last_bit(vector):
    packed, lost = pack(vector, "float64")
    assert lost is None
    assert unpack(packed, "float64").tobytes() == vector.tobytes()


@settings(max_examples=30, deadline=None)
@given(vectors())
def test_int8_is_wrong_by_at_most_half_a_step_of_its_block(vector):
    packed, _ = pack(vector, "int8")
    decoded = unpack(packed).astype(np.float64)
    for begin in range(0, vector.size, 64):
        block = vector[begin : begin + 64].astype(np.float64)
        step = max(np.abs(block).max() / 127, 2.0**-149 if block.any() else 0.0)
        assert np.abs(decoded[begin : begin + 64] - block).max() <= step * (0.5 + 1e-4)


@settings(max_examples=30, deadline=None)
@given(vectors(), st.floats(0.001, 1))
def test_top_k_keeps_the_largest_numbers_and_nothing_else(vector, keep_ratio):
    packed, _ = pack(vector, "top-k", keep_ratio=keep_ratio)
    decoded = unpack(packed)
    kept = decoded != 0
    assert (decoded[kept] == vector[kept]).all()
    left = np.abs(vector[~kept])
    if kept.any() and left.size:
        assert left.max() <= np.abs(vector[kept]).min()
    assert kept.sum() <= int(np.ceil(keep_ratio * vector.size))


@pytest.mark.parametrize("coding", LOSSY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_decoded_and_what_is_returned_are_exactly_what_was_given(coding, dtype, data):
    largest = 60_000 if coding == "float16" else 2.0**127
    vector = data.draw(vectors(dtype, min_value=-largest, max_value=largest))
    packed, lost = pack(vector, coding, keep_ratio=0.3)
    assert lost.dtype == vector.dtype
    assert (unpack(packed, dtype) + lost == vector).all()


@pytest.mark.parametrize("coding", LOSSY)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_with_error_feedback_everything_arrives_over_the_rounds(coding, data):
    size, rounds = data.draw(SIZES), data.draw(st.integers(1, 8))
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    residual, arrived, given_in = None, np.zeros(size, np.float64), np.zeros(size, np.float64)
    for _ in range(rounds):
        update = random.integers(-1000, 1000, size).astype(np.float32)
        packed, residual = pack(update, coding, residual=residual)
        arrived += unpack(packed)
        given_in += update
    # Sums are rounded to float32 once a round; with top-k all numbers are whole, so nothing is.
    slack = 0.0 if coding == "top-k" else 1e-2
    assert np.abs(arrived + residual - given_in).max(initial=0.0) <= slack


@pytest.mark.parametrize("coding", ["float32", "float64", *LOSSY])
@pytest.mark.parametrize("size", [0, 1, 64, 300])
def test_zeros_come_back_as_zeros(coding, size):
    packed, lost = pack(np.zeros(size, np.float32), coding)
    assert not unpack(packed).any()
    assert unpack(packed).shape == (size,)
    assert lost is None or not lost.any()


@pytest.mark.parametrize("number", [np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal, 1e-5, 1.0])
def test_int8_of_a_constant_vector_is_the_vector(number):
    vector = np.full(130, number, np.float32)
    packed, _ = pack(vector, "int8")
    np.testing.assert_allclose(unpack(packed), vector, rtol=2e-5)


@pytest.mark.parametrize(
    ("coding", "most"), [("float32", 1.0), ("float16", 0.5), ("int8", 0.27), ("top-k", 0.065)], ids=str
)
def test_a_model_of_the_paper_takes_the_documented_share_of_its_float32_bytes(coding, most):
    vector = np.random.default_rng(0).normal(0, 1e-3, PARAMETERS_OF_THE_PAPER).astype(np.float32)
    packed, _ = pack(vector, coding)
    assert len(packed.data) <= most * vector.nbytes


def test_a_decoded_vector_belongs_to_its_reader():
    packed, _ = pack(np.ones(3, np.float32), "float32")
    vector = unpack(packed)
    vector += 1
    assert unpack(packed).tolist() == [1, 1, 1]


def test_packing_changes_neither_the_vector_nor_the_residual():
    vector, residual = np.arange(100, dtype=np.float32), np.full(100, 0.3, np.float32)
    for coding in LOSSY:
        pack(vector, coding, residual=residual)
        pack(vector, coding)
    assert vector.tolist() == list(range(100))
    assert (residual == np.float32(0.3)).all()


def test_top_k_keeps_the_first_of_equal_numbers():
    packed, _ = pack(np.array([1, -1, 1, 1], np.float32), "top-k", keep_ratio=0.5)
    assert unpack(packed).tolist() == [1, -1, 0, 0]


@pytest.mark.parametrize("coding", ["float32", "float64", *LOSSY])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_not_packed(coding, number):
    with pytest.raises(DataError, match=r"number 1 of 2 is (NaN|infinite)"):
        pack(np.array([0, number], np.float32), coding)


@pytest.mark.parametrize(
    ("coding", "number"), [("float16", 65_520.0), ("float32", 1e39), ("int8", 1e39), ("top-k", 1e39)]
)
def test_a_number_that_the_coding_cannot_hold_is_refused_not_cut(coding, number):
    with pytest.raises(DataError, match="cannot hold"):
        pack(np.array([number]), coding)


@pytest.mark.parametrize("vector", [np.zeros((2, 2), np.float32), np.zeros(2, np.int32), np.zeros(2, np.float16)])
def test_what_is_no_vector_is_refused(vector):
    with pytest.raises(DataError, match="one dimension"):
        pack(vector, "float32")


@pytest.mark.parametrize("residual", [np.zeros(1, np.float32), np.zeros(2, np.float64), np.zeros((2, 1), np.float32)])
def test_a_residual_of_another_model_is_not_broadcast(residual):
    with pytest.raises(DataError, match="of another model"):
        pack(np.zeros(2, np.float32), "int8", residual=residual)


def test_unknown_codings_and_shares_are_refused():
    with pytest.raises(SpecError, match="float32, float64, float16, int8, top-k"):
        pack(np.zeros(2, np.float32), "zip")
    with pytest.raises(SpecError, match="keep_ratio"):
        pack(np.zeros(2, np.float32), "top-k", keep_ratio=0)


@pytest.mark.parametrize("coding", ["float32", "float64", *LOSSY])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_bytes_of_any_kind_are_read_or_refused_but_never_crash(coding, data):
    size = data.draw(st.integers(0, 600) | st.integers(0, 2**70))
    packed = wire(coding, size, data.draw(st.binary(max_size=700)))
    with suppress(DataError):
        vector = unpack(packed)
        assert vector.shape == (size,)
        assert np.isfinite(vector).all()


@pytest.mark.parametrize("coding", ["float32", "float64", *LOSSY])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_vector_that_was_altered_on_the_way_is_refused(coding, data):
    packed, _ = pack(np.linspace(-1, 1, 300, dtype=np.float32), coding)
    cut = data.draw(st.integers(0, len(packed.data) - 1))
    bit = data.draw(st.integers(0, 7))
    flipped = bytearray(packed.data)
    flipped[cut] ^= 1 << bit
    for altered in (bytes(flipped), packed.data[:cut], packed.data + b"\0"):
        assert fault_of(packed.model_copy(update={"data": altered})) == "damaged"
    assert fault_of(wire(coding, 300, packed.data[:-1])) == "wrong_size"
    assert fault_of(wire(coding, 300, packed.data + b"\0")) == "wrong_size"


@pytest.mark.parametrize(
    ("coding", "size", "data", "fault"),
    [
        ("float32", 1, np.array([np.nan], "<f4"), "not_finite"),
        ("float16", 2, np.array([0, np.inf], "<f2"), "not_finite"),
        ("float64", 1, np.array([1e300], "<f8"), "not_finite"),
        ("int8", 1, np.array([np.nan], "<f4").tobytes() + b"\1", "not_finite"),
        ("int8", 1, np.array([np.inf], "<f4").tobytes() + b"\0", "not_finite"),
        ("int8", 1, np.array([3e38], "<f4").tobytes() + b"\x7f", "not_finite"),
        ("int8", 1, np.array([-1], "<f4").tobytes() + b"\1", "damaged"),
        ("top-k", 3, b"\1\0" + b"\3" + np.array([1], "<f4").tobytes(), "damaged"),
        ("top-k", 9, b"\2\0" + b"\4\4" + np.array([1, 1], "<f4").tobytes(), "damaged"),
        ("top-k", 9, b"\2\0" + b"\5\4" + np.array([1, 1], "<f4").tobytes(), "damaged"),
        ("top-k", 9, b"\3\0" + b"\4\5" + np.array([1, 1], "<f4").tobytes(), "damaged"),
        ("top-k", 9, b"\1\0" + b"\4" + np.array([np.nan], "<f4").tobytes(), "not_finite"),
        ("top-k", 2**60, b"\0\0", "wrong_size"),
    ],
)
def test_bytes_that_make_no_sense_are_refused_by_name(coding, size, data, fault):
    assert fault_of(wire(coding, size, bytes(data))) == fault
