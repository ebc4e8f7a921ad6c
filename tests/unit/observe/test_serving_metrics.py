import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import skerry.observe
from skerry.events.metrics import BrokerMetrics
from skerry.observe import CLIENT_LEFT, Registry, ServingMetrics, SpanExporter, Telemetry, Tracer
from skerry.runtime.observing import REFUSED, SCALING

LABELS = {"faas_name": "digits", "kn_revision_name": "digits-00001"}


class Front:
    """A front's metrics, and what a scrape of them finds."""

    def __init__(self, read_metrics):
        self.read_metrics = read_metrics
        self.registry = Registry()
        self.serving = ServingMetrics(self.registry)
        self.queued, self.active, self.late, self.workers, self.model = 0, 0, 0, {}, {}

    def function(self, revision="digits-00001"):
        return self.serving.function(
            "digits",
            revision,
            queued=lambda: self.queued,
            active=lambda: self.active,
            workers=lambda: self.workers,
            late=lambda: self.late,
            batch_model=lambda: self.model,
        )

    def scrape(self):
        return {(name, frozenset(labels)): v for (name, labels), v in self.read_metrics(self.registry.render()).items()}

    def value(self, name, **labels):
        return self.scrape().get((name, frozenset({**LABELS, **labels}.items())))


@pytest.fixture
def front(read_metrics):
    return Front(read_metrics)


def test_answers_are_counted_by_status_and_by_what_they_mean(front):
    metrics = front.function()
    for status in (200, 200, 422, 500, 502, 503, 504, 429, CLIENT_LEFT):
        metrics.answered(status, 0.02)
    assert front.value("faas_invocations_total") == 2
    assert front.value("faas_errors_total") == 3
    assert front.value("faas_timeouts_total") == 1
    assert front.value("skerry_requests_total", http_response_status_code="200") == 2
    assert front.value("skerry_requests_total", http_response_status_code="499") == 1
    duration = "kn_serving_invocation_duration_seconds"
    assert front.value(f"{duration}_bucket", http_response_status_code="200", le="0.01") == 0
    assert front.value(f"{duration}_bucket", http_response_status_code="200", le="0.025") == 2
    assert front.value(f"{duration}_sum", http_response_status_code="200") == pytest.approx(0.04)


@given(st.lists(st.tuples(st.sampled_from([200, 500]), st.floats(0, 20))))
def test_answers_in_bulk_count_as_one_by_one(read_metrics, answers):
    one, bulk = Front(read_metrics), Front(read_metrics)
    metrics, in_bulk = one.function(), bulk.function()
    for status, total_s in answers:
        metrics.answered(status, total_s)
    for status in (200, 500):
        if totals := [total_s for s, total_s in answers if s == status]:
            in_bulk.answered_all(status, totals)
    assert bulk.scrape() == pytest.approx(one.scrape())


def test_batches_tell_their_size_their_waits_and_their_reason(front):
    metrics = front.function()
    metrics.batch([0.003], "idle")
    metrics.batch([0.02, 0.01, 0.001], "full")
    metrics.handled(0.004, 3)
    assert front.value("skerry_batch_size_count") == 2
    assert front.value("skerry_batch_size_sum") == 4
    assert front.value("skerry_batch_size_bucket", le="2.0") == 1
    assert front.value("skerry_batches_total", reason="full") == 1
    assert front.value("skerry_queue_wait_seconds_count") == 4
    assert front.value("skerry_queue_wait_seconds_sum") == pytest.approx(0.034)
    assert front.value("faas_invoke_duration_seconds_count") == 3
    assert front.value("faas_invoke_duration_seconds_sum") == pytest.approx(0.012)


def test_the_start_of_a_worker_tells_its_phases_and_whether_a_request_waited(front):
    metrics = front.function()
    metrics.worker_started({"fork": 2.0, "confine": 1.0, "import": 30.0, "load": 7.0}, cold=True)
    metrics.worker_started({"fork": 2.0, "confine": 1.0, "import": 30.0, "load": 7.0}, cold=False)
    assert front.value("faas_coldstarts_total") == 1
    assert front.value("faas_init_duration_seconds_count") == 2
    assert front.value("faas_init_duration_seconds_sum") == pytest.approx(0.08)
    assert front.value("skerry_init_phase_duration_seconds_sum", phase="import") == pytest.approx(0.06)


def test_gauges_show_what_is_so_now(front):
    front.function()
    front.queued, front.active, front.workers = 3, 2, {"ready": 2, "starting": 1}
    front.late = 7
    assert front.value("skerry_batch_model_seconds", term="fixed") is None
    front.model = {"per_item": 0.001, "fixed": 0.002}
    assert front.value("kn_revision_request_queued") == 3
    assert front.value("kn_revision_request_active") == 2
    assert front.value("kn_serving_queue_depth") == 5
    assert front.value("skerry_late_requests_total") == 7
    assert front.value("skerry_workers", state="starting") == 1
    assert front.value("skerry_batch_model_seconds", term="per_item") == 0.001


def test_a_closed_revision_is_shown_no_more_and_others_stay(front):
    old, new = front.function("digits-00001"), front.function("digits-00002")
    old.answered(200, 0.1)
    new.answered(200, 0.1)
    old.worker_started({"fork": 1.0}, cold=True)
    old.close()
    revisions = {dict(labels)["kn_revision_name"] for _, labels in front.scrape()}
    assert revisions == {"digits-00002"}


def test_the_same_revision_made_anew_is_not_lost_with_the_old_one(front):
    trial = front.function()
    trial.answered(200, 0.1)
    serving = front.function()
    trial.close()
    serving.answered(200, 0.1)
    assert front.value("faas_invocations_total") == 1


def test_a_strict_reader_of_openmetrics_takes_it(front):
    openmetrics = pytest.importorskip("prometheus_client.openmetrics.parser")
    metrics = front.function()
    metrics.answered(200, 0.1)
    metrics.batch([0.1, 0.2], "full")
    body = front.registry.render(openmetrics=True).decode()
    families = {f.name: f for f in openmetrics.text_string_to_metric_families(body)}
    assert families["faas_invocations"].type == "counter"
    assert families["skerry_queue_wait_seconds"].type == "histogram"
    assert families["kn_serving_queue_depth"].type == "gauge"


def test_every_metric_is_documented_with_its_kind():
    registry = Registry()
    ServingMetrics(registry)
    for name, help_text in SCALING.items():
        registry.family(name, "gauge", help_text)
    SpanExporter(Telemetry(), Tracer(Telemetry())).declare_metrics(registry)
    registry.family(REFUSED, "counter", "")
    BrokerMetrics(registry)
    page = Path(__file__).parents[3] / "docs" / "concepts" / "observability.md"
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", page.read_text(), re.MULTILINE)
    assert rows == [(family.name, family.kind) for family in registry.families.values()]


def test_the_face_is_what_all_says():
    for name in skerry.observe.__all__:
        assert getattr(skerry.observe, name) is not None
