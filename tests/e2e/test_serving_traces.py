"""A request's trace, from its caller through the handler to a collector."""

import contextlib
import re

import pytest

from support.collector import Collector, attributes
from support.engine_process import Engine, UnixConnection, exchange, wait_until, write_app
from support.raw_http import request

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
APP = """
app = skerry.App("traced")

@app.function
def told(x: int) -> dict[str, str | None]:
    if x < 0:
        raise ValueError(x)
    context = skerry.context()
    return {"traceparent": context.traceparent, "tracestate": context.tracestate}

@app.function(batch=skerry.Batch(objective="60s"))
def double(numbers: skerry.Items[int]) -> list[int]:
    open(os.environ["GATE"] + ".begun", "w").close()
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.005)
    return [2 * number for number in numbers]
"""


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


def test_the_spans_of_a_request_reach_the_collector(start_runtime, collector):
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "10",
        "OTEL_RESOURCE_ATTRIBUTES": "site=edge",
    }
    server = start_runtime(APP, function="told", environment=environment)
    wait_until(lambda: server.get("/health/readiness").status == 200)
    headers = [("traceparent", f"00-{TRACE}-{CALLER}-01"), ("tracestate", "a=1")]

    told = server.call("told", 1, headers).json()

    wait_until(lambda: "handler" in collector.named(), what="the spans")
    spans = collector.named()
    top, handler = spans["POST /function/told"], spans["handler"]
    assert {span["traceId"] for span in collector.spans} == {TRACE}
    assert top["parentSpanId"] == CALLER
    assert told == {"traceparent": f"00-{TRACE}-{handler['spanId']}-01", "tracestate": "a=1"}
    assert spans["queue"]["parentSpanId"] == handler["parentSpanId"] == top["spanId"]
    for span in collector.spans:
        assert int(top["startTimeUnixNano"]) <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert int(span["endTimeUnixNano"]) <= int(top["endTimeUnixNano"])
    found = attributes(top)
    assert found["faas.name"] == "told"
    assert int(found["http.response.status_code"]) == 200
    assert collector.resources[0]["site"] == "edge"

    collector.spans.clear()
    assert server.call("told", -1, headers).status == 500
    wait_until(lambda: "POST /function/told" in collector.named())
    assert collector.named()["POST /function/told"]["status"]["code"] == 2


def test_requests_of_one_batch_are_linked(start_runtime, collector, tmp_path):
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "10",
        "GATE": str(tmp_path / "gate"),
    }
    server = start_runtime(APP, function="double", environment=environment)
    queued = re.compile(rb"^kn_revision_request_queued\{.*\} 2$", re.MULTILINE)
    with server.connect() as running, server.connect() as one, server.connect() as other:
        running.send(request("/", 1))
        wait_until(lambda: (tmp_path / "gate.begun").exists())
        for number, client in enumerate((one, other)):
            client.send(request("/", number, [("traceparent", f"00-{number + 1:032x}-{CALLER}-01")]))
        wait_until(lambda: queued.search(server.get("/metrics").body))
        (tmp_path / "gate").touch()
        assert [client.read_answer().json() for client in (running, one, other)] == [2, 0, 2]

    def batches():
        return [span for span in collector.spans if span["name"] == "batch"]

    wait_until(lambda: len(batches()) == 2, what="the spans of both")
    first, second = sorted(batches(), key=lambda span: len(span.get("links", [])))
    assert int(attributes(first)["skerry.batch.size"]) == int(attributes(second)["skerry.batch.size"]) == 2
    assert [link["spanId"] for link in second["links"]] == [first["spanId"]]
    assert {first["traceId"], second["traceId"]} == {f"{1:032x}", f"{2:032x}"}
    below = {span["parentSpanId"] for span in collector.spans if span["name"] == "handler"}
    assert below >= {first["spanId"], second["spanId"]}


def test_spans_that_wait_are_sent_before_the_end(start_runtime, collector):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    server = start_runtime(APP, function="told", environment=environment)
    for number in range(5):
        assert server.call("told", number).status == 200
    server.terminate()
    assert server.wait() == 0
    assert [span["name"] for span in collector.spans].count("handler") == 5


def test_a_collector_that_is_not_there_harms_no_request(start_runtime):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    server = start_runtime(APP, function="told", environment=environment)
    with server.connect() as client:
        assert [client.call("/function/told", number).status for number in range(50)] == [200] * 50
    server.terminate()
    assert server.wait() == 0


CHAIN = """
app = skerry.App("chained")

@app.function
def first(x: int) -> int:
    return x + 1

@app.function
def told(x: int) -> str | None:
    return skerry.context().traceparent

chain = app.chain("chain", [first, first, told])
"""


def test_the_steps_of_a_chain_are_spans_of_one_trace_in_both_modes(tmp_path, collector):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "10"}
    engine = Engine(tmp_path / "home", environment=environment).start()
    try:
        engine.deploy(write_app(tmp_path / "app.py", CHAIN))
        with contextlib.closing(UnixConnection(engine.home / "engine.sock", 60)) as connection:
            for number, mode in enumerate(("separated", "fused")):
                trace = f"{number + 1:032x}"
                headers = {"traceparent": f"00-{trace}-{CALLER}-01"}
                path = f"/chains/chain/runs?mode={mode}&id={mode}&wait_s=30"
                begun = exchange(connection, "POST", path, 1, headers).json()
                assert (begun["status"], begun["trace_id"]) == ("succeeded", trace)
                result = exchange(connection, "GET", f"/runs/{mode}/result").json()
                assert result.split("-")[1] == trace

                def steps(trace=trace):
                    spans = [span for span in collector.spans if span["traceId"] == trace]
                    return sorted(
                        (span for span in spans if span["name"] in ("POST /function/first", "POST /function/told")),
                        key=lambda span: int(span["startTimeUnixNano"]),
                    )

                wait_until(lambda: len(steps()) == 3, what=f"the spans of the {mode} steps")
                assert [span["name"].rpartition("/")[2] for span in steps()] == ["first", "first", "told"]
                assert {span["parentSpanId"] for span in steps()} == {CALLER}
    finally:
        engine.close()
