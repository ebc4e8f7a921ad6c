import contextlib
import copy
import datetime
import json
import pickle
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import InvalidPayloadError, MalformedBodyError
from skerry.payload import JSON, MSGPACK, Event

UTC = datetime.UTC
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
RESERVED = {"id", "source", "specversion", "type", "data", "datacontenttype", "dataschema", "subject", "time"}
NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20).filter(lambda n: n not in RESERVED)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.datetimes(timezones=st.just(UTC), min_value=datetime.datetime(1000, 1, 1))
EVENTS = st.builds(
    Event,
    id=TEXT,
    source=TEXT,
    type=TEXT,
    data=st.none() | VALUES | st.binary(min_size=1),
    time=st.none() | MOMENTS,
    subject=st.none() | TEXT,
    dataschema=st.none() | TEXT,
    extensions=st.dictionaries(NAMES, TEXT, max_size=3),
)

REQUIRED = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
DOCUMENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def structured(**members):
    document = {k: v for k, v in {**DOCUMENT, **members}.items() if v is not ...}
    return {"content-type": "application/cloudevents+json"}, json.dumps(document).encode()


@given(EVENTS)
def test_an_event_comes_back_from_binary_mode(event):
    assert Event.from_http(*event.to_binary()) == event


@given(EVENTS)
def test_an_event_comes_back_from_structured_mode(event):
    assert Event.from_http(*event.to_structured()) == event


@given(EVENTS)
def test_headers_in_binary_mode_are_printable_ascii_without_space_and_quotes(event):
    headers, _ = event.to_binary()
    for name, value in headers.items():
        assert name == name.lower()
        if name.startswith("ce-"):
            assert all(0x21 <= ord(c) <= 0x7E and c != '"' for c in value)


@given(st.dictionaries(st.sampled_from([*REQUIRED, "ce-time", "content-type", "ce-x"]), st.text()), st.binary())
def test_any_headers_and_body_are_either_an_event_or_malformed(headers, body):
    with contextlib.suppress(MalformedBodyError):
        Event.from_http({**REQUIRED, **headers}, body)


@given(st.binary())
def test_any_structured_body_is_either_an_event_or_malformed(body):
    with pytest.raises(MalformedBodyError):
        Event.from_http({"content-type": "application/cloudevents+json"}, body)


def test_percent_encoding_is_that_of_the_http_binding():
    headers, _ = Event(type="t", subject='a "b" 100% €😀~').to_binary()
    assert headers["ce-subject"] == "a%20%22b%22%20100%25%20%E2%82%AC%F0%9F%98%80~"


@pytest.mark.parametrize(
    ("sent", "read"),
    [("Euro%20%E2%82%AC", "Euro €"), ("%e2%82%ac", "€"), ('"a \\"b\\""', 'a "b"'), ("a%2525", "a%25"), ("50%", "50%")],
)
def test_headers_are_decoded_once(sent, read):
    assert Event.from_http({**REQUIRED, "ce-subject": sent}, b"").subject == read


def test_a_header_that_is_not_utf8_is_malformed():
    with pytest.raises(MalformedBodyError, match="ce-subject"):
        Event.from_http({**REQUIRED, "ce-subject": "%ff"}, b"")


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
def test_a_missing_attribute_is_named(name):
    headers = {k: v for k, v in REQUIRED.items() if k != f"ce-{name}"}
    with pytest.raises(MalformedBodyError, match=name) as caught:
        Event.from_http(headers, b"")
    assert caught.value.details["attribute"] == name
    with pytest.raises(MalformedBodyError, match=name):
        Event.from_http(*structured(**{name: ...}))


@pytest.mark.parametrize("name", ["id", "source", "type"])
@pytest.mark.parametrize("value", ["", 5, None])
def test_a_required_attribute_must_be_text(name, value):
    with pytest.raises(MalformedBodyError, match=name):
        Event.from_http(*structured(**{name: value}))


@pytest.mark.parametrize("version", ["0.3", "1.0.2", "", "2.0"])
def test_only_version_1_0_is_read(version):
    with pytest.raises(MalformedBodyError, match="specversion"):
        Event.from_http({**REQUIRED, "ce-specversion": version}, b"")


