"""Whatever bytes come: an array of what was declared, or an error that says what is wrong."""

import math
import tracemalloc
from contextlib import suppress

import numpy as np
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skerry.errors import InvalidPayloadError, MalformedBodyError
from skerry.payload.datatype import BYTES, DATATYPES, NUMPY_NAME, datatype_of, to_bytes
from skerry.payload.inference import InferenceResponse, decode_request, encode_response, header_length

# The machine may be busy with other tests.
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


@st.composite
def tensors(draw):
    datatype = draw(st.sampled_from(DATATYPES))
    shape = draw(SHAPES)
    if datatype != BYTES:
        return draw(
            arrays.arrays(
                NUMPY_NAME[datatype],
                shape,
                elements={"allow_nan": False, "allow_infinity": False} if datatype.startswith("FP") else None,
            )
        )
    size = math.prod(shape)
    found = np.empty(size, dtype=object)
    found[:] = draw(st.lists(st.text(st.characters(codec="utf-8")).map(str.encode), min_size=size, max_size=size))
    return found.reshape(shape)


def request_of(inputs, binary):
    """Return a body, and the length of its JSON."""
    entries, parts = [], []
    for name, array in inputs.items():
        entry = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if name in binary:
            parts.append(to_bytes(array))
            entry["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            entry["data"] = [x.decode() if isinstance(x, bytes) else x for x in array.ravel().tolist()]
        entries.append(entry)
    head = orjson.dumps({"inputs": entries})
    return head + b"".join(parts), len(head)


@st.composite
def requests(draw):
    inputs = draw(st.dictionaries(NAMES, tensors(), min_size=1, max_size=3))
    binary = draw(st.sets(st.sampled_from(sorted(inputs))))
    return inputs, binary


def same(found, sent):
    assert list(found) == list(sent)
    for name, array in sent.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype
        assert found[name].tolist() == array.tolist()


@given(requests())
@settings(SLOW, max_examples=50)
def test_what_is_sent_is_what_is_read(sent):
    inputs, binary = sent
    same(decode_request(*request_of(inputs, binary)).inputs, inputs)


@given(requests())
@settings(SLOW, max_examples=50)
def test_a_response_says_what_a_request_would(sent):
    outputs, binary = sent
    response = InferenceResponse(model_name="m", model_version="1", outputs=outputs, binary=frozenset(binary))
    body, _, headers = encode_response(response)
    length = header_length(headers.get("inference-header-content-length"), body)
    head = orjson.loads(body[:length])
    again = orjson.dumps({"inputs": head["outputs"]})
    same(decode_request(again + body[length:], len(again)).inputs, outputs)


@given(requests(), st.data())
@settings(SLOW, max_examples=80)
def test_a_body_that_was_damaged_is_read_or_refused(sent, data):
    body, length = request_of(*sent)
    kind = data.draw(st.sampled_from(["cut", "flip", "insert", "length"]))
    at = data.draw(st.integers(0, len(body) - 1))
    if kind == "cut":
        body = body[:at]
    elif kind == "flip":
        body = body[:at] + bytes([data.draw(st.integers(0, 255))]) + body[at + 1 :]
    elif kind == "insert":
        body = body[:at] + data.draw(st.binary(min_size=1, max_size=5)) + body[at:]
    else:
        length = at
    try:
        request = decode_request(body, header_length(str(length), body))
    except (MalformedBodyError, InvalidPayloadError):
        return
    assert all(isinstance(array, np.ndarray) for array in request.inputs.values())


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), JSON_VALUES),
    st.dictionaries(st.sampled_from(["id", "outputs", "parameters"]), JSON_VALUES),
    JSON_VALUES,
)
@settings(SLOW, max_examples=80)
def test_members_of_any_kind_are_read_or_refused(tensor, rest, size):
    entry = {"name": "x", "datatype": "INT16", "shape": [1], "data": [1], **tensor}
    if isinstance(entry.get("parameters"), dict):
        entry["parameters"]["binary_data_size"] = size
        del entry["data"]
    body = orjson.dumps({"inputs": [entry], **rest})
    with suppress(MalformedBodyError, InvalidPayloadError):
        decode_request(body)


@given(st.lists(st.integers(0, 2**63 - 1), max_size=6), st.sampled_from(DATATYPES), st.booleans())
@settings(SLOW)
def test_no_declared_shape_takes_more_memory_than_its_body(shape, datatype, binary):
    entry = {"name": "x", "datatype": datatype, "shape": shape, "data": []}
    if binary:
        del entry["data"]
        entry["parameters"] = {"binary_data_size": 8}
    head = orjson.dumps({"inputs": [entry]})
    body = head + b"\0" * 8 if binary else head
    tracemalloc.start()
    try:
        decode_request(body, len(head))
    except (MalformedBodyError, InvalidPayloadError):
        pass
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 1_000_000
