import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.observe import RequestTimes, SharedBatch, Telemetry, TracedFunction, Tracer, parse_traceparent
from skerry.observe.otlp import encode_attributes, encode_request, rejected_spans

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01".encode(), f"00-{TRACE}-{SPAN}-00".encode()
FUNCTION = TracedFunction("digits", "digits-00001")
SERVED = RequestTimes(
    received_s=10.0,
    answered_s=11.0,
    queued_s=10.1,
    dispatched_s=10.4,
    returned_s=10.9,
    handler_began_s=10.5,
    handler_ended_s=10.8,
)


def tracer_of(**settings):
    return Tracer(Telemetry(traces_url="http://collector/", **settings), entropy=random.Random(7))


def exported(tracer):
    """Return the spans of each waiting request by name, as a collector reads them."""
    return [{span["name"]: span for span in orjson.loads(f"[{request}]")} for request in tracer.take()]


def test_a_request_without_a_trace_begins_one():
    tracer = tracer_of()
    trace = tracer.start_request(None)
    trace.finish(FUNCTION, 200, SERVED)
    (spans,) = exported(tracer)
    server = spans["POST /function/digits"]
    assert server["parentSpanId"] == ""
    assert server["kind"] == 2
    assert "status" not in server
    context = parse_traceparent(trace.traceparent)
    assert context.trace_id == server["traceId"]
    assert context.span_id == spans["handler"]["spanId"]
    assert context.is_sampled


def test_a_sampled_request_goes_on_with_its_trace():
    tracer = tracer_of()
    trace = tracer.start_request(SAMPLED, b"congo=t61rcWkgMzE")
    trace.finish(FUNCTION, 200, SERVED)
    (spans,) = exported(tracer)
    assert {span["traceId"] for span in spans.values()} == {TRACE}
    assert len({span["spanId"] for span in spans.values()} | {SPAN}) == len(spans) + 1
    assert spans["POST /function/digits"]["parentSpanId"] == SPAN
    assert spans["POST /function/digits"]["traceState"] == trace.tracestate == "congo=t61rcWkgMzE"
    assert spans["POST /function/digits"]["flags"] == 0x301
    assert spans["queue"]["flags"] == 0x101


@pytest.mark.parametrize("header", [b"", b"junk", SAMPLED + b"-x", b"\xff\xfe"])
def test_a_header_that_is_not_valid_begins_a_new_trace(header):
    tracer = tracer_of()
    trace = tracer.start_request(header, b"congo=1")
    assert parse_traceparent(trace.traceparent).trace_id != TRACE
    assert trace.tracestate == ""


@pytest.mark.parametrize(
    ("follow_parent", "ratio", "header", "is_traced"),
    [
        (True, 0.0, SAMPLED, True),
        (True, 1.0, UNSAMPLED, False),
        (True, 0.0, None, False),
        (True, 1.0, None, True),
        (False, 0.0, SAMPLED, False),
        (False, 1.0, UNSAMPLED, True),
        (False, 0.0, None, False),
    ],
)
def test_sampling(follow_parent, ratio, header, is_traced):
    trace = tracer_of(follow_parent=follow_parent, ratio=ratio).start_request(header)
    assert (trace is not None) == is_traced
    assert trace is None or parse_traceparent(trace.traceparent).is_sampled


def test_a_ratio_is_kept():
    tracer = tracer_of(ratio=0.2)
    traced = sum(tracer.start_request(None) is not None for _ in range(5000))
    assert 850 < traced < 1150


def test_every_process_decides_the_same_of_a_trace():
    first, second = tracer_of(follow_parent=False, ratio=0.5), tracer_of(follow_parent=False, ratio=0.5)
    for number in range(64):
        header = f"00-{random.Random(number).getrandbits(128) or 1:032x}-{SPAN}-00".encode()
        assert (first.start_request(header) is None) == (second.start_request(header) is None)


def test_the_spans_of_a_request_lie_within_each_other():
    tracer = tracer_of()
    tracer.start_request(None).finish(
        FUNCTION,
        200,
        SERVED._replace(start_began_s=10.15, start_ended_s=10.35),
        batch=SharedBatch(3, "full"),
        invocation_id="job-1",
    )
    (spans,) = exported(tracer)
    server = spans["POST /function/digits"]
    assert list(spans) == ["POST /function/digits", "start", "queue", "batch", "handler"]
    assert {spans[name]["parentSpanId"] for name in ("start", "queue", "batch")} == {server["spanId"]}
    assert spans["handler"]["parentSpanId"] == spans["batch"]["spanId"]
    began = int(server["startTimeUnixNano"])
    lasted = {
        name: (int(s["startTimeUnixNano"]) - began, int(s["endTimeUnixNano"]) - began) for name, s in spans.items()
    }
    assert {name: tuple(round(edge / 1e6) for edge in edges) for name, edges in lasted.items()} == {
        "POST /function/digits": (0, 1000),
        "start": (150, 350),
        "queue": (100, 400),
        "batch": (400, 900),
        "handler": (500, 800),
    }
    assert all(isinstance(s["startTimeUnixNano"], str) for s in spans.values())
    assert {a["key"]: a["value"] for a in server["attributes"]} == {
        "faas.name": {"stringValue": "digits"},
        "faas.version": {"stringValue": "digits-00001"},
        "faas.trigger": {"stringValue": "http"},
        "faas.invocation_id": {"stringValue": "job-1"},
        "faas.coldstart": {"boolValue": True},
        "http.request.method": {"stringValue": "POST"},
        "http.route": {"stringValue": "/function/digits"},
        "http.response.status_code": {"intValue": "200"},
        "url.scheme": {"stringValue": "http"},
    }