@pytest.mark.parametrize("time", ["yesterday", "2026-01-31", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z", 5])
def test_a_time_that_is_not_rfc3339_is_malformed(time):
    with pytest.raises(MalformedBodyError, match="time"):
        Event.from_http(*structured(time=time))


def test_a_time_is_read_and_written_as_rfc3339():
    event = Event.from_http({**REQUIRED, "ce-time": "2026-01-31t12:00:00.25z"}, b"")
    assert event.time == datetime.datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
    assert event.to_binary()[0]["ce-time"] == "2026-01-31T12:00:00.250000Z"


@pytest.mark.parametrize("name", ["Upper", "with-dash", "with_underscore", "data", "time", "", "a" * 65])
def test_extension_names_are_lower_case_letters_and_digits(name):
    with pytest.raises(MalformedBodyError, match="extension"):
        Event(type="t", extensions={name: "x"})


@pytest.mark.parametrize("value", [1.5, 2**31, None, [1], "line\nbreak"])
def test_extension_values_are_those_of_the_specification(value):
    with pytest.raises(MalformedBodyError, match="partitionkey"):
        Event(type="t", extensions={"partitionkey": value})


def test_extensions_keep_their_types_in_structured_mode_and_become_text_in_binary_mode():
    event = Event(type="t", extensions={"hops": 3, "sampled": True})
    assert dict(Event.from_http(*event.to_structured()).extensions) == {"hops": 3, "sampled": True}
    assert dict(Event.from_http(*event.to_binary()).extensions) == {"hops": "3", "sampled": "true"}


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/json; charset=utf-8", b"[1]", [1]),
        (MSGPACK, b"\x91\x01", [1]),
        ("text/plain", "é".encode(), "é"),
        ("image/png", b"\x89PNG", b"\x89PNG"),
        ("application/json", b"", None),
    ],
)
def test_data_in_binary_mode_is_read_by_its_content_type(content_type, body, data):
    assert Event.from_http({**REQUIRED, "content-type": content_type}, body).data == data


def test_data_in_binary_mode_without_a_content_type_is_json():
    assert Event.from_http(REQUIRED, b"[1]").data == [1]


@pytest.mark.parametrize(
    ("members", "data"),
    [
        ({"data": {"a": 1}}, {"a": 1}),
        ({"data": "x"}, "x"),
        ({"data": "<a/>", "datacontenttype": "text/xml"}, "<a/>"),
        ({"data_base64": "AAE="}, b"\0\1"),
        ({"data_base64": "kQE=", "datacontenttype": MSGPACK}, [1]),
        ({"data": None}, None),
        ({"data": 5, "subject": None}, 5),
    ],
    ids=str,
)
def test_data_in_structured_mode_is_read(members, data):
    assert Event.from_http(*structured(**members)).data == data


@pytest.mark.parametrize(
    "members", [{"data": 1, "data_base64": "AA=="}, {"data_base64": "#"}, {"data_base64": 5}, {"datacontenttype": 5}]
)
def test_broken_data_in_structured_mode_is_malformed(members):
    with pytest.raises(MalformedBodyError, match="data"):
        Event.from_http(*structured(**members))


@pytest.mark.parametrize("content_type", ["application/cloudevents-batch+json", "application/cloudevents+xml"])
def test_batches_and_other_formats_are_malformed(content_type):
    assert Event.is_event({"content-type": content_type})
    with pytest.raises(MalformedBodyError, match="not read"):
        Event.from_http({"content-type": content_type}, b"[]")


def test_arrays_travel_as_data():
    event = Event(type="t", data=np.arange(3), datacontenttype=MSGPACK)
    for mode in (event.to_binary(), event.to_structured()):
        np.testing.assert_array_equal(Event.from_http(*mode).data, np.arange(3))


def test_data_without_a_form_is_refused():
    with pytest.raises(InvalidPayloadError, match="image/png"):
        Event(type="t", data={"a": 1}, datacontenttype="image/png").to_binary()


@pytest.mark.parametrize(
    "headers", [{"ce-specversion": "1.0"}, {"content-type": "application/cloudevents+json; charset=utf-8"}]
)
def test_events_are_recognised(headers):
    assert Event.is_event(headers)


@pytest.mark.parametrize("headers", [{}, {"content-type": JSON}, {"ce-id": "1"}])
def test_other_requests_are_not_events(headers):
    assert not Event.is_event(headers)


def test_an_event_gets_an_id_of_its_own_and_a_content_type():
    first, second = Event(type="t", data=1), Event(type="t", data=b"x")
    assert first.id != second.id
    assert (first.datacontenttype, second.datacontenttype) == (JSON, "application/octet-stream")


@pytest.mark.parametrize(
    "attributes",
    [{"time": datetime.datetime(2026, 1, 1)}, {"time": "now"}, {"subject": ""}, {"id": "a\nb"}, {"type": "\ud800"}],
    ids=["naive time", "text as time", "empty subject", "line break", "half a character"],
)
def test_an_event_that_cannot_be_sent_cannot_be_made(attributes):
    with pytest.raises(MalformedBodyError, match=next(iter(attributes))):
        Event(**{"type": "t", **attributes})


def test_an_event_can_be_pickled_and_copied_but_not_changed():
    event = Event(type="t", data={"a": 1}, extensions={"a": "b"})
    assert pickle.loads(pickle.dumps(event)) == event
    assert copy.deepcopy(event) == event
    with pytest.raises(TypeError):
        event.extensions["a"] = "c"
