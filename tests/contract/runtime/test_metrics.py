"""What ``/metrics`` says, on every platform."""

import re
from collections import defaultdict

APP = "waiting.py"
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KINDS = {"counter", "gauge", "histogram"}
NAMES = {
    "faas_invocations_total": "counter",
    "faas_errors_total": "counter",
    "faas_timeouts_total": "counter",
    "faas_coldstarts_total": "counter",
    "faas_init_duration_seconds": "histogram",
    "faas_invoke_duration_seconds": "histogram",
    "kn_serving_invocation_duration_seconds": "histogram",
    "kn_serving_queue_depth": "gauge",
    "kn_revision_request_queued": "gauge",
    "kn_revision_request_active": "gauge",
    "skerry_requests_total": "counter",
    "skerry_queue_wait_seconds": "histogram",
    "skerry_batch_size": "histogram",
    "skerry_batches_total": "counter",
    "skerry_late_requests_total": "counter",
    "skerry_init_phase_duration_seconds": "histogram",
    "skerry_workers": "gauge",
}
COUNTERS = {"skerry_requests_total", "faas_invocations_total", "kn_serving_invocation_duration_seconds_count"}


def scrape(platform, *headers):
    answer = platform.send("GET", "/metrics", b"", *headers)
    assert answer.status == 200
    return answer


def test_the_text_is_that_of_prometheus(platform):
    assert platform.call("counted", "x").status == 200
    answer = scrape(platform)
    assert answer.headers["content-type"] == TEXT_TYPE
    text = answer.body.decode()
    assert text.endswith("\n")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert set(kinds.values()) <= KINDS
    assert kinds.items() >= NAMES.items()
    assert set(re.findall(r"^# HELP (\S+) .+$", text, re.MULTILINE)) == set(kinds)
    for name, _ in platform.metrics():
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert kinds.get(name) in ("counter", "gauge") or kinds.get(family) == "histogram", name


def test_openmetrics_is_spoken_where_it_is_asked_for(platform):
    answer = scrape(platform, ("accept", "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"))
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"\n# EOF\n")


def test_histograms_are_cumulative_and_end_in_their_count(platform):
    assert platform.call("counted", "x").status == 200
    buckets = defaultdict(list)
    found = platform.metrics()
    for (name, labels), value in found.items():
        if name.endswith("_bucket"):
            bound = next(float(text) for label, text in labels if label == "le")
            rest = frozenset((label, text) for label, text in labels if label != "le")
            buckets[name.removesuffix("_bucket"), rest].append((bound, value))
    assert buckets
    for (name, labels), values in buckets.items():
        counts = [value for _, value in sorted(values)]
        assert counts == sorted(counts)
        assert max(values)[0] == float("inf")
        assert counts[-1] == found[f"{name}_count", labels]
        assert found[f"{name}_sum", labels] >= 0


def test_what_was_sent_is_counted_by_its_outcome(platform):
    sent = {200: 7, 400: 1, 422: 3, 500: 2}

    def counted():
        found = {status: platform.metric("skerry_requests_total", "counted", **code(status)) for status in sent}
        for name in ("faas_invocations_total", "faas_errors_total", "faas_timeouts_total"):
            found[name] = platform.metric(name, "counted")
        for name in ("faas_invoke_duration_seconds_count", "skerry_queue_wait_seconds_count", "skerry_batch_size_sum"):
            found[name] = platform.metric(name, "counted")
        for status in sent:
            name = "kn_serving_invocation_duration_seconds_count"
            found[name, status] = platform.metric(name, "counted", **code(status))
        return found

    before = counted()
    bodies = [*["x"] * sent[200], *[b"{"] * sent[400], *[1] * sent[422], *["fail"] * sent[500]]
    with platform.connect() as client:
        for body in bodies:
            client.call("/function/counted", body)
    gained = {key: value - before[key] for key, value in counted().items()}
    assert gained == {
        **sent,
        **{("kn_serving_invocation_duration_seconds_count", status): count for status, count in sent.items()},
        "faas_invocations_total": 7,
        "faas_errors_total": 2,
        "faas_timeouts_total": 0,
        "faas_invoke_duration_seconds_count": len(bodies),
        "skerry_queue_wait_seconds_count": len(bodies),
        "skerry_batch_size_sum": len(bodies),
    }


def test_a_deadline_in_the_queue_is_counted_as_a_timeout(platform):
    running = platform.start_call("hold", "timeout")
    platform.wait_for_notes("timeout-runs")
    before = platform.metric("faas_timeouts_total", "hold")
    assert platform.call("hold", "x", ("skerry-timeout-ms", "20")).status == 504
    platform.release("timeout")
    assert running.read_answer().status == 200
    running.socket.close()
    assert platform.metric("faas_timeouts_total", "hold") == before + 1


def test_probes_and_scrapes_are_no_traffic(platform):
    assert platform.call("counted", "x").status == 200

    def counts():
        return {key: value for key, value in platform.metrics().items() if key[0] in COUNTERS}

    before = counts()
    for path in ("/health/liveness", "/health/readiness", "/metrics"):
        for method in ("GET", "HEAD"):
            assert platform.send(method, path).status == 200
    assert counts() == before


def test_gauges_show_what_waits_and_what_runs(platform):
    clients = [platform.start_call("hold", "gauges") for _ in range(3)]
    platform.wait_for_queue("hold", 2)
    assert platform.metric("kn_revision_request_active", "hold") == 1
    assert platform.metric("kn_serving_queue_depth", "hold") == 3
    platform.release("gauges")
    assert [client.read_answer().status for client in clients] == [200] * 3
    for client in clients:
        client.socket.close()
    platform.wait_until_idle("hold")


def test_workers_are_counted_by_state_and_starts_by_phase(platform):
    assert platform.call("counted", "x").status == 200
    assert platform.metric("skerry_workers", "counted", state="ready") >= 1
    assert platform.metric("skerry_workers", "counted", state="draining") == 0
    phases = {
        dict(labels)["phase"]
        for name, labels in platform.metrics()
        if name == "skerry_init_phase_duration_seconds_count" and ("faas_name", "counted") in labels
    }
    assert phases == {"fork", "confine", "import", "load"}


def code(status):
    return {"http_response_status_code": str(status)}
