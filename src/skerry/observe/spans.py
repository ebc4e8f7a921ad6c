"""One traced request, and the spans that its times become."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from skerry.observe.otlp import INTERNAL, SERVER, Attributes, Span, encode_attributes, json_text
from skerry.observe.trace_context import TraceContext

NewId = Callable[[], str]


class TracedFunction:
    """What all spans of one function's requests have in common; made once.

    Args:
        name: The function.
        revision: The revision.
    """

    __slots__ = ("_attributes", "_outcomes", "span_name")

    def __init__(self, name: str, revision: str) -> None:
        route = f"/function/{name}"
        self.span_name = f"POST {route}"
        self._outcomes: dict[tuple[int, bool, str], str] = {}  # a few: statuses and codes of errors
        self._attributes: Attributes = {
            "faas.name": name,
            "faas.version": revision,
            "faas.trigger": "http",
            "http.request.method": "POST",
            "http.route": route,
            "url.scheme": "http",
        }

    def attributes(self, status: int, is_cold: bool, error_type: str) -> str:
        """Return the encoded attributes of a request with this outcome; each is encoded once."""
        outcome = (status, is_cold, error_type)
        if outcome not in self._outcomes:
            failed = {"error.type": error_type or str(status)} if status >= 500 or error_type else {}
            known = {"faas.coldstart": is_cold, "http.response.status_code": status}
            self._outcomes[outcome] = encode_attributes({**self._attributes, **known, **failed})
        return self._outcomes[outcome]


class SharedBatch:
    """A batch that requests were served in; the same object is given to all of them.

    Args:
        size: Requests in it, traced or not.
        reason: Why it left when it did.
    """

    __slots__ = ("attributes", "leader")

    def __init__(self, size: int, reason: str = "") -> None:
        self.attributes = encode_attributes({"skerry.batch.size": size, "skerry.batch.reason": reason})
        self.leader: TraceContext | None = None  # the batch's span in the first trace; the others link to it


class RequestTimes(NamedTuple):
    """When what happened to a request, in seconds of ``time.monotonic()``; none where it did not happen.

    Args:
        received_s: It was there.
        answered_s: Its answer was given to the connection.
        queued_s: It was put into the queue.
        dispatched_s: A worker was given it.
        returned_s: The worker's answer came.
        handler_began_s: The handler began; Linux has one monotonic clock for all processes.
        handler_ended_s: The handler ended.
        start_began_s: The worker that it waited for was asked for.
        start_ended_s: That worker was ready.
    """

    received_s: float
    answered_s: float
    queued_s: float | None = None
    dispatched_s: float | None = None
    returned_s: float | None = None
    handler_began_s: float | None = None
    handler_ended_s: float | None = None
    start_began_s: float | None = None
    start_ended_s: float | None = None


class FinishedRequest(NamedTuple):
    """A traced request that has been answered."""

    context: TraceContext
    handler_id: str
    parent_id: str
    function: TracedFunction
    status: int
    times: RequestTimes
    batch: SharedBatch | None
    invocation_id: str
    error_type: str

    def spans(self, offset_ns: int, new_id: NewId) -> list[Span]:
        """Return the server's span and those below it: ``start``, ``queue``, ``batch``, and ``handler`` below that.

        Args:
            offset_ns: What turns a monotonic time into Unix time.
            new_id: Returns a new span id.
        """
        times, above = self.times, self.context.span_id

        def below(name: str, begin_s: float, end_s: float | None, span_id: str) -> Span:
            begin_ns = int(begin_s * 1e9) + offset_ns
            end_ns = int((times.answered_s if end_s is None else end_s) * 1e9) + offset_ns
            return Span(self.context, span_id, above, name, INTERNAL, begin_ns, max(begin_ns, end_ns))

        spans = [self._server_span(offset_ns)]
        if times.start_began_s is not None:
            spans.append(below("start", times.start_began_s, times.start_ended_s, new_id()))
        if times.queued_s is not None:
            spans.append(below("queue", times.queued_s, times.dispatched_s, new_id()))
        if times.dispatched_s is not None and self.batch is not None:
            span = below("batch", times.dispatched_s, times.returned_s, new_id())
            spans.append(self._in_batch(span, self.batch))
            above = span.span_id
        if times.handler_began_s is not None:
            ended_s = times.returned_s if times.handler_ended_s is None else times.handler_ended_s
            spans.append(below("handler", times.handler_began_s, ended_s, self.handler_id))
        return spans

    def _server_span(self, offset_ns: int) -> Span:
        attributes = self.function.attributes(self.status, self.times.start_began_s is not None, self.error_type)
        # The id is another one each time, and of the kind that needs no escaping, unless it is the caller's.
        invocation = json_text(self.invocation_id) if self.invocation_id else f'"{self.context.span_id}"'
        begin_ns = int(self.times.received_s * 1e9)
        return Span(
            self.context,
            self.context.span_id,
            self.parent_id,
            self.function.span_name,
            SERVER,
            begin_ns + offset_ns,
            max(begin_ns, int(self.times.answered_s * 1e9)) + offset_ns,
            f'{attributes},{{"key":"faas.invocation_id","value":{{"stringValue":{invocation}}}}}',
            is_failed=self.status >= 500,
            is_parent_remote=bool(self.parent_id),
        )

    def _in_batch(self, span: Span, batch: SharedBatch) -> Span:
        link = batch.leader
        if link is None:
            batch.leader = self.context.child(span.span_id)
        return span._replace(attributes=batch.attributes, link=link)
