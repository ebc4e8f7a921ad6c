"""The metrics and traces of one front."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from skerry.observe import FunctionMetrics, Registry, ServingMetrics
from skerry.observe.exposition import sample
from skerry.observe.instruments import Callback
from skerry.observe.serving_metrics import FUNCTION
from skerry.runtime.front import Front
from skerry.runtime.message import Request, Response
from skerry.runtime.observer import FunctionObserver
from skerry.runtime.pool import WorkerPool

if TYPE_CHECKING:
    from skerry.observe import SpanExporter, TracedFunction, Tracer
    from skerry.scaling import Decision

logger = logging.getLogger(__name__)
REFUSED = "skerry_refused_connections_total"
FLUSH_LIMIT_S = 2.0
# Knative's names of what its autoscaler decides, in Prometheus' form; a pod there is a worker here.
SCALING: Mapping[str, str] = MappingProxyType(
    {
        "kn_revision_pods_desired": "Workers that the scaling policy wants.",
        "kn_revision_pods_requested": "Workers asked for: those wanted, as far as the fair shares allow.",
        "kn_revision_concurrency_stable": "Requests in the system, averaged over the stable window.",
        "kn_revision_concurrency_panic": "Requests in the system, averaged over the panic window.",
        "kn_revision_rps_stable": "Requests per second, averaged over the stable window.",
        "kn_revision_rps_panic": "Requests per second, averaged over the panic window.",
        "kn_revision_panic_mode": "1 in panic mode, else 0.",
        "kn_revision_capacity_excess": "Requests that ready workers could bear beyond load and burst.",
    }
)


class Observing:
    """Counts what all functions of a front do, and traces it where a collector is configured.

    Args:
        front: Where ``/metrics`` is served.
        environment: The ``OTEL_*`` variables.
    """

    def __init__(self, front: Front, environment: Mapping[str, str]) -> None:
        self.registry = Registry()
        # What was decided last about a pool's size; none where nothing decides, as in a bare runtime.
        self.decision_of: Callable[[WorkerPool], Decision | None] = lambda pool: None
        self._metrics = ServingMetrics(self.registry)
        self._scaling = {
            name: self.registry.family(name, "gauge", help_text, FUNCTION) for name, help_text in SCALING.items()
        }
        self._tracer: Tracer | None = None
        self._exporter: SpanExporter | None = None
        if any(name.startswith("OTEL_") for name in environment):
            self._trace(front, environment)
        refused = self.registry.family(REFUSED, "counter", "Connections refused for want of descriptors.", [])
        refused.add((), Callback(lambda: front.room.refused_total))
        front.route("GET", "/metrics", self._scrape)

    @property
    def tracer(self) -> Tracer | None:
        """What traces, none where no collector is configured."""
        return self._tracer

    def _trace(self, front: Front, environment: Mapping[str, str]) -> None:
        """Trace requests, if the variables say where to; most containers do without what that takes."""
        from skerry.observe import SpanExporter, Telemetry, Tracer

        telemetry = Telemetry.read(environment)
        for warning in telemetry.warnings:
            logger.warning("%s", warning)
        if telemetry.traces_url is not None:
            self._tracer = front.tracer = Tracer(telemetry)
            self._exporter = SpanExporter(telemetry, self._tracer)
            self._exporter.declare_metrics(self.registry)
            self._exporter.start()

    def observe(self, pool: WorkerPool, revision: str) -> FunctionMetrics:
        """Count and trace what happens to a pool's calls from now on, and return what counts."""
        dispatcher, name = pool.dispatcher, pool.spec.name

        def batch_model() -> dict[str, float]:
            learnt = dispatcher.sizing.describe()
            per_item, fixed = learnt.get("a_s"), learnt.get("b_s")
            return {} if per_item is None or fixed is None else {"per_item": per_item, "fixed": fixed}

        metrics = self._metrics.function(
            name,
            revision,
            queued=lambda: dispatcher.queued,
            active=lambda: dispatcher.in_flight,
            workers=pool.counts,
            late=lambda: dispatcher.waiting.late_total,
            batch_model=batch_model,
        )
        traced = None
        if self._tracer is not None:
            from skerry.observe import TracedFunction

            traced = TracedFunction(name, revision)
        dispatcher.observer.close()
        dispatcher.observer = _PoolObserver(metrics, traced, self._show_scaling(pool, revision))
        return metrics

    async def stop(self) -> None:
        """Send what is traced and not sent yet."""
        if self._exporter is not None:
            exporter = self._exporter
            await asyncio.to_thread(lambda: exporter.stop(limit_s=FLUSH_LIMIT_S))

    def _show_scaling(self, pool: WorkerPool, revision: str) -> Callable[[], None]:
        """Show what is decided about a pool's size; return what ends that."""
        values = (pool.spec.name, revision)
        gauges = {name: _Decided(lambda: self.decision_of(pool), read) for name, read in _readings(pool).items()}
        for name, gauge in gauges.items():
            self._scaling[name].add(values, gauge)

        def close() -> None:
            for name, gauge in gauges.items():
                self._scaling[name].remove(values, gauge)

        return close

    def _scrape(self, request: Request) -> Response:
        body, content_type = self.registry.exposition(request.headers.get("accept"))
        return Response(body, content_type=content_type)


class _PoolObserver(FunctionObserver):
    """Shows the decisions about the pool's size for as long as the rest."""

    def __init__(
        self, metrics: FunctionMetrics, function: TracedFunction | None, close_scaling: Callable[[], None]
    ) -> None:
        super().__init__(metrics, function)
        self._close_scaling = close_scaling

    def close(self) -> None:
        """Show this revision no more."""
        super().close()
        self._close_scaling()


class _Decided:
    """A number of the last decision, asked for when somebody looks; none where nothing is decided."""

    def __init__(self, decision: Callable[[], Decision | None], read: Callable[[Decision], float]) -> None:
        self._decision = decision
        self._read = read

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Yield the sample."""
        decision = self._decision()
        if decision is not None:
            yield sample(name, labels, self._read(decision))


def _readings(pool: WorkerPool) -> dict[str, Callable[[Decision], float]]:
    metric = pool.spec.scale.metric
    return {
        "kn_revision_pods_desired": lambda decision: decision.desired,
        "kn_revision_pods_requested": lambda _: pool.desired,
        f"kn_revision_{metric}_stable": lambda decision: decision.stable,
        f"kn_revision_{metric}_panic": lambda decision: decision.panic_value,
        "kn_revision_panic_mode": lambda decision: int(decision.panic),
        "kn_revision_capacity_excess": lambda decision: decision.excess_burst,
    }
