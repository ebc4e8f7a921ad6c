"""Whatever callers send: an answer, or an error that says what is wrong with it."""

from contextlib import suppress

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.errors import UserError
from skerry.payload import Items, encode
from skerry.serve.server import ModelServer, ServeSettings
from support.served_models import publish_digits, publish_sum

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "instances", "a", "b", "X", "dtype", "shape", "data"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
# The machine may be busy with other tests.
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HEADERS = st.sampled_from([{}, {"skerry-protocol": "v1"}, {"skerry-protocol": "v2"}])


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """A classifier with one input, and a model with two; the cache is on."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for name, publish in (("digits", publish_digits), ("sum", publish_sum)):
            patch.setenv("SKERRY_MODEL_FOLDER", str(publish(tmp_path_factory.mktemp(name))))
            server = ModelServer.serving(name, ServeSettings(model=name, cache_bytes=10_000))()
            server.load()
            found.append(server)
    return found


def answer(server, body, content_type, headers):
    """Return the answer of one call; of what its caller is told as an error nothing."""
    signature = type(server).__skerry_signature__()
    with suppress(UserError):
        (call,), _ = signature.decode_call(body, content_type, headers)
        (result,) = server(Items([call]))
        if isinstance(result, Exception):
            raise result
        return signature.encode_result(result)
    return None


@given(VALUES, HEADERS)
@settings(SLOW, max_examples=100)
def test_any_json_is_answered_or_refused(servers, value, headers):
    for server in servers:
        answer(server, orjson.dumps(value), "application/json", headers)


@given(st.binary(max_size=40), HEADERS, st.sampled_from(["application/json", "application/msgpack", "text/x", ""]))
@settings(SLOW)
def test_any_bytes_are_answered_or_refused(servers, body, headers, content_type):
    for server in servers:
        answer(server, body, content_type, headers)


@given(
    st.sampled_from(["bool", "int8", "uint64", "float16", "float32", "float64", "complex64"]),
    st.lists(st.integers(0, 3) | st.just(64), max_size=2) | st.just([2, 64, 1]),
)
@settings(SLOW)
def test_any_array_is_answered_or_refused(servers, dtype, shape):
    array = np.ones(shape, dtype=dtype)
    body = encode({"inputs": {"a": array, "b": array}}, "application/msgpack")
    for server, sent in zip(servers, (encode(array, "application/msgpack"), body), strict=True):
        found = answer(server, sent, "application/msgpack", {})
        fits = (
            len(shape) == 2
            and shape[0] > 0
            and shape[1] == (64 if sent is not body else 2)
            and dtype not in ("bool", "complex64")
        )
        assert (found is not None) == fits
