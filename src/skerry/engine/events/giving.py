"""Gives events to functions: straight into their queues, without a hop over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable

import orjson

from skerry.engine.supervisor import Supervisor
from skerry.errors import DeadlineExceededError, FunctionNotFoundError, SkerryError
from skerry.events.feed import Give, Outcome, Parcel
from skerry.events.reading import read_events
from skerry.observe import Tracer
from skerry.payload import event_http
from skerry.runtime.call import Call
from skerry.runtime.frames import CONTENT_TYPE_OF, NO_META, Codec, Frame, Kind
from skerry.runtime.observer import CallTrace
from skerry.runtime.pool import WorkerPool

logger = logging.getLogger(__name__)
URGENCY = 4  # behind callers, who wait for an answer (theirs is 3 unless they say something else)
NOT_SERVED_S = 1.0
BeginRuns = Callable[[str, Parcel], None]  # the chain's name
DONE = Outcome(200)
CODECS = {event_http.STRUCTURED: Codec.EVENT, event_http.BATCH: Codec.EVENTS}


class EventCall(Call):
    """The call that gives events to a function.

    Args:
        pool: The function's workers.
        parcel: What they are given.
        tracer: Traces the call, where the parcel is traced.
    """

    urgency = URGENCY

    def __init__(self, pool: WorkerPool, parcel: Parcel, tracer: Tracer | None = None) -> None:
        super().__init__(parcel.body, CODECS[parcel.content_type], NO_META, self._ended)
        self.attempts = parcel.attempts
        parent, state = parcel.trace
        if parent is not None:
            self._trace(parent, state or "", tracer)
        self._pool = pool
        self._on_outcome = parcel.on_outcome

    def on_piece(self, frame: Frame) -> None:
        """Let a stream go on: nobody reads it."""
        if frame.body:
            self._pool.credit(self, len(frame.body))

    def _trace(self, parent: str, state: str, tracer: Tracer | None) -> None:
        trace = None if tracer is None else tracer.start_request(parent.encode(), state.encode("latin-1", "replace"))
        if trace is not None:
            self.trace, parent = CallTrace(trace), trace.traceparent
        self.meta = {"traceparent": parent, **({"tracestate": state} if state else {})}

    def _ended(self, answer: Frame | SkerryError) -> None:
        try:
            outcome = outcome_of(answer)
        except Exception as error:  # the function's events wait for an outcome, whatever it has answered
            logger.exception("the answer of %s to an event cannot be read", self._pool.spec.name)
            outcome = Outcome(500, f"its answer cannot be read: {type(error).__name__}: {error}")
        self._on_outcome(outcome)


def outcome_of(answer: Frame | SkerryError) -> Outcome:
    """Return what a function's answer means for the events that it was given."""
    if isinstance(answer, DeadlineExceededError):
        return Outcome(503, answer.message, NOT_SERVED_S)  # an event has no caller's deadline: it was not run
    if isinstance(answer, SkerryError):
        wait_s = answer.details.get("retry_after_s")
        return Outcome(answer.http_status, answer.message, None if wait_s is None else float(wait_s))
    if answer.kind != Kind.ERROR:
        return _done(answer)
    try:
        message = str(orjson.loads(answer.body)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = "no detail was given"
    return Outcome(int(answer.meta.get("status", 500)), message)


def _done(answer: Frame) -> Outcome:
    headers = answer.meta.get("headers")
    if not headers or not event_http.is_event(headers):
        return DONE
    content_type = answer.meta.get("content_type") or CONTENT_TYPE_OF.get(Codec(answer.codec), "")
    try:
        (reply,) = read_events({**headers, **({"content-type": content_type} if content_type else {})}, answer.body)
    except SkerryError as error:
        return Outcome(500, f"it answers with an event that is none: {error.message}")
    return Outcome(200, reply=reply)


def giver(supervisor: Supervisor, begin: BeginRuns, tracer: Tracer | None = None) -> Give:
    """Return what gives parcels to the functions that a supervisor serves.

    Args:
        supervisor: What serves.
        begin: Begins a run for each event of a parcel that is a chain's.
        tracer: Writes down the spans of deliveries.
    """

    def give(function: str, parcel: Parcel) -> None:
        try:
            pool = supervisor.find(function).pool
        except FunctionNotFoundError as error:
            parcel.on_outcome(Outcome(503, error.message, NOT_SERVED_S))  # it is deployed, and will be served
            return
        if pool.spec.chain is not None:
            begin(function, parcel)
            return
        try:
            pool.take_later(EventCall(pool, parcel, tracer))
        except SkerryError as error:
            parcel.on_outcome(outcome_of(error))

    return give
