"""Who is told what becomes of calls, to count and to trace it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skerry.runtime.frames import Frame, Kind

if TYPE_CHECKING:
    from skerry.observe import FunctionMetrics, Histogram, RequestTrace, SharedBatch, TracedFunction
    from skerry.runtime.call import Call

ERROR = int(Kind.ERROR)


class Observer:
    """Is told what a dispatcher and its pool do, and does nothing with it."""

    def handed_over(self, calls: Sequence[Call], reason: str, now_s: float) -> None:
        """A worker has been given calls together."""

    def answered(self, answers: Sequence[tuple[Call, Frame]], now_s: float) -> None:
        """A worker has answered calls whose callers still wait."""

    def ran_for_nobody(self, answer: Frame) -> None:
        """A worker has answered a call that was over already."""

    def ended(self, call: Call, status: int, now_s: float) -> None:
        """A call is over without a worker's answer."""

    def refused(self, status: int) -> None:
        """A call was not taken."""

    def worker_started(self, phases_ms: Mapping[str, float], began_s: float, *, cold: bool) -> None:
        """A worker is ready; cold if a call waits for it."""

    def durations(self) -> Mapping[int, Histogram]:
        """Return the time from arrival to answer, by status code; nothing where nothing is counted."""
        return {}

    def handling(self) -> Histogram | None:
        """Return the handler's time; none where nothing is counted."""
        return None

    def close(self) -> None:
        """Nothing more will happen."""


@dataclass(slots=True)
class CallTrace:
    """What a traced call remembers besides its own times.

    Args:
        trace: Its trace.
        batch: The batch that it was handed over in.
        start: When the worker that it waited for was asked for and was ready, readings of the monotonic clock.
    """

    trace: RequestTrace
    batch: SharedBatch | None = None
    start: tuple[float, float] | None = None


class FunctionObserver(Observer):
    """Counts and traces what happens to the calls of one revision.

    Args:
        metrics: Where it is counted.
        function: What its spans have in common; none where nothing is traced.
    """

    def __init__(self, metrics: FunctionMetrics, function: TracedFunction | None) -> None:
        self._metrics = metrics
        self._function = function
        self._start: tuple[float, float] | None = None  # of the worker that became ready last

    def handed_over(self, calls: Sequence[Call], reason: str, now_s: float) -> None:
        """Count a batch and the time that its calls have waited."""
        self._metrics.batch([now_s - call.enqueued_s for call in calls], reason)
        if self._function is not None:
            self._note_batch(calls, reason)

    def answered(self, answers: Sequence[tuple[Call, Frame]], now_s: float) -> None:
        """Count answers by status, and the handler's time."""
        good: list[float] = []
        handler_us = 0
        for call, frame in answers:
            handler_us += frame.time
            if frame.kind == ERROR:
                self._metrics.answered(int(frame.meta["status"]), now_s - call.enqueued_s)
            else:
                good.append(now_s - call.enqueued_s)
        if good:
            self._metrics.answered_all(200, good)
        self._metrics.handler_us += handler_us
        # Each item of a group says its share, and took as long as the whole.
        self._metrics.handled(handler_us * answers[0][0].together / (1e6 * len(answers)), len(answers))
        if self._function is not None:
            for call, frame in answers:
                status = int(frame.meta["status"]) if frame.kind == ERROR else 200
                self._finish(call, status, now_s, frame.time * call.together / 1e6)

    def ran_for_nobody(self, answer: Frame) -> None:
        """Count the time of a handler whose caller had left: it ran all the same."""
        self._metrics.handler_us += answer.time

    def ended(self, call: Call, status: int, now_s: float) -> None:
        """Count a call that the queue, the clock or its caller has ended."""
        self._metrics.answered(status, now_s - call.enqueued_s)
        self._finish(call, status, now_s, None)

    def refused(self, status: int) -> None:
        """Count a call that was not taken."""
        self._metrics.answered(status, 0.0)

    def worker_started(self, phases_ms: Mapping[str, float], began_s: float, *, cold: bool) -> None:
        """Count the start of a worker."""
        self._metrics.worker_started(phases_ms, cold=cold)
        self._start = began_s, began_s + sum(phases_ms.values()) / 1000

    def durations(self) -> Mapping[int, Histogram]:
        """Return the time from arrival to answer, by status code."""
        return self._metrics.durations

    def handling(self) -> Histogram | None:
        """Return the handler's time."""
        return self._metrics.handling

    def close(self) -> None:
        """Show this revision no more."""
        self._metrics.close()

    def _note_batch(self, calls: Sequence[Call], reason: str) -> None:
        from skerry.observe.spans import SharedBatch  # nothing is traced without a collector

        batch = SharedBatch(len(calls), reason) if len(calls) > 1 else None
        for call in calls:
            if call.trace is not None:
                call.trace.batch = batch
                if self._start is not None and self._start[1] > call.enqueued_s:
                    call.trace.start = self._start

    def _finish(self, call: Call, status: int, now_s: float, handler_s: float | None) -> None:
        traced = call.trace
        if traced is None or self._function is None:
            return
        call.trace = None
        ran = handler_s is not None
        start = traced.start
        from skerry.observe.spans import RequestTimes

        times = RequestTimes(
            received_s=call.enqueued_s,
            answered_s=now_s,
            queued_s=call.enqueued_s,
            dispatched_s=call.started_s if call.attempts else None,
            returned_s=now_s if ran else None,
            handler_began_s=max(call.started_s, now_s - handler_s) if handler_s is not None else None,
            handler_ended_s=now_s if ran else None,
            start_began_s=None if start is None else max(start[0], call.enqueued_s),
            start_ended_s=None if start is None else start[1],
        )
        traced.trace.finish(self._function, status, times, batch=traced.batch)