def test_a_request_that_never_left_the_queue_has_no_spans_of_what_did_not_happen():
    tracer = tracer_of()
    tracer.start_request(None).finish(
        FUNCTION, 504, RequestTimes(10.0, 12.0, queued_s=10.5), error_type="deadline_exceeded"
    )
    (spans,) = exported(tracer)
    assert list(spans) == ["POST /function/digits", "queue"]
    assert spans["queue"]["endTimeUnixNano"] == spans["POST /function/digits"]["endTimeUnixNano"]
    assert spans["POST /function/digits"]["status"] == {"code": 2}
    assert {"key": "error.type", "value": {"stringValue": "deadline_exceeded"}} in spans["POST /function/digits"][
        "attributes"
    ]


@pytest.mark.parametrize(("status", "is_failed"), [(200, False), (422, False), (429, False), (500, True), (503, True)])
def test_the_servers_faults_only_are_errors_of_its_span(status, is_failed):
    tracer = tracer_of()
    tracer.start_request(None).finish(FUNCTION, status, SERVED)
    (spans,) = exported(tracer)
    assert ("status" in spans["POST /function/digits"]) == is_failed


def test_requests_of_one_batch_link_to_its_first():
    tracer, batch = tracer_of(), SharedBatch(3, "full")
    for _ in range(3):
        tracer.start_request(None).finish(FUNCTION, 200, SERVED, batch=batch)
    first, *others = [spans["batch"] for spans in exported(tracer)]
    assert "links" not in first
    assert {"key": "skerry.batch.size", "value": {"intValue": "3"}} in first["attributes"]
    for other in others:
        assert other["traceId"] != first["traceId"]
        assert other["links"] == [{"traceId": first["traceId"], "spanId": first["spanId"]}]


def test_what_does_not_fit_is_dropped_and_counted_and_a_batch_is_announced_once():
    announced = []
    tracer = tracer_of(max_queue=5, max_batch=3)
    tracer.on_batch = lambda: announced.append(len(tracer))
    for _ in range(8):
        tracer.start_request(None).finish(FUNCTION, 200, SERVED)
    assert (len(tracer), tracer.dropped, announced) == (5, 3, [3])
    assert [len(tracer.take()) for _ in range(3)] == [3, 2, 0]


TIMES = st.floats(0, 1e6)
MAYBE = st.none() | TIMES


@given(st.builds(RequestTimes, TIMES, TIMES, MAYBE, MAYBE, MAYBE, MAYBE, MAYBE, MAYBE, MAYBE), st.integers(100, 599))
def test_no_span_ends_before_it_begins_whatever_the_times(times, status):
    tracer = tracer_of()
    tracer.start_request(SAMPLED).finish(FUNCTION, status, times, batch=SharedBatch(1))
    (spans,) = exported(tracer)
    for span in spans.values():
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])


@given(st.dictionaries(st.text(), st.text() | st.booleans() | st.integers() | st.floats(allow_nan=False)))
def test_attributes_come_back_as_they_were(attributes):
    back = {}
    for attribute in orjson.loads(f"[{encode_attributes(attributes)}]"):
        ((kind, value),) = attribute["value"].items()
        back[attribute["key"]] = int(value) if kind == "intValue" else value
    expected = {k: None if v in (float("inf"), float("-inf")) else v for k, v in attributes.items()}
    assert back == expected


def test_a_request_names_its_resource_and_its_scope():
    body = orjson.loads(encode_request(['{"name":"x"}'], {"service.name": 'sk"erry'}))
    (resource_spans,) = body["resourceSpans"]
    assert resource_spans["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": 'sk"erry'}}]
    (scope_spans,) = resource_spans["scopeSpans"]
    assert scope_spans["scope"]["name"] == "skerry"
    assert scope_spans["spans"] == [{"name": "x"}]


@pytest.mark.parametrize(
    ("answer", "rejected"),
    [
        (b"", 0),
        (b"{}", 0),
        (b"[]", 0),
        (b'{"partialSuccess":null}', 0),
        (b'{"partialSuccess":{"rejectedSpans":"3"}}', 3),
        (b"<html>", 0),
    ],
)
def test_spans_that_a_collector_left_out_are_counted(answer, rejected):
    assert rejected_spans(answer) == rejected
