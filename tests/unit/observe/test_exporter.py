import gzip
import logging
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from skerry.observe import Registry, RequestTimes, SharedBatch, SpanExporter, Telemetry, TracedFunction, Tracer
from support.held_port import HeldPort

FUNCTION = TracedFunction("digits", "digits-00001")
NANOS = re.compile(r"[1-9][0-9]{18}")


class Collector:
    """A real collector's HTTP side, with the answers that a test wants."""

    def __init__(self):
        self.answers = []  # status codes, or (status, headers); 200 when they run out
        self.hold = threading.Event()  # answers wait for it
        self.hold.set()
        self.requests = []
        self.came = threading.Semaphore(0)
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, dict(self.headers), body))
                collector.came.release()
                collector.hold.wait(20)
                answer = collector.answers.pop(0) if collector.answers else 200
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in {"Content-Length": "2", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")
                self.close_connection = headers.get("X-Hang-Up") == "1"

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces?site=edge"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def wait(self, count=1):
        for _ in range(count):
            assert self.came.acquire(timeout=10)

    def spans(self):
        found = []
        for _, headers, body in self.requests:
            text = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
            for resource in orjson.loads(text)["resourceSpans"]:
                found += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
        return found

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def start():
    """Start an exporter; at the end its thread must be gone."""
    exporters = []

    def begin(url, **settings):
        settings = {"schedule_delay_s": 60.0, "max_batch": 2, **settings}
        telemetry = Telemetry(traces_url=url, resource={"service.name": "test"}, **settings)
        tracer = Tracer(telemetry)
        exporter = SpanExporter(telemetry, tracer, first_backoff_s=0.01)
        exporters.append(exporter)
        exporter.start()
        return tracer, exporter

    yield begin
    for exporter in exporters:
        assert exporter.stop(limit_s=5)


def serve(tracer, count=1):
    for _ in range(count):
        now_s = time.monotonic()
        times = RequestTimes(now_s - 0.1, now_s, now_s - 0.09, now_s - 0.08, now_s - 0.01, now_s - 0.05)
        tracer.start_request(None).finish(FUNCTION, 200, times, batch=SharedBatch(1, "idle"))


def test_a_whole_batch_is_sent_at_once(collector, start):
    tracer, exporter = start(collector.url, headers={"x-token": "s3cret"})
    serve(tracer, 2)
    collector.wait()
    assert exporter.stop(limit_s=5)
    ((path, headers, body),) = collector.requests
    assert path == "/v1/traces?site=edge"
    assert headers["Content-Type"] == "application/json"
    assert headers["x-token"] == "s3cret"
    assert orjson.loads(body)["resourceSpans"][0]["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "test"}}
    ]
    spans = collector.spans()
    assert len(spans) == 8
    for span in spans:
        assert re.fullmatch("[0-9a-f]{32}", span["traceId"])
        assert re.fullmatch("[0-9a-f]{16}", span["spanId"])
        assert NANOS.fullmatch(span["startTimeUnixNano"])
        assert NANOS.fullmatch(span["endTimeUnixNano"])
        assert span["kind"] == (2 if span["name"].startswith("POST") else 1)
        assert abs(int(span["endTimeUnixNano"]) - time.time_ns()) < 60e9
    assert exporter.exported == 2


def test_what_is_left_is_sent_at_the_end(collector, start):
    tracer, exporter = start(collector.url, compress=True)
    serve(tracer)
    assert exporter.stop(limit_s=5)
    assert len(collector.spans()) == 4
    assert collector.requests[0][1]["Content-Encoding"] == "gzip"


def test_what_is_there_is_sent_after_the_delay(collector, start):
    tracer, _ = start(collector.url, schedule_delay_s=0.01)
    serve(tracer)
    collector.wait()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_passing_failure_is_followed_by_another_try(collector, start, status):
    collector.answers = [status, (503, {"Retry-After": "0"})]
    tracer, exporter = start(collector.url)
    serve(tracer, 2)
    collector.wait(3)
    assert exporter.stop(limit_s=5)
    assert (exporter.exported, exporter.failed) == (2, 0)
    assert len({body for _, _, body in collector.requests}) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 301])
def test_a_refusal_is_final(collector, start, status, caplog):
    collector.answers = [status]
    tracer, exporter = start(collector.url, headers={"authorization": "s3cret"})
    serve(tracer, 2)
    collector.wait()
    assert exporter.stop(limit_s=5)
    assert (exporter.exported, exporter.failed, len(collector.requests)) == (0, 2, 1)
    assert f"status {status}" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_connection_that_was_closed_meanwhile_is_opened_again(collector, start):
    tracer, exporter = start(collector.url)
    collector.answers = [(200, {"X-Hang-Up": "1"})]  # without saying so in the answer
    serve(tracer, 2)
    collector.wait()
    serve(tracer, 1)
    assert exporter.stop(limit_s=5)
    assert (exporter.exported, exporter.failed) == (3, 0)


def test_nobody_there_is_no_harm_and_said_once(start, caplog):
    held = HeldPort()
    tracer, exporter = start(f"http://127.0.0.1:{held.number}/v1/traces", export_timeout_s=0.2)
    serve(tracer, 2)
    serve(tracer, 2)
    assert exporter.stop(limit_s=5)
    assert (exporter.exported, exporter.failed) == (0, 4)
    assert caplog.text.count("spans do not arrive") == 1


def test_a_slow_collector_blocks_nobody_and_fills_nothing(collector, start):
    collector.hold.clear()
    tracer, exporter = start(collector.url, max_queue=4, timeout_s=60.0, export_timeout_s=60.0)
    serve(tracer, 2)
    collector.wait()
    serve(tracer, 10)
    assert (len(tracer), tracer.dropped) == (4, 6)
    began_s = time.monotonic()
    assert not exporter.stop(limit_s=0.1)
    assert time.monotonic() - began_s < 15
    collector.hold.set()


def test_an_answer_that_takes_too_long_is_given_up(collector, start):
    collector.hold.clear()
    tracer, exporter = start(collector.url, timeout_s=0.05, export_timeout_s=0.3)
    serve(tracer, 1)
    assert exporter.stop(limit_s=5)
    assert exporter.failed == 1


def test_recovery_is_said(collector, start, caplog):
    caplog.set_level(logging.WARNING)
    collector.answers = [400]
    tracer, exporter = start(collector.url)
    serve(tracer, 2)
    collector.wait()
    serve(tracer, 2)
    collector.wait()
    assert exporter.stop(limit_s=5)
    assert "again" in caplog.text
    assert (exporter.exported, exporter.failed) == (2, 2)


def test_what_became_of_traced_requests_is_a_metric(collector, start, read_metrics):
    tracer, exporter = start(collector.url, max_queue=2)
    registry = Registry()
    exporter.declare_metrics(registry)
    serve(tracer, 1)
    assert exporter.stop(limit_s=5)
    serve(tracer, 3)
    assert read_metrics(registry.render()) == {
        ("skerry_traced_requests_total", (("outcome", "exported"),)): 1,
        ("skerry_traced_requests_total", (("outcome", "failed"),)): 0,
        ("skerry_traced_requests_total", (("outcome", "dropped"),)): 1,
    }
