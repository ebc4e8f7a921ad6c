"""The metrics of a front: what is declared once, for all its functions.

Names are those of OpenTelemetry (``faas.*``) and Knative (``kn.*``) in Prometheus' form, where they have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from skerry.observe.function_metrics import CODE, FunctionMetrics
from skerry.observe.instruments import Callback, Split
from skerry.observe.metrics import Registry

FUNCTION = ("faas_name", "kn_revision_name")
# Name: kind, labels besides the function's, help.
FAMILIES: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "faas_invocations_total": ("counter", (), "Invocations that succeeded."),
    "faas_errors_total": ("counter", (), "Invocations that failed: 5xx except 504."),
    "faas_timeouts_total": ("counter", (), "Invocations that took too long: 504."),
    "faas_coldstarts_total": ("counter", (), "Starts of workers that a request waited for."),
    "faas_init_duration_seconds": ("histogram", (), "Start of a worker, loading included."),
    "faas_invoke_duration_seconds": ("histogram", (), "The handler's time, per invocation."),
    "kn_serving_invocation_duration_seconds": ("histogram", (CODE,), "Time from arrival to answer."),
    "kn_serving_queue_depth": ("gauge", (), "Requests that wait or run."),
    "kn_revision_request_queued": ("gauge", (), "Requests that wait for a worker."),
    "kn_revision_request_active": ("gauge", (), "Requests that workers hold."),
    "skerry_requests_total": ("counter", (), "Requests answered, by status code; 499 where the caller left."),
    "skerry_queue_wait_seconds": ("histogram", (), "Time from arrival to a worker."),
    "skerry_batch_size": ("histogram", (), "Requests handed to a worker at once."),
    "skerry_batches_total": ("counter", (), "Batches, by why they left when they did."),
    "skerry_batch_model_seconds": ("gauge", (), "A batch of n is expected to take per_item * n + fixed."),
    "skerry_late_requests_total": ("counter", (), "Requests that waited too long for their objective."),
    "skerry_init_phase_duration_seconds": ("histogram", ("phase",), "Parts of a worker's start."),
    "skerry_workers": ("gauge", (), "Workers, by state."),
}


class ServingMetrics:
    """The metrics of a front.

    Args:
        registry: Where they are declared; each name can be declared once.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._families = {
            name: registry.family(name, kind, help_text, (*FUNCTION, *further))
            for name, (kind, further, help_text) in FAMILIES.items()
        }

    def function(
        self,
        name: str,
        revision: str,
        *,
        queued: Callable[[], int],
        active: Callable[[], int],
        workers: Callable[[], Mapping[str, int]],
        late: Callable[[], int] = int,
        batch_model: Callable[[], Mapping[str, float]] = dict,
    ) -> FunctionMetrics:
        """Return the counters of one revision; older ones of the same name and revision are shown no more.

        Args:
            name: The function.
            revision: The revision.
            queued: Returns how many requests wait.
            active: Returns how many requests workers hold.
            workers: Returns the number of workers by state.
            late: Returns how many requests have waited too long for their objective so far.
            batch_model: Returns what the batcher has learnt, in seconds: ``per_item`` and ``fixed``.
        """
        metrics = FunctionMetrics(self._families, (name, revision))
        metrics.show("kn_revision_request_queued", Callback(queued))
        metrics.show("kn_revision_request_active", Callback(active))
        metrics.show("kn_serving_queue_depth", Callback(lambda: queued() + active()))
        metrics.show("skerry_workers", Split("state", workers))
        metrics.show("skerry_late_requests_total", Callback(late))
        metrics.show("skerry_batch_model_seconds", Split("term", batch_model))
        return metrics
