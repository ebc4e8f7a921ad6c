import base64
import contextlib
import json
import subprocess
import sys

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skerry.errors import InvalidPayloadError, MalformedBodyError
from skerry.payload import JSON, MSGPACK, decode, encode
from skerry.payload.array import DTYPES, from_json_form, to_json_form

ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def packed(dtype, shape, data):
    return msgpack.packb(msgpack.ExtType(1, msgpack.packb([dtype, shape, data])))


@given(ARRAYS)
def test_an_array_comes_back_from_msgpack(array):
    assert same(decode(encode({"a": array}, MSGPACK), MSGPACK)["a"], array)


@given(ARRAYS)
def test_an_array_comes_back_from_its_json_form(array):
    assert same(from_json_form(json.loads(encode(array))), array)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::-2],
        np.array(5.0),
    ],
    ids=["big-endian", "column order", "strided", "no dimension"],
)
def test_any_memory_layout_is_sent(array):
    read = decode(encode(array, MSGPACK), MSGPACK)
    np.testing.assert_array_equal(read, array)
    assert read.shape == array.shape
    assert read.dtype.isnative


def test_the_json_form_is_base64_of_little_endian_c_order():
    form = json.loads(encode(np.array([[1, 2]], dtype=">u2")))
    assert form == {"dtype": "uint16", "shape": [1, 2], "data": base64.b64encode(b"\1\0\2\0").decode()}


def test_a_received_array_can_be_written_to():
    read = decode(encode(np.zeros(3), MSGPACK), MSGPACK)
    read[0] = 1
    assert read[0] == 1


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.array(["2026"], dtype="M8[D]")])
@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_arrays_of_other_things_than_numbers_are_not_sent(array, content_type):
    with pytest.raises(InvalidPayloadError, match="array of"):
        encode(array, content_type)


@pytest.mark.parametrize(
    ("dtype", "shape", "data"),
    [
        ("object", [1], b"\0" * 8),
        ("O", [1], b"\0" * 8),
        ("i4,f8", [1], b"\0" * 12),
        (7, [1], b"\0"),
        ("int8", [2], b"\0"),
        ("int8", [-1], b""),
        ("int8", [True], b"\0"),
        ("int8", [1.0], b"\0"),
        ("int8", 1, b"\0"),
        ("int8", [1] * 33, b"\0"),
        ("int8", [2**64 - 1] * 30, b"\0"),
        ("int8", [0, 2**63], b""),
        ("int8", [1], "a"),
        ("int8", [1], None),
    ],
    ids=str,
)
def test_an_array_that_does_not_fit_together_is_malformed(dtype, shape, data):
    with pytest.raises(MalformedBodyError, match="array"):
        decode(packed(dtype, shape, data), MSGPACK)


@pytest.mark.parametrize("inner", [b"", b"\x01", b"\x91\x01", b"\xc1", b"\x93\xa1"])
def test_an_array_extension_that_is_not_a_triple_is_malformed(inner):
    with pytest.raises(MalformedBodyError, match="array"):
        decode(msgpack.packb(msgpack.ExtType(1, inner)), MSGPACK)


@given(st.binary(max_size=60))
def test_any_array_extension_is_either_read_or_malformed(inner):
    with contextlib.suppress(MalformedBodyError):
        decode(msgpack.packb(msgpack.ExtType(1, inner)), MSGPACK)


@pytest.mark.parametrize("data", ["###", "AA", "é", 5, None])
def test_a_json_form_without_base64_is_malformed(data):
    form = {**to_json_form(np.zeros(1, "int8")), "data": data}
    with pytest.raises(MalformedBodyError, match="array"):
        from_json_form(form)


def test_numpy_is_not_imported_without_need():
    program = (
        "import sys; from skerry.payload import *; encode({'a': [1, {1.5}]}); decode(encode([1], MSGPACK), MSGPACK);"
        "s = Signature.of(lambda x: x); s.encode_json(s.decode_json(b'[1]')[0][0]); print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
