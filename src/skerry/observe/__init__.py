"""What the front tells about itself: metrics in Prometheus' text, traces over OTLP.

Nothing here knows the front, and only the exporter, in its own thread, does any input or output.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.observe.exporter import SpanExporter
    from skerry.observe.function_metrics import CLIENT_LEFT, FunctionMetrics
    from skerry.observe.instruments import Callback, Counter, Histogram, Split
    from skerry.observe.metrics import Family, Registry
    from skerry.observe.serving_metrics import ServingMetrics
    from skerry.observe.spans import RequestTimes, SharedBatch, TracedFunction
    from skerry.observe.telemetry import Telemetry
    from skerry.observe.trace_context import TraceContext, parse_traceparent
    from skerry.observe.tracing import RequestTrace, Tracer
else:
    from skerry.lazily import names_of

    __getattr__ = names_of(
        __name__,
        {
            "skerry.observe.exporter": ("SpanExporter",),
            "skerry.observe.function_metrics": (
                "CLIENT_LEFT",
                "FunctionMetrics",
            ),
            "skerry.observe.instruments": (
                "Callback",
                "Counter",
                "Histogram",
                "Split",
            ),
            "skerry.observe.metrics": (
                "Family",
                "Registry",
            ),
            "skerry.observe.serving_metrics": ("ServingMetrics",),
            "skerry.observe.spans": (
                "RequestTimes",
                "SharedBatch",
                "TracedFunction",
            ),
            "skerry.observe.telemetry": ("Telemetry",),
            "skerry.observe.trace_context": (
                "TraceContext",
                "parse_traceparent",
            ),
            "skerry.observe.tracing": (
                "RequestTrace",
                "Tracer",
            ),
        },
    )

__all__ = [
    "CLIENT_LEFT",
    "Callback",
    "Counter",
    "Family",
    "FunctionMetrics",
    "Histogram",
    "Registry",
    "RequestTimes",
    "RequestTrace",
    "ServingMetrics",
    "SharedBatch",
    "SpanExporter",
    "Split",
    "Telemetry",
    "TraceContext",
    "TracedFunction",
    "Tracer",
    "parse_traceparent",
]
