"""Spans of events on their way: published, and delivered to a function.

Names and attributes are those of OpenTelemetry's semantic conventions for messaging and CloudEvents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from skerry.observe.otlp import Attributes, Span, encode_attributes
from skerry.observe.trace_context import TraceContext

if TYPE_CHECKING:
    from skerry.observe.spans import NewId
    from skerry.observe.tracing import Tracer

PRODUCER, CONSUMER = 4, 5  # kinds of spans
SERVER_ERROR = 500


class FinishedSpan(NamedTuple):
    """A span that has ended; its times are seconds of ``time.monotonic()``."""

    context: TraceContext
    parent_id: str
    name: str
    kind: int
    begin_s: float
    end_s: float
    attributes: str
    is_failed: bool
    link: TraceContext | None

    def spans(self, offset_ns: int, _: NewId) -> list[Span]:
        """Return it as it is exported.

        Args:
            offset_ns: What turns a monotonic time into Unix time.
        """
        begin_ns = int(self.begin_s * 1e9) + offset_ns
        end_ns = max(begin_ns, int(self.end_s * 1e9) + offset_ns)
        return [
            Span(
                self.context,
                self.context.span_id,
                self.parent_id,
                self.name,
                self.kind,
                begin_ns,
                end_ns,
                self.attributes,
                self.is_failed,
                self.link,
                is_parent_remote=bool(self.parent_id),
            )
        ]


class OpenSpan:
    """A sampled span that has not ended yet; made by `Tracer.start_span`."""

    __slots__ = ("_parent_id", "_tracer", "context")

    def __init__(self, tracer: Tracer, context: TraceContext, parent_id: str) -> None:
        self._tracer = tracer
        self._parent_id = parent_id
        self.context = context

    @property
    def traceparent(self) -> str:
        """What is passed on to what comes below this span."""
        return self.context.traceparent

    def finish(
        self,
        name: str,
        kind: int,
        times_s: tuple[float, float],
        attributes: Attributes,
        *,
        status: int,
        link: TraceContext | None = None,
    ) -> None:
        """Say that it has ended; call it once.

        Args:
            name: What it is; few different ones.
            kind: `PRODUCER` or `CONSUMER`.
            times_s: Begin and end, seconds of ``time.monotonic()``.
            attributes: What else is known.
            status: HTTP status of what became of it.
            link: A span of another trace that did the work for this one too.
        """
        begin_s, end_s = times_s
        known = encode_attributes({**attributes, "http.response.status_code": status})
        is_failed = status >= SERVER_ERROR
        self._tracer.add(
            FinishedSpan(self.context, self._parent_id, name, kind, begin_s, end_s, known, is_failed, link)
        )
