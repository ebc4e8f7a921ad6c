import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import MalformedBodyError, UnsupportedMediaTypeError
from skerry.runtime.frames import Codec
from skerry.runtime.reading import MAX_GROUP_BYTES, MAX_META_BYTES, read_head


def read(*headers):
    return read_head([(name.encode(), value.encode("latin-1")) for name, value in headers])


@pytest.mark.parametrize("kind", ["", "application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_json_request_that_says_nothing_else_is_plain(kind):
    reading = read(("host", "x"), ("content-type", kind), ("accept", "*/*"), ("user-agent", "x"))
    assert reading.is_plain
    assert (reading.codec, reading.meta, reading.urgency, reading.timeout_s) == (Codec.JSON, {}, 3, None)


@pytest.mark.parametrize(
    ("kind", "codec", "meta"),
    [
        ("application/msgpack", Codec.MSGPACK, {}),
        ("text/plain; charset=latin-1", Codec.OTHER, {"content_type": "text/plain; charset=latin-1"}),
        ("application/cloudevents+json", Codec.OTHER, {"content_type": "application/cloudevents+json"}),
    ],
)
def test_the_format_of_the_body_is_read(kind, codec, meta):
    reading = read(("content-type", kind))
    assert (reading.codec, reading.meta, reading.is_plain) == (codec, meta, False)


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_a_body_as_it_is_may_say_so(coding):
    assert read(("content-encoding", coding)).is_plain


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity, gzip"])
def test_a_compressed_body_is_refused_by_its_coding(coding):
    with pytest.raises(UnsupportedMediaTypeError, match=f"content-encoding '{coding}': functions read no compressed"):
        read(("content-type", "application/json"), ("content-encoding", coding))


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/event-stream", "text/event-stream"),
        ("text/html, application/msgpack;q=0.9", "application/msgpack"),
        ("application/msgpack, application/json", "application/msgpack"),
        ("application/json,application/msgpack;q=0.9", "application/json, application/msgpack"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson, text/event-stream;q=0.5", "application/x-ndjson"),
        ("application/msgpack;q=0.5, Text/Event-Stream; charset=utf-8; q=0.9", "text/event-stream"),
        ("application/msgpack, text/event-stream", "application/msgpack"),
        ("application/json, text/event-stream", "text/event-stream"),
        ("text/event-stream;q=0, */*", None),
        ("text/event-stream;q=many", "text/event-stream"),
        ("application/json", None),
        ("*/*", None),
    ],
)
def test_the_format_of_the_answer_is_read(accept, wanted):
    assert read(("accept", accept)).meta.get("accept") == wanted


@pytest.mark.parametrize(("text", "seconds"), [("250", 0.25), ("0.5", 0.0005), ("86400000", 86400.0), ("1e3", 1.0)])
def test_the_deadline_is_read(text, seconds):
    assert read(("skerry-timeout-ms", text)).timeout_s == seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("skerry-timeout-ms", v) for v in ("0", "-1", "nan", "inf", "soon", "", "86400001", "1e999")),
        *(("skerry-weight", v) for v in ("0", "-1", "nan", "inf", "heavy", "")),
        ("skerry-group", "x" * (MAX_GROUP_BYTES + 1)),
    ],
)
def test_wrong_values_are_refused_by_the_header_s_name(name, value):
    with pytest.raises(MalformedBodyError, match=name):
        read((name, value))


@pytest.mark.parametrize(
    ("value", "urgency"),
    [
        ("u=0", 0),
        ("u=7", 7),
        ("i, u=5", 5),
        ("u=1, i", 1),
        (" u=2 ", 2),
        ("u=4;x=y", 4),
        ("u=8", 3),
        ("u=-1", 3),
        ("u=1x", 3),
        ("u=", 3),
        ("urgent", 3),
        ("xu=1", 3),
        ("u=99999999999999999999999", 3),
        ("", 3),
    ],
)
def test_the_priority_is_read_as_rfc_9218_says(value, urgency):
    assert read(("priority", value)).urgency == urgency


def test_weight_group_and_trace_are_read():
    reading = read(
        ("skerry-weight", "12.5"),
        ("skerry-group", "a b"),
        ("traceparent", "00-1-2-01"),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    )
    assert (reading.weight, reading.group, reading.traceparent) == (12.5, "a b", "00-1-2-01")
    assert reading.meta == {"traceparent": "00-1-2-01", "tracestate": "a=1,b=2"}
    assert not reading.is_plain


def test_a_caller_that_does_not_wait_says_so():
    assert read(("prefer", "respond-async, wait=10")).is_async
    assert not read(("prefer", "return=minimal")).is_async


def test_events_in_headers_are_passed_on_and_bounded():
    assert read(("ce-id", "1"), ("ce-type", "t")).meta == {"headers": {"ce-id": "1", "ce-type": "t"}}
    with pytest.raises(MalformedBodyError, match="larger than"):
        read(*((f"ce-{n}", "x" * 1000) for n in range(MAX_META_BYTES // 1000 + 1)))
    with pytest.raises(MalformedBodyError, match="larger than"):
        read(("tracestate", "x" * (MAX_META_BYTES + 1)))


NAMES = ["content-type", "accept", "prefer", "skerry-timeout-ms", "priority", "skerry-weight", "skerry-group", "ce-id"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=40)), max_size=6))
def test_whatever_the_values_are_they_are_read_or_refused(headers):
    try:
        reading = read_head([(name.encode(), value) for name, value in headers])
    except MalformedBodyError:
        return
    assert 0 <= reading.urgency <= 7
    assert reading.timeout_s is None or reading.timeout_s > 0
    assert reading.weight is None or reading.weight > 0
