"""Which requests are traced, and what is kept of them until it is sent."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from skerry.observe.otlp import Span, encode_span
from skerry.observe.spans import FinishedRequest, NewId, RequestTimes, SharedBatch, TracedFunction
from skerry.observe.telemetry import Telemetry
from skerry.observe.trace_context import SAMPLED, TraceContext, is_unsampled, parse_traceparent

if TYPE_CHECKING:
    from skerry.observe.event_spans import OpenSpan

_ALL = 1 << 64


class Finished(Protocol):
    """Something that has ended, which is one span or more."""

    def spans(self, offset_ns: int, new_id: NewId, /) -> list[Span]:
        """Return them; ``offset_ns`` turns a monotonic time into Unix time."""


class Tracer:
    """Decides which requests are traced and holds what is finished, up to a bound.

    The event loop starts and finishes; one other thread takes. Spans are made and encoded on the event loop: a thread
    that computes would make it wait for the interpreter, for longer. Where nothing is exported, make no tracer.

    Args:
        telemetry: How many requests are traced, and how many may wait.
        entropy: Random numbers; its own, so that nobody's seed makes two processes choose the same ids.
    """

    def __init__(self, telemetry: Telemetry, *, entropy: random.Random | None = None) -> None:
        self.dropped = 0  # finished while the queue was full
        self.on_batch: Callable[[], None] = lambda: None  # called when a whole batch waits
        self._bits = (entropy or random.Random()).getrandbits
        self._follow_parent = telemetry.follow_parent
        self._threshold = int(telemetry.ratio * _ALL)
        self._max_queue = telemetry.max_queue
        self._max_batch = telemetry.max_batch
        self._finished: deque[str] = deque()  # encoded

    def __len__(self) -> int:
        return len(self._finished)

    def start_request(self, traceparent: bytes | None, tracestate: bytes | None = None) -> RequestTrace | None:
        """Return the trace of a request that has just come; none when it is not sampled.

        What is not sampled keeps its headers: they are passed on as they came.

        Args:
            traceparent: The header's value, if there is one.
            tracestate: The header's value; several such headers joined with commas.
        """
        parent = None
        if traceparent is not None:
            if self._follow_parent and is_unsampled(traceparent):
                return None
            parent = parse_traceparent(traceparent.decode("latin-1"), (tracestate or b"").decode("latin-1"))
        if parent is not None:
            if self._follow_parent:
                if not parent.is_sampled:
                    return None
            elif int(parent.trace_id[16:], 16) >= self._threshold:
                return None
            ids = f"{self._bits(128):032x}"
            context = TraceContext(parent.trace_id, ids[:16], parent.flags | SAMPLED, parent.state)
            return RequestTrace(self, context, ids[16:], parent.span_id)
        low = self._bits(64)
        if low >= self._threshold:
            return None
        ids = f"{self._bits(192):048x}"
        context = TraceContext(f"{ids[32:]}{low:016x}", ids[:16])
        return RequestTrace(self, context, ids[16:32], "")

    def start_span(self, traceparent: str | None, tracestate: str | None = None) -> OpenSpan | None:
        """Return a span of something else than a request, such as an event on its way; none when it is not sampled.

        Args:
            traceparent: What is above it, in the header's form, if there is something.
            tracestate: The same.
        """
        from skerry.observe.event_spans import OpenSpan  # most traced processes have no events

        trace = self.start_request(
            None if traceparent is None else traceparent.encode("latin-1", "replace"),
            None if tracestate is None else tracestate.encode("latin-1", "replace"),
        )
        return None if trace is None else OpenSpan(self, trace.context, trace.parent_id)

    def add(self, finished: Finished) -> None:
        """Encode a finished request and keep it until it is taken, or count it as dropped."""
        waiting = len(self._finished)
        if waiting >= self._max_queue:
            self.dropped += 1
            return
        spans = finished.spans(time.time_ns() - time.monotonic_ns(), self._new_id)
        self._finished.append(",".join(map(encode_span, spans)))
        if waiting + 1 == self._max_batch:
            self.on_batch()

    def take(self) -> list[str]:
        """Take the encoded spans of the oldest finished requests, one text for each, one batch at most."""
        return [self._finished.popleft() for _ in range(min(len(self._finished), self._max_batch))]

    def _new_id(self) -> str:
        return f"{self._bits(64):016x}"


class RequestTrace:
    """A sampled request that has not been answered yet.

    Its two headers are for the handler: what that calls then appears below the handler's span.
    """

    __slots__ = ("_handler_id", "_tracer", "context", "parent_id")

    def __init__(self, tracer: Tracer, context: TraceContext, handler_id: str, parent_id: str) -> None:
        self._tracer = tracer
        self.context = context
        self._handler_id = handler_id
        self.parent_id = parent_id

    @property
    def traceparent(self) -> str:
        """The header that the handler passes on."""
        return f"00-{self.context.trace_id}-{self._handler_id}-{self.context.flags:02x}"

    @property
    def tracestate(self) -> str:
        """The header that the handler passes on, as it came; may be empty."""
        return self.context.state

    def finish(
        self,
        function: TracedFunction,
        status: int,
        times: RequestTimes,
        *,
        batch: SharedBatch | None = None,
        invocation_id: str = "",
        error_type: str = "",
    ) -> None:
        """Say that the request has been answered; call it once.

        Args:
            function: What was called.
            status: The status code of the answer.
            times: When what happened.
            batch: The batch that it was served in, shared with the others of it.
            invocation_id: The id by which the call is known elsewhere, such as a job's; the span's by default.
            error_type: The error's code, where the request failed.
        """
        self._tracer.add(
            FinishedRequest(
                self.context,
                self._handler_id,
                self.parent_id,
                function,
                status,
                times,
                batch,
                invocation_id,
                error_type,
            )
        )
