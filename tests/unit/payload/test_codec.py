import contextlib
import dataclasses
import datetime
import enum
import json
import uuid

import msgpack
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import InvalidPayloadError, MalformedBodyError, UnsupportedMediaTypeError
from skerry.payload import JSON, MSGPACK, decode, encode

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXT


def nested(scalars):
    return st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


@dataclasses.dataclass
class Point:
    x: float
    where: object = None


class Model(pydantic.BaseModel):
    x: float


class Colour(enum.Enum):
    RED = "red"


@given(nested(SCALARS))
def test_json_returns_what_was_written(value):
    assert decode(encode(value), JSON) == value


@given(nested(SCALARS | st.binary() | st.floats(allow_nan=False)))
def test_msgpack_returns_what_was_written(value):
    assert decode(encode(value, MSGPACK), MSGPACK) == value


@given(st.binary())
@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_any_bytes_are_either_read_or_malformed(content_type, body):
    with contextlib.suppress(MalformedBodyError):
        decode(body, content_type)


@given(st.sampled_from([0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xC7, 0xC8]), st.binary(max_size=40))
def test_any_msgpack_extension_is_either_read_or_malformed(code, rest):
    with contextlib.suppress(MalformedBodyError):
        decode(bytes([code]) + rest, MSGPACK)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5_000, b"NaN", b"1e999", b"\xff", b'"\xed\xa0\x80"', b"1 2"],
)
def test_broken_json_is_malformed(body):
    with pytest.raises(MalformedBodyError, match="not JSON"):
        decode(body, JSON)


def test_broken_json_names_the_position():
    with pytest.raises(MalformedBodyError, match="line 2 column"):
        decode(b'{"a": 1,\n oops}', JSON)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x91" * 100_000, id="deep lists"),
        pytest.param(b"\x81\xa1a" * 50_000, id="deep maps"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="list longer than the body"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="map longer than the body"),
        pytest.param(b"\xc6\xff\xff\xff\xff", id="bytes longer than the body"),
        pytest.param(b"\xc9\xff\xff\xff\xff", id="extension longer than the body"),
        pytest.param(b"\x01\x01", id="two values"),
        pytest.param(b"\xa1\xff", id="text that is not UTF-8"),
        pytest.param(b"\x81\x90\x01", id="a list as a key"),
        pytest.param(b"\xc1", id="the unused code"),
    ],
)
def test_broken_msgpack_is_malformed(body):
    with pytest.raises(MalformedBodyError, match="not MessagePack"):
        decode(body, MSGPACK)


def test_an_unknown_extension_is_refused_by_its_number():
    with pytest.raises(MalformedBodyError, match="type 5"):
        decode(msgpack.packb([msgpack.ExtType(5, b"abc")]), MSGPACK)


@pytest.mark.parametrize("moment", [msgpack.Timestamp(1), msgpack.Timestamp(1, 1), msgpack.Timestamp(2**35, 1)])
@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: [1, [t]], lambda t: {"a": {"b": t}}, lambda t: {t: 1}])
def test_a_timestamp_is_refused_wherever_it_is(moment, wrap):
    with pytest.raises(MalformedBodyError, match="timestamps"):
        decode(msgpack.packb(wrap(moment)), MSGPACK)


def test_a_timestamp_in_the_longest_header_is_refused():
    with pytest.raises(MalformedBodyError, match="timestamps"):
        decode(b"\xc9\0\0\0\x04\xff\0\0\0\1", MSGPACK)


def test_bytes_that_only_look_like_a_timestamp_are_read():
    assert decode(encode(b"\xd6\xff\0\0\0\0", MSGPACK), MSGPACK) == b"\xd6\xff\0\0\0\0"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), np.float32("nan"), np.float64("inf")])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: [None, [x]],
        lambda x: {"a": (x,)},
        lambda x: Point(1.0, x),
        lambda x: Model.model_construct(x=x),
        lambda x: {x},
    ],
)
def test_json_refuses_a_number_that_it_cannot_say(bad, wrap):
    with pytest.raises(InvalidPayloadError, match="JSON has no number for"):
        encode(wrap(bad))


def test_json_still_writes_null_and_the_word_null():
    assert json.loads(encode({"a": None, "b": "null", "c": [1.5]})) == {"a": None, "b": "null", "c": [1.5]}


def test_msgpack_carries_not_a_number():
    assert np.isnan(decode(encode(float("nan"), MSGPACK), MSGPACK))


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_values_beyond_the_plain_ones_are_written(content_type):
    value = {
        "point": Point(1.0, Model(x=2)),
        "time": datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC),
        "id": uuid.UUID(int=7),
        "colour": Colour.RED,
        "set": {3},
        "number": np.int64(4),
        "flag": np.bool_(True),
        "tuple": (1, 2),
    }
    read = decode(encode(value, content_type), content_type)
    assert read["point"] == {"x": 1.0, "where": {"x": 2.0}}
    assert datetime.datetime.fromisoformat(read["time"]) == value["time"]
    assert read["id"] == str(value["id"])
    assert (read["colour"], read["set"], read["number"], read["flag"]) == ("red", [3], 4, True)
    assert read["tuple"] == [1, 2]


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
@pytest.mark.parametrize(
    "value", [object(), [object()], 2**70, "\ud800", Point], ids=["object", "list", "integer", "surrogate", "class"]
)
def test_a_value_without_a_form_is_refused_by_its_type(content_type, value):
    with pytest.raises(InvalidPayloadError, match=f"type {type(value).__name__} cannot be written as"):
        encode(value, content_type)


@pytest.mark.parametrize("content_type", [JSON, MSGPACK])
def test_a_value_that_holds_itself_is_refused(content_type):
    value = []
    value.append(value)
    with pytest.raises(InvalidPayloadError, match="cannot be written"):
        encode(value, content_type)


def test_bytes_in_json_are_refused_with_what_to_do():
    with pytest.raises(InvalidPayloadError, match="MessagePack"):
        encode({"a": b"x"})


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json; charset=utf-8", "Application/JSON", "text/json", "application/problem+json"],
)
def test_the_synonyms_of_json_are_read(content_type):
    assert decode(b"[1]", content_type) == [1]


def test_the_synonyms_of_msgpack_are_read():
    assert decode(b"\x91\x01", "application/x-msgpack") == [1]


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "json"])
def test_another_content_type_is_refused_by_name(content_type):
    with pytest.raises(UnsupportedMediaTypeError, match=content_type):
        decode(b"1", content_type)
    with pytest.raises(UnsupportedMediaTypeError, match=content_type):
        encode(1, content_type)
