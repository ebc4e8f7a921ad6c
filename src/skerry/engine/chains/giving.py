"""Gives the steps of chains to functions: straight into their queues, without a hop over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import msgpack
import orjson

from skerry.engine.supervisor import Supervisor
from skerry.errors import FunctionNotFoundError, JobNotReadyError, SkerryError
from skerry.events.chain.calls import Cancel, Piece, StepCall, StepOutcome
from skerry.payload import MSGPACK
from skerry.runtime.call import Call
from skerry.runtime.frames import Codec, Frame, Kind
from skerry.runtime.front import Front
from skerry.runtime.observer import CallTrace
from skerry.runtime.pool import WorkerPool

if TYPE_CHECKING:
    from skerry.observe import TracedFunction

NOT_SERVED_S = 1.0


class ChainCall(Call):
    """The call of one step.

    Args:
        pool: The function's workers.
        asked: The step.
        on_piece: Called with what a fused run says of its steps.
    """

    def __init__(
        self, pool: WorkerPool, asked: StepCall, meta: dict[str, Any], on_piece: Callable[[Piece], None] | None = None
    ) -> None:
        super().__init__(asked.body, Codec.MSGPACK, meta, self._ended)
        self.attempts = asked.attempts
        self._pool = pool
        self._asked = asked
        self._on_piece = on_piece
        self._unpacker = None if on_piece is None else msgpack.Unpacker(raw=False, max_buffer_size=0)

    def on_piece(self, frame: Frame) -> None:
        """Take what a fused run says of its steps, and let it go on."""
        if frame.kind == Kind.STREAM or not frame.body:
            return
        self._pool.credit(self, len(frame.body))
        if self._on_piece is None or self._unpacker is None:
            return
        self._unpacker.feed(frame.body)
        for item in self._unpacker:
            if isinstance(item, list):  # else it is the error that ends the stream, and is told with its end
                self._on_piece(Piece(*item))

    def cancel(self) -> None:
        """Take the step back."""
        if self.enqueued_s and not self.done:
            self._pool.dispatcher.cancel(self, JobNotReadyError("the run was cancelled"))
            self._pool.wake()

    def _ended(self, answer: Frame | SkerryError) -> None:
        self._asked.on_outcome(outcome_of(answer))


def outcome_of(answer: Frame | SkerryError) -> StepOutcome:
    """Return what a function's answer means for its step."""
    if isinstance(answer, SkerryError):
        wait_s = answer.details.get("retry_after_s")
        return StepOutcome(answer.http_status, b"", answer.message, None if wait_s is None else float(wait_s))
    if answer.kind == Kind.ERROR:
        try:
            message = str(orjson.loads(answer.body)["detail"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            message = "no detail was given"
        return StepOutcome(int(answer.meta.get("status", 500)), b"", message)
    if answer.kind == Kind.RESULT and answer.codec != Codec.MSGPACK:
        return StepOutcome(422, b"", "a step returns a value, and no event")
    return StepOutcome(200, answer.body, handler_us=answer.time)


class Giver:
    """Gives steps to the functions that a supervisor serves.

    Args:
        supervisor: What serves.
        front: Whose traces the steps are in.
        deployed: Returns the names of the functions that are deployed, served or not.
    """

    def __init__(self, supervisor: Supervisor, front: Front, deployed: Callable[[], Collection[str]]) -> None:
        self._supervisor = supervisor
        self._front = front
        self._deployed = deployed
        self._traced: dict[str, TracedFunction] = {}

    def step(self, call: StepCall) -> Cancel:
        """Give a step to its function; see `Give.step`."""
        return self._give(call, None)

    def fused(self, call: StepCall, on_piece: Callable[[Piece], None]) -> Cancel:
        """Give the rest of a run to the chain's own function; see `Give.fused`."""
        return self._give(call, on_piece)

    def traced(self, function: str, traceparent: str, *, status: int, began_s: float, ended_s: float) -> None:
        """Show a step of a fused run in its trace; see `Give.traced`."""
        if self._front.tracer is None:
            return
        trace = self._front.tracer.start_request(traceparent.encode("latin-1"))
        if trace is None:
            return
        from skerry.observe import TracedFunction
        from skerry.observe.spans import RequestTimes

        known = self._traced.setdefault(function, TracedFunction(function, "fused"))
        times = RequestTimes(began_s, ended_s, handler_began_s=began_s, handler_ended_s=ended_s)
        trace.finish(known, status, times)

    # Inside

    def _give(self, asked: StepCall, on_piece: Callable[[Piece], None] | None) -> Cancel:
        try:
            pool = self._supervisor.find(asked.function).pool
        except FunctionNotFoundError as error:
            if asked.function in self._deployed():  # it will be served
                asked.on_outcome(StepOutcome(503, b"", error.message, NOT_SERVED_S))
            else:
                asked.on_outcome(StepOutcome(error.http_status, b"", error.message))
            return _nothing
        meta: dict[str, Any] = {"accept": MSGPACK, "step": asked.key, "traceparent": asked.traceparent}
        call = ChainCall(pool, asked, meta, on_piece)
        if self._front.tracer is not None:
            trace = self._front.tracer.start_request(asked.traceparent.encode("latin-1"))
            if trace is not None:
                call.trace = CallTrace(trace)
                call.meta["traceparent"] = trace.traceparent
        try:
            pool.take(call)
        except SkerryError as error:
            asked.on_outcome(outcome_of(error))
            return _nothing
        return call.cancel


def _nothing() -> None:
    """Take nothing back: it is answered already."""
