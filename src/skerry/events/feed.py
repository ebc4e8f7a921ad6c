"""One trigger at work: deliveries out of the backlog, in order, to its function, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from skerry.errors import SkerryError
from skerry.events.backlog.base import Backlog, Settled
from skerry.events.dead import DeadEvent, dead_event
from skerry.events.delivery import Delivery, Entry
from skerry.events.line import Line
from skerry.events.metrics import TriggerMetrics
from skerry.events.reply import pass_on
from skerry.events.traces import Delivering, context_of, keep_trace
from skerry.events.verdict import DEADLINE_STATUS, is_too_late, judge
from skerry.observe import Tracer
from skerry.payload import event_http
from skerry.spec import Retry

logger = logging.getLogger(__name__)
WINDOW = 10_000  # deliveries of a trigger in memory, at most
WINDOW_BYTES = 64 * 2**20
MOST_IN_FLIGHT = 512  # that a function is given at a time; it sees by them how busy it is
PASS_ON_AGAIN_S = 1.0  # until an event whose function's answer was not taken is given to it again
LOAD_AGAIN_S = 1.0  # until a backlog that did not answer is asked again


class Outcome(NamedTuple):
    """What a function has answered.

    Args:
        status: HTTP status; below 300 it has dealt with what it was given.
        message: What an error says.
        wait_s: What it asks to wait at least, seconds.
        reply: The event that it has answered with, if it has.
    """

    status: int
    message: str = ""
    wait_s: float | None = None
    reply: Entry | None = None


class Parcel(NamedTuple):
    """What a function is given in one call.

    Args:
        body: One event in structured mode, or several as a batch.
        content_type: Which of the two.
        attempts: Earlier attempts.
        on_outcome: Called once with what became of it.
        trace: What the call is below, as ``traceparent`` and ``tracestate``; none of them where nothing is traced.
    """

    body: bytes
    content_type: str
    attempts: int
    on_outcome: Callable[[Outcome], None]
    trace: tuple[str | None, str | None] = (None, None)


class Give(Protocol):
    """Gives parcels to functions."""

    def __call__(self, function: str, parcel: Parcel) -> None:
        """Give a parcel; its ``on_outcome`` is called later, in another turn of the event loop or this one."""


class Feed:
    """Feeds one function with what one of its triggers has taken.

    Args:
        name: The trigger's.
        function: Whom it feeds.
        backlog: Where deliveries come from.
        give: Gives them to the function.
        chance: Returns a random number from 0 to 1.
        on_settled: Called with the number of deliveries that are done or dead.
        publish: Publishes what the function has answered with.
        sink: Sends a dead letter where it goes as well; returns once it is durable there.
    """

    def __init__(
        self,
        name: str,
        function: str,
        *,
        backlog: Backlog,
        give: Give,
        chance: Callable[[], float],
        on_settled: Callable[[int], None],
        publish: Callable[[Entry], Awaitable[object]],
        sink: Callable[[DeadEvent], Awaitable[object]],
    ) -> None:
        self.name = name
        self.function = function
        self.retry = Retry()
        self.batch = 1
        self.closed = False
        self.is_local = False  # its function is called by this machine only
        self.line = Line()
        self.dead = 0  # since it began
        self.done = 0
        self.waiting = 0  # deliveries that are not settled, in the backlog or here
        self.metrics = TriggerMetrics()
        self.tracer: Tracer | None = None
        self._backlog = backlog
        self._give = give
        self._chance = chance
        self._on_settled = on_settled
        self._publish = publish
        self._sink = sink
        self._replying: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._cursor = 0
        self._is_behind = True
        self._loading: asyncio.Task[None] | None = None
        self._pumping = False
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing that the function has not dealt with."""
        return not self._is_behind and not self.line.held

    def wake(self) -> None:
        """Look into the backlog: something is there."""
        self._is_behind = True
        self._load_soon()

    def close(self) -> None:
        """Give nothing more; what the function has is not awaited."""
        self.closed = True
        if self._alarm is not None:
            self._alarm.cancel()

    # Inside

    def _load_soon(self) -> None:
        line = self.line
        room = line.held < WINDOW // 2 and line.held_bytes < WINDOW_BYTES
        if self._is_behind and room and self._loading is None and not self.closed:
            self._loading = self._loop.create_task(self._load())

    async def _load(self) -> None:
        try:
            while self._is_behind and not self.closed and self.line.held < WINDOW:
                self._is_behind = False
                most = min(WINDOW - self.line.held, 1000)
                found = await self._backlog.take(self.name, self._cursor, most)
                self._is_behind = self._is_behind or len(found) == most
                now_s = time.time()
                for delivery in found:
                    self._cursor = delivery.position
                    self.line.add(delivery, now_s)
                self._pump()
                if self.line.held_bytes >= WINDOW_BYTES:
                    return
        except Exception as error:  # else nobody would look again before the next event
            logger.warning("events of %s are not read, and tried again: %s", self.name, _said(error))
            self._is_behind = True
            self._loop.call_later(LOAD_AGAIN_S, self._load_soon)
        finally:
            self._loading = None

    def _pump_soon(self) -> None:
        """Answers of one turn of the loop are followed by the next deliveries together."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        line, now_s = self.line, time.time()
        while not self.closed and line.in_flight < MOST_IN_FLIGHT:
            taken = line.take(now_s, min(self.batch, MOST_IN_FLIGHT - line.in_flight))
            if not taken:
                break
            self._send(taken, now_s)
        self._set_alarm(now_s)
        self._load_soon()

    def _set_alarm(self, now_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due_s = self.line.next_due_s()
        if due_s is not None and not self.closed:
            self._alarm = self._loop.call_later(max(0.0, due_s - now_s), self._pump)

    def _send(self, taken: list[Delivery], now_s: float) -> None:
        retry = self.retry
        late = [one for one in taken if is_too_late(retry, now_s - one.accepted_at)] if retry.deadline else []
        for one in late:
            self._bury(one, DEADLINE_STATUS, f"its deadline of {retry.deadline} has passed", now_s)
        going = [one for one in taken if one not in late] if late else taken
        if not going:
            return
        if self.batch == 1:
            body, content_type = going[0].document, event_http.STRUCTURED
        else:
            body, content_type = event_http.write_batch(one.document for one in going), event_http.BATCH
        self._count_attempt(going, now_s)
        tracing = None if self.tracer is None else Delivering(self.tracer, self.name, going)
        has_ended = False

        def on_outcome(outcome: Outcome) -> None:
            nonlocal has_ended
            if has_ended:
                return
            has_ended, ended_s = True, time.time()
            self.metrics.answered(outcome.status, max(0.0, ended_s - now_s), len(going))
            if tracing is not None or outcome.reply is not None:
                outcome = self._traced(going, outcome, tracing)
            self._ended(going, outcome, ended_s)

        parcel = Parcel(body, content_type, going[0].attempts, on_outcome)
        if tracing is not None:
            parcel = parcel._replace(trace=tracing.context)
        try:
            self._give(self.function, parcel)
        except Exception as error:  # nobody would ever answer for them
            logger.exception("events cannot be given to %s", self.name)
            on_outcome(Outcome(500, f"it cannot be given: {_said(error)}"))

    def _traced(self, given: Sequence[Delivery], outcome: Outcome, tracing: Delivering | None) -> Outcome:
        """Finish the trace of an attempt; an answer that is an event goes on with it."""
        try:
            if tracing is not None:
                tracing.finish(outcome.status)
            if outcome.reply is None:
                return outcome
            found = context_of(given[0].document)
            above = found if tracing is None or tracing.traceparent is None else tracing.context
            return outcome._replace(reply=keep_trace(outcome.reply, *above))
        except Exception:  # a trace is worth no event
            logger.exception("the trace of events of %s is not finished", self.name)
            return outcome

    def _count_attempt(self, going: Sequence[Delivery], now_s: float) -> None:
        metrics = self.metrics
        # The moment of acceptance may be another machine's: its clock may be ahead.
        first = [max(0.0, now_s - one.accepted_at) for one in going if not one.tries]
        metrics.processing.observe_all(first)
        metrics.retries.value += len(going) - len(first)
        for one in going:
            one.tries += 1

    def _ended(self, given: list[Delivery], outcome: Outcome, now_s: float) -> None:
        if outcome.reply is not None:
            task = self._loop.create_task(self._pass_on(given, outcome.reply))
            self._replying.add(task)
            task.add_done_callback(self._replying.discard)
            return
        if outcome.status < 300:
            for one in given:
                self._backlog.settle(Settled(self.name, one, "done"))
                self.line.done(one, now_s)
            self.done += len(given)
            self._count(len(given))
        elif len(given) > 1:
            # One of them may be to blame: each is tried alone, and only that counts.
            for one in given:
                one.alone, one.due_at = True, now_s + (outcome.wait_s or 0.0)
                self.line.again(one, now_s)
        else:
            self._failed(given[0], outcome, now_s)
        self._pump_soon()

    async def _pass_on(self, given: list[Delivery], reply: Entry) -> None:
        """Publish an answer; only then is what it answers dealt with."""
        try:
            passed = pass_on(reply, given[0].document)
            if passed is not None:
                await self._publish(passed)
            else:
                logger.warning(
                    "function %s answers its own answers: its reply to event %d is dropped", self.name, given[0].event
                )
            outcome = Outcome(200)
        except SkerryError as error:
            outcome = Outcome(503, f"its reply is not taken: {error.message}", PASS_ON_AGAIN_S)
        except Exception as error:  # an attempt like others: one that always ends so must end
            logger.exception("the reply of %s to event %d cannot be taken", self.name, given[0].event)
            outcome = Outcome(500, f"its reply cannot be taken: {_said(error)}")
        self._ended(given, outcome, time.time())

    def _failed(self, one: Delivery, outcome: Outcome, now_s: float) -> None:
        verdict = judge(
            self.retry,
            status=outcome.status,
            attempts=one.attempts,
            age_s=now_s - one.accepted_at,
            chance=self._chance(),
            wait_s=outcome.wait_s,
        )
        one.attempts = verdict.attempts
        if verdict.action == "dead":
            self._bury(one, outcome.status, f"{outcome.message} ({verdict.reason})", now_s)
            return
        one.alone = one.alone or one.attempts > 0
        one.due_at = now_s + verdict.pause_s
        self._backlog.settle(Settled(self.name, one, "again"))
        self.line.again(one, now_s)

    def _bury(self, one: Delivery, code: int, error: str, now_s: float) -> None:
        try:
            going = dead_event(one, self.retry, trigger=self.name, code=code, error=error)
        except Exception:  # it is dead here all the same
            logger.exception("event %d goes nowhere as a dead letter of %s", one.event, self.name)
            going = None
        if going is None:
            self._buried(one, code, error, now_s)
            return
        task = self._loop.create_task(self._send_on(one, going, code, error))
        self._replying.add(task)
        task.add_done_callback(self._replying.discard)

    async def _send_on(self, one: Delivery, going: DeadEvent, code: int, error: str) -> None:
        """Send a dead letter where it goes as well; only then is it dead: killed before, the function fails again."""
        while not self.closed:
            try:
                await self._sink(going)
            except SkerryError as refused:
                logger.warning("a dead letter of %s is not taken, and sent again: %s", self.name, refused.message)
                await asyncio.sleep(PASS_ON_AGAIN_S)
                continue
            except Exception:  # it is dead here all the same
                logger.exception("event %d goes nowhere as a dead letter of %s", one.event, self.name)
            self._buried(one, code, error, time.time())
            self._pump_soon()
            return

    def _buried(self, one: Delivery, code: int, error: str, now_s: float) -> None:
        logger.info("event %d is a dead letter of %s: %d %s", one.event, self.name, code, error)
        self._backlog.settle(Settled(self.name, one, "dead", code, error))
        self.line.done(one, now_s)
        self.dead += 1
        self._count(1)

    def _count(self, count: int) -> None:
        self.waiting -= count
        if not self.closed:  # else the trigger is gone, and what waited for it is counted out already
            self._on_settled(count)


def _said(error: Exception) -> str:
    return error.message if isinstance(error, SkerryError) else f"{type(error).__name__}: {error}"
