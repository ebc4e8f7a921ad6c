"""Traces and metrics of events, from the request that publishes them to the functions that they start."""

import json

import pytest

from support.collector import Collector, attributes
from support.engine_process import wait_until, write_app

APP = """
app = skerry.App("traced")

@app.on(skerry.Event(type="asked"))
def answer(event: skerry.Event) -> skerry.Event:
    return skerry.Event(type="told", source="/answers", id=event.id, data=skerry.context().traceparent)

@app.on(skerry.Event(type="told"), batch=4)
def note(events: list[skerry.Event]) -> None:
    app.publish(*(skerry.Event(type="passed.on", source="/note", id=event.id) for event in events))
"""
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


def test_a_trace_goes_from_the_publisher_through_functions_and_their_answers(make_engine, tmp_path, collector):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "10"}
    engine = make_engine(environment=environment).start()
    engine.deploy(write_app(tmp_path / "app.py", APP))
    event = {"specversion": "1.0", "type": "asked", "source": "/test", "id": "1"}
    head = {"content-type": "application/cloudevents+json", "traceparent": f"00-{TRACE}-{CALLER}-01"}
    assert engine.tcp("POST", "/events", json.dumps(event).encode(), head).status == 202
    wait_until(lambda: len(engine.control("GET", "/broker/events").json()) == 3, within_s=30, what="all events")
    names = {"publish events", "deliver answer", "POST /function/answer", "deliver note", "POST /function/note"}
    wait_until(lambda: names <= collector.named().keys(), within_s=30, what="the spans of the whole way")

    spans = collector.named()
    assert {span["traceId"] for span in spans.values()} == {TRACE}
    published = {span["spanId"]: span["parentSpanId"] for span in collector.spans if span["name"] == "publish events"}
    assert CALLER in published.values()
    assert published[spans["deliver answer"]["parentSpanId"]] == CALLER
    assert spans["POST /function/answer"]["parentSpanId"] == spans["deliver answer"]["spanId"]
    assert spans["deliver note"]["parentSpanId"] == spans["deliver answer"]["spanId"]
    assert attributes(spans["deliver note"])["messaging.destination.name"] == "note"
    kept = {one["event"]["type"]: one["event"] for one in engine.control("GET", "/broker/events").json()}
    assert published[kept["asked"]["traceparent"].split("-")[2]] == CALLER
    handlers = [span for span in collector.spans if span["name"] == "handler"]
    assert kept["told"]["data"].split("-")[2] in {span["spanId"] for span in handlers}

    assert kept["passed.on"]["traceparent"].split("-")[1] == TRACE

    text = engine.tcp("GET", "/metrics").body.decode()
    assert 'event_count_total{trigger_name="answer",faas_name="answer",response_code="200"} 1' in text
    assert 'event_dispatch_latencies_seconds_count{trigger_name="note",faas_name="note"} 1' in text
    assert "skerry_events_accepted_total 3" in text
    engine.stop()
