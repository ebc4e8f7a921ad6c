"""The queue of one function and the workers that serve it: a state machine without I/O.

Calls wait by urgency and then in order, with an objective the late ones last. A call leaves the queue when a worker has
room, is answered exactly once, and is never given to a second worker unless the first certainly did not begin it, or
the function may run twice (`idempotent`). How many calls a worker is given at a time is for `sizing` to say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

from skerry.errors import InternalError, QueueFullError, SkerryError, UnavailableError, WorkerLostError
from skerry.observe import CLIENT_LEFT
from skerry.runtime import verdicts
from skerry.runtime.call import CALL, Call, Slot, frame_of
from skerry.runtime.deadlines import Deadlines
from skerry.runtime.frames import HEADER, Frame, Kind, encode_frame
from skerry.runtime.load import Load
from skerry.runtime.observer import Observer
from skerry.runtime.sizing import Depth, ObjectiveBatches, Sizing
from skerry.runtime.soundness import fits
from skerry.runtime.waiting import WaitingLine
from skerry.spec import Batch, FunctionSpec

logger = logging.getLogger(__name__)

MAX_RETURNS = 10  # workers that die before they begin a call, one after the other, will not stop doing so
UNRESPONSIVE_S = 5.0
ENDS = frozenset(map(int, (Kind.RESULT, Kind.ERROR, Kind.END)))
RESULT = int(Kind.RESULT)


class Dispatcher:
    """The queue and the workers of one revision of one function.

    Args:
        spec: The function's options: `queue`, `concurrency`, `batch`, `max_in_flight`, `timeout`, `idempotent`.
        clock: Monotonic seconds.
        on_demand: Called when a call waits and no worker is there at all.
        on_drained: Called with a slot that was told to stop and has nothing left to do.
        on_empty: Called when the last call in the system has been answered.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        *,
        clock: Callable[[], float],
        on_demand: Callable[[], None],
        on_drained: Callable[[Slot], None],
        on_empty: Callable[[], None] = lambda: None,
    ) -> None:
        self.spec = spec
        self.waiting = WaitingLine()
        self.slots: list[Slot] = []
        self.queued = 0  # waiting; the line may hold abandoned ones besides
        self.load = Load(clock())
        self.sizing: Sizing = Depth() if spec.batch is None else ObjectiveBatches(spec.batch)
        self.refusal: SkerryError | None = None  # set while nothing can start or after close
        self._clock = clock
        self._on_demand = on_demand
        self._on_drained = on_drained
        self._on_empty = on_empty
        self.observer = Observer()  # is told what happens, to count it
        self._weighs_bytes = spec.batch is not None and spec.batch.weight == "bytes"
        self._closing: SkerryError | None = None  # the refusal that lasts
        self._arrivals = 0
        self._number = 0
        self._idle_s = 0.0  # of workers, up to the moment when each was given its latest call
        self._deadlines = Deadlines()

    # Calls come and go

    def offer(self, call: Call) -> None:
        """Put a call in the queue.

        Raises:
            QueueFullError: as many calls wait as the function's `queue` allows.
            SkerryError: the refusal in force, when nothing can start or the server shuts down.
        """
        if self.refusal is not None:
            self.observer.refused(self.refusal.http_status)
            raise copy(self.refusal)  # each traceback holds its request, and one error would gather them all
        if self.queued >= self.spec.queue and self.queued >= self.spec.queue + self._free_room():
            if not self.slots:
                self._on_demand()  # with queue=0, the caller's next try is to find a worker
            self.observer.refused(QueueFullError.http_status)
            raise QueueFullError(
                f"function {self.spec.name!r}: {self.queued} requests wait, and its queue holds {self.spec.queue}; "
                "try again later, or raise queue or scale.max",
                retry_after_s=self.drain_s(),
            )
        now = self._clock()
        call.enqueued_s = now
        call.waiting = True
        if self._weighs_bytes and call.weight is None:
            call.weight = float(len(call.body))
        self._arrivals = call.arrival = self._arrivals + 1
        self.load.entered(now)
        self.queued += 1
        self.waiting.push(call)
        if call.timeout_s is not None:
            call.deadline_s = now + call.timeout_s
            self._deadlines.add(call.deadline_s, call, open_calls=self.load.in_system)
        if not self.slots:
            self._on_demand()

    def abandon(self, call: Call) -> None:
        """Forget a call whose caller has left; one that runs is stopped if its code lets itself be stopped."""
        if call.done:
            return
        self._finish(call, CLIENT_LEFT)
        if call.slot is not None:
            call.slot.port.cancel(call.number)
        else:
            self._forget_done()

    def cancel(self, call: Call, error: SkerryError) -> None:
        """Answer a call with ``error``; where it runs already, its worker is ended if nothing else stops its code.

        A call that lies with a worker that has not begun it leaves that worker alone, for the sake of the call that
        runs there; should it begin nevertheless, `sweep` ends the worker.
        """
        if call.done:
            return
        slot = call.slot
        self._answer(call, error)
        if slot is None:
            self._forget_done()
            return
        slot.port.cancel(call.number)
        if self.spec.concurrency == 1 and not slot.is_group:
            call.cancelled = True
            self._end_cancelled(slot)

    def credit(self, call: Call, size_bytes: int) -> None:
        """Tell the worker of a stream that its caller has taken so much of it."""
        if call.slot is not None and not call.done:
            call.slot.port.send(encode_frame(Kind.CREDIT, call.number, time=size_bytes))

    def pump(self) -> None:
        """Hand waiting calls to workers that have room, the most recently used first."""
        if self._deadlines.have_passed(self._clock()):
            self.expire()  # the alarm may be late
        while self.queued:
            free = [s for s in self.slots if not s.draining and s.reason is None and self._room(s) > 0]
            left = self._left_in_flight()
            if not free or left <= 0:
                return
            before = self.queued
            for served, slot in enumerate(reversed(free)):
                self._assign(slot, min(left, self._share(slot, len(free) - served)))
                left = self._left_in_flight()
                if not self.queued or left <= 0:
                    return
            if self.queued == before:
                return

    def heard(self, slot: Slot, frames: Iterable[Frame]) -> None:
        """Take what a worker says about its calls: answers, and pieces of answers.

        A worker that has nothing left is given its next calls before the callers are told: it need not wait for that.
        """
        now = self._clock()
        outstanding = slot.outstanding
        answers: list[tuple[Call, Frame]] = []
        has_ended, is_sound = False, True
        for frame in frames:
            kind, number, codec, meta, _, _ = frame
            call = outstanding.get(number)
            if call is None:
                continue  # it was taken from what the worker held back, before it came over the socket
            is_sound = (kind == RESULT and not (codec or meta or call.streaming)) or fits(frame, call)
            if not is_sound:
                break
            if kind in ENDS:
                has_ended = True
                del outstanding[number]
                call.slot = None
                if not call.done:
                    call.done = True
                    answers.append((call, frame))
                else:
                    self.observer.ran_for_nobody(frame)
            elif not call.done:
                call.streaming = True
                try:
                    call.on_piece(frame)
                except Exception:  # the answers to others came with it
                    self._break_off(slot, call)
        if has_ended:
            self._take_answers(slot, answers, now)
        if not is_sound and outstanding:
            self.kill(slot, WorkerLostError(f"function {self.spec.name!r}: its worker answered what is no answer"))

    def _take_answers(self, slot: Slot, answers: list[tuple[Call, Frame]], now: float) -> None:
        outstanding = slot.outstanding
        slot.since_s = now
        if answers:
            self.load.left(now, len(answers))
            self.observer.answered(answers, now)
        if not outstanding:
            self._batch_ended(slot, now)
            if self.queued:
                self.pump()
        for call, frame in answers:
            try:
                call.on_answer(frame)
            except Exception:  # the others are owed their answers all the same
                self._log_undelivered()
        if answers and not self.load.in_system:
            self._on_empty()
        if slot.draining and not outstanding:
            self._on_drained(slot)

    # Workers come and go

    def worker_ready(self, slot: Slot) -> None:
        """Count a worker in: it has loaded the function."""
        slot.idle_since_s = self._clock()
        if slot.takes_items and isinstance(self.sizing, Depth):
            self.sizing = ObjectiveBatches(Batch())
        self.slots.append(slot)

    def worker_lost(self, slot: Slot, how: str = "nobody knows how") -> None:
        """Count a worker out and settle the calls that it held.

        Calls that it had not begun go back to their place in the queue. The one that it ran is retried once elsewhere
        when the function is idempotent and the worker was not ended for that very call; else it is answered with the
        reason.

        Args:
            slot: The worker.
            how: How it has ended, for those whose call it ran.
        """
        if slot in self.slots:
            self.slots.remove(slot)
            if not slot.outstanding:
                self._idle_s += self._clock() - slot.idle_since_s
        running = slot.port.running()
        again: list[Call] = []
        for number, call in slot.outstanding.items():
            call.slot = None
            if call.done:
                continue
            begun = not _comes_after(number, running)
            if not begun and call.returned < MAX_RETURNS:
                call.attempts -= 1
                call.returned += 1
                again.append(call)
            elif slot.reason is not None and (number == running or slot.is_group):
                self._answer(call, slot.reason)
            elif self.spec.idempotent and call.attempts < 2 and not call.streaming:
                again.append(call)
            else:
                self._answer(call, verdicts.lost(self.spec, call, how))
        slot.outstanding.clear()
        if again:
            self._put_back(again)

    def drain(self, slot: Slot) -> None:
        """Give a worker nothing more; `on_drained` is called when it has answered all that it holds."""
        if slot.draining:
            return
        slot.draining = True
        if not slot.outstanding:
            self._on_drained(slot)

    def kill(self, slot: Slot, reason: SkerryError) -> None:
        """End a worker at once; the call that it runs is answered with ``reason``."""
        if slot.reason is None:
            slot.reason = reason
            slot.port.kill()

    # Time

    def sweep(self) -> None:
        """End what has taken too long: calls that run over `timeout`, and calls that have waited as long as that."""
        now = self._clock()
        timeout_s = self.spec.timeout_s
        self.load.mark(now)
        for slot in self.slots:
            if slot.outstanding and slot.reason is None:
                self._end_cancelled(slot)
                if slot.reason is None and self._is_late(slot, now):
                    self._end_late(slot)
        for call in self.waiting.pop_older(now - timeout_s):
            self._answer(call, verdicts.waited_too_long(self.spec))

    def next_deadline_s(self) -> float | None:
        """Return when the next deadline of a caller passes, none without any."""
        return self._deadlines.next_s()

    def expire(self) -> None:
        """Answer the calls whose callers' deadlines have passed: those that wait are never run."""
        for call in self._deadlines.take_passed(self._clock()):
            slot = call.slot
            self._answer(call, verdicts.past_deadline(self.spec, ran=slot is not None))
            if slot is not None:
                slot.port.cancel(call.number)
        self._forget_done()

    def drain_s(self) -> float:
        """Return the seconds that the present queue will take at the rate of late; at least 1."""
        rate = self.load.answer_rate()
        if rate > 0:
            return max(1.0, self.queued / rate)
        return max(1.0, self.queued * (self.sizing.service_s or 0.01) / max(1, len(self.slots)))

    def refuse(self, error: SkerryError) -> None:
        """Answer every waiting call with ``error``, and every further one until `accept`."""
        self.refusal = error
        for call in self.waiting.take_all():
            if not call.done:
                self._answer(call, error)

    def accept(self) -> None:
        """Take calls again, unless the dispatcher is closed."""
        self.refusal = self._closing

    def close(self, why: SkerryError | None = None) -> SkerryError:
        """Refuse further calls, and return what they are told; those that wait are still served.

        Args:
            why: What they are told; none for what was said at an earlier close, or that the function shuts down.
        """
        if why is not None or self._closing is None:
            self._closing = why or UnavailableError(
                f"function {self.spec.name!r} is shutting down; try again", retry_after_s=1
            )
        self.refusal = self._closing
        return self._closing

    def reopen(self) -> None:
        """Take calls again after a close."""
        self._closing = self.refusal = None

    # What is there

    @property
    def in_system(self) -> int:
        """Calls that wait or run."""
        return self.load.in_system

    @property
    def takes_at_once(self) -> bool:
        """Whether the next call that is offered is handed to a worker as soon as `pump` is called."""
        idle = sum(not slot.outstanding and not slot.draining and slot.reason is None for slot in self.slots)
        return self.queued < idle and self.queued < self._left_in_flight() and self.refusal is None

    @property
    def in_flight(self) -> int:
        """Calls that workers hold."""
        return self.load.in_system - self.queued

    @property
    def is_busy(self) -> bool:
        """Whether a worker holds a call, be it one that nobody waits for any more."""
        return any(slot.outstanding for slot in self.slots)

    def idle_s(self) -> float:
        """Return the seconds that workers have been ready and held no call, summed over all there ever were."""
        now = self._clock()
        return self._idle_s + sum(now - slot.idle_since_s for slot in self.slots if not slot.outstanding)

    def look_for_answers(self, now_s: float) -> None:
        """See whether workers that should be done are, so that none waits for the loop with calls in the queue."""
        for slot in self.slots:
            if slot.outstanding and slot.due_s <= now_s:
                slot.port.poll(0.0)

    def take_load(self) -> float:
        """Return the average number of calls in the system since the last time it was taken."""
        return self.load.take(self._clock())

    def take_rate(self) -> float:
        """Return the calls per second that have come since the last time it was taken."""
        return self.load.take_rate(self._clock())

    def describe(self) -> dict[str, Any]:
        """Return the queue and the decisions about batches as plain values."""
        counts = {"queued": self.queued, "late": self.waiting.late, "in_flight": self.in_flight}
        return {**counts, **self.sizing.describe()}

    # Inside

    def _room(self, slot: Slot) -> int:
        held = len(slot.outstanding)
        if self.spec.concurrency > 1:
            return self.spec.concurrency - held
        return 0 if held else 1

    def _share(self, slot: Slot, idle: int) -> int:
        """Return how many calls a worker that has room is given."""
        if self.spec.concurrency > 1 and self.spec.batch is None:
            return min(self._room(slot), -(-self.queued // idle))
        if slot.streams:
            return 1
        now = self._clock()
        self.waiting.set_aside(now - self.sizing.longest_wait_s(-(-self.queued // idle)))
        head = self.waiting.head()
        waited_s = 0.0 if head is None else now - head.enqueued_s
        size = self.sizing.size(queued=self.queued, oldest_wait_s=waited_s, idle=idle)
        return min(size, self._room(slot)) if self.spec.concurrency > 1 else size

    def _free_room(self) -> int:
        if not self.slots:
            # One call waits even where the queue holds none: nothing else would start the first worker.
            return int(self.spec.queue == 0)
        free = [slot for slot in self.slots if not slot.draining and slot.reason is None]
        if self.spec.concurrency > 1:
            room = sum(max(0, self._room(slot)) for slot in free)
        else:
            room = sum(1 if slot.streams else self.sizing.most for slot in free if not slot.outstanding)
        return max(0, min(room, self._left_in_flight()))

    def _left_in_flight(self) -> int:
        bound = self.spec.max_in_flight
        return bound - self.in_flight if bound else self.queued + 1

    def _is_late(self, slot: Slot, now: float) -> bool:
        if self.spec.concurrency == 1:
            oldest = next(iter(slot.outstanding.values()))
            return now - (oldest.started_s if oldest.streaming else slot.since_s) > self.spec.timeout_s
        # A worker with async handlers ends a late call itself; it is ended whole only when it fails to.
        oldest = next(iter(slot.outstanding.values()))
        return now - oldest.started_s > self.spec.timeout_s + UNRESPONSIVE_S

    def _end_late(self, slot: Slot) -> None:
        """End a worker whose call has taken too long, once it has said where that is."""
        taken = all(other.outstanding for other in self.slots if not other.draining)
        slot.reason = verdicts.over_time(self.spec, waiting=self.queued if taken else 0)
        slot.port.kill_traced()

    def _end_cancelled(self, slot: Slot) -> None:
        call = slot.outstanding.get(slot.port.running())
        if call is not None and call.cancelled:
            self.kill(slot, WorkerLostError(f"function {self.spec.name!r}: a cancelled call took the worker with it"))

    def _put_back(self, calls: list[Call]) -> None:
        for call in calls:
            call.waiting = True
        self.waiting.put_back(calls)
        self.queued += len(calls)
        if not self.slots:
            self._on_demand()

    def _forget_done(self) -> None:
        """Drop calls that nobody waits for before they outnumber the others, bodies and all."""
        if len(self.waiting) > 2 * self.queued + 16:
            self.waiting.forget_done()

    def _assign(self, slot: Slot, size: int) -> None:
        now = self._clock()
        calls = self._take(size, slot)
        outstanding = slot.outstanding
        if not outstanding:
            slot.since_s = slot.started_s = now
            slot.taken = 0
        if not calls:
            return
        if not outstanding:
            self._idle_s += now - slot.idle_since_s
        out: list[bytes] = []
        slot.is_group = slot.takes_items
        if slot.is_group:
            for call in calls:
                call.together = len(calls)
            out.append(encode_frame(Kind.BATCH, len(calls)))
        number = self._number
        started: list[Call] = []
        pack = HEADER.pack
        for call in calls:
            number = (number + 1) & 0xFFFFFFFF or 1
            call.number = number
            call.waiting = False
            call.started_s = now
            call.attempts = attempts = call.attempts + 1
            call.slot = slot
            outstanding[number] = call
            if call.deadline_s is None and attempts == 1 and not call.meta:  # as `frame_of` has it, without a call
                body = call.body
                out += pack(len(body), number, CALL, call.codec, 0, 0), body
            else:
                out.append(frame_of(call, now))
            if call.on_start is not None:
                started.append(call)
        self._number = number
        self.queued -= len(calls)
        slot.taken += len(calls)
        slot.due_s = now + self.sizing.expected_s(len(calls))
        # First: who keeps a record must have it before a worker can begin, or a death in between would hide the start.
        for call in started:
            if call.on_start is not None:
                call.on_start(call.attempts)
        slot.port.send(b"".join(out))
        self.observer.handed_over(calls, self.sizing.reason, now)

    def _take(self, size: int, slot: Slot) -> list[Call]:
        """Take up to ``size`` calls from the queue; those that a worker runs together belong together."""
        batch = self.spec.batch
        if slot.takes_items or batch is not None:
            calls = self.waiting.pop_group(size, max_weight=None if batch is None else batch.max_weight)
            if len(calls) < size and self.waiting.stopped_by:
                self.sizing.reason = self.waiting.stopped_by
            return calls
        return self.waiting.pop(size)

    def _batch_ended(self, slot: Slot, now: float) -> None:
        slot.idle_since_s = now
        if slot.taken and not slot.streams:
            self.sizing.ended(slot.taken, now - slot.started_s)
        slot.taken = 0

    def _answer(self, call: Call, answer: SkerryError) -> None:
        self._finish(call, answer.http_status)
        try:
            call.on_answer(answer)
        except Exception:  # whoever answers several at once goes on with the next
            self._log_undelivered()

    def _break_off(self, slot: Slot, call: Call) -> None:
        """End a stream of which a piece could not be delivered: what comes after it would look like the whole."""
        self._log_undelivered()
        self._answer(call, InternalError(f"function {self.spec.name!r}: a piece of its answer could not be delivered"))
        slot.port.cancel(call.number)

    def _log_undelivered(self) -> None:
        logger.exception("function %r: an answer could not be delivered", self.spec.name)

    def _finish(self, call: Call, status: int) -> None:
        now = self._clock()
        call.done = True
        if call.waiting:
            call.waiting = False
            self.queued -= 1
        self.load.left(now)
        self.observer.ended(call, status, now)
        if not self.load.in_system:
            self._on_empty()


def _comes_after(number: int, running: int) -> bool:
    """Whether call ``number`` was handed over after call ``running``; numbers wrap around at 2**32."""
    return running == 0 or 0 < ((number - running) & 0xFFFFFFFF) < 0x80000000
