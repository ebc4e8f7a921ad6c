"""Traces of events: from the request that publishes them to the functions that they start.

An event carries its trace in the extension attributes ``traceparent`` and ``tracestate`` (CloudEvents' extension for
distributed tracing). Who publishes may have set them; else the broker does, where the request is traced.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import orjson

from skerry.events.delivery import Delivery, Entry
from skerry.observe import Tracer, parse_traceparent
from skerry.observe.event_spans import CONSUMER, PRODUCER, OpenSpan
from skerry.observe.otlp import Attributes

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
MARK: Final = b'"traceparent"'
SYSTEM: Final = {"messaging.system": "skerry"}


class Publishing:
    """A request with events, and its span where it is traced.

    Args:
        tracer: Decides that; none where nothing is traced.
        parent: The request's header ``traceparent``.
        state: The request's header ``tracestate``.
    """

    def __init__(self, tracer: Tracer | None, parent: str | None, state: str | None) -> None:
        self._span: OpenSpan | None = None
        self._began_s = time.monotonic()
        known = parent is not None and parse_traceparent(parent) is not None
        self._parent = parent if known else None
        self._state = state if known and state and state.isascii() and state.isprintable() else None
        if tracer is not None:
            self._span = tracer.start_span(self._parent, self._state)
        if self._span is not None:
            self._parent = self._span.traceparent

    def mark(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return events that carry this trace, unless they carry one of their own."""
        return [keep_trace(entry, self._parent, self._state) for entry in entries]

    def finish(self, status: int, count: int) -> None:
        """Say how the request was answered, and how many events it had."""
        if self._span is not None:
            attributes: Attributes = {
                **SYSTEM,
                "messaging.operation.name": "publish",
                "messaging.batch.message_count": count,
            }
            self._span.finish("publish events", PRODUCER, (self._began_s, time.monotonic()), attributes, status=status)


class Delivering:
    """An attempt with one or more events, and a span in the trace of each that is traced.

    Args:
        tracer: Decides that.
        trigger: Whose attempt.
        given: The deliveries; the function's own spans are below that of the first which is traced.
    """

    def __init__(self, tracer: Tracer, trigger: str, given: Sequence[Delivery]) -> None:
        self._trigger = trigger
        self._began_s = time.monotonic()
        self._spans: list[tuple[Delivery, OpenSpan]] = []
        for one in given:
            parent, state = context_of(one.document)
            span = tracer.start_span(parent, state)
            if span is not None:
                self._spans.append((one, span))

    @property
    def traceparent(self) -> str | None:
        """What the function is given; none where nothing is traced."""
        return self._spans[0][1].traceparent if self._spans else None

    @property
    def context(self) -> tuple[str | None, str | None]:
        """What the call is below, as ``traceparent`` and ``tracestate``."""
        return (self.traceparent, self._spans[0][1].context.state or None) if self._spans else (None, None)

    def finish(self, status: int) -> None:
        """Say what the function has answered."""
        times_s = self._began_s, time.monotonic()
        for number, (one, span) in enumerate(self._spans):
            attributes: Attributes = {
                **SYSTEM,
                "messaging.operation.name": "deliver",
                "messaging.destination.name": self._trigger,
                "skerry.event.number": one.event,
                "skerry.event.attempt": one.attempts + 1,
            }
            link = self._spans[0][1].context if number else None
            span.finish(f"deliver {self._trigger}", CONSUMER, times_s, attributes, status=status, link=link)


def context_of(document: bytes) -> tuple[str | None, str | None]:
    """Return what an event in structured mode says of its trace."""
    if MARK not in document:
        return None, None
    event = orjson.loads(document)
    parent, state = event.get(PARENT), event.get(STATE)
    return parent if isinstance(parent, str) else None, state if isinstance(state, str) else None


def keep_trace(entry: Entry, traceparent: str | None, tracestate: str | None) -> Entry:
    """Return an event that carries a trace, unless it carries one of its own or there is none."""
    if traceparent is None or PARENT in entry.attributes:
        return entry
    return entry.with_attributes({PARENT: traceparent, **({STATE: tracestate} if tracestate else {})})
