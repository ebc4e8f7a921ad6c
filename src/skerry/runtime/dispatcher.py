"""The queue of one function and the workers that serve it: a state machine without I/O.

Calls wait in order. A call leaves the queue when a worker has room, is answered exactly once, and is never given to a
second worker unless the first certainly did not begin it, or the function may run twice (`idempotent`).

A worker that answers fast is given several calls at a time (`Dispatcher.depth`), so that the cost of a frame is shared;
a slow one is given one at a time, so that nobody waits behind it while another worker is free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy
from itertools import chain

from skerry.errors import (
    DeadlineExceededError,
    HandlerTimeoutError,
    QueueFullError,
    SkerryError,
    UnavailableError,
    WorkerLostError,
)
from skerry.runtime.call import Call, Slot
from skerry.runtime.frames import Frame, Kind, encode_frame
from skerry.spec import FunctionSpec

MAX_DEPTH = 64
MAX_RETURNS = 10  # workers that die before they begin a call, one after the other, will not stop doing so
UNRESPONSIVE_S = 5.0
BATCH_BUDGET_S = 0.002  # as much work as a worker is given ahead of time


class Dispatcher:
    """The queue and the workers of one revision of one function.

    Args:
        spec: The function's options: `queue`, `concurrency`, `timeout`, `idempotent`.
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
        self.queue: deque[Call] = deque()
        self.slots: list[Slot] = []
        self.in_system = 0  # waiting and running
        self.queued = 0  # waiting; the deque may hold abandoned ones besides
        self.service_s: float | None = None  # smoothed seconds of a worker per call
        self.refusal: SkerryError | None = None  # set while nothing can start or after close
        self._clock = clock
        self._on_demand = on_demand
        self._on_drained = on_drained
        self._on_empty = on_empty
        self._closing: SkerryError | None = None  # the refusal that lasts
        self._arrivals = 0
        self._number = 0
        self._area_s = 0.0  # integral of in_system over time since the load was taken last
        self._area_at_s = self._load_taken_s = clock()

    # Calls come and go

    def offer(self, call: Call) -> None:
        """Put a call in the queue.

        Raises:
            QueueFullError: as many calls wait as the function's `queue` allows.
            SkerryError: the refusal in force, when nothing can start or the server shuts down.
        """
        if self.refusal is not None:
            raise copy(self.refusal)  # each traceback holds its request, and one error would gather them all
        if self.queued >= self.spec.queue and self.queued >= self.spec.queue + self._free_room():
            if not self.slots:
                self._on_demand()  # with queue=0, the caller's next try is to find a worker
            raise QueueFullError(
                f"function {self.spec.name!r}: {self.queued} requests wait, and its queue holds {self.spec.queue}; "
                "try again later, or raise queue or scale.max",
                retry_after_s=self.drain_s(),
            )
        now = self._clock()
        call.enqueued_s = now
        call.waiting = True
        self._arrivals += 1
        call.arrival = self._arrivals
        self._load_changed(now, 1)
        self.queued += 1
        self.queue.append(call)
        if not self.slots:
            self._on_demand()

    def abandon(self, call: Call) -> None:
        """Forget a call whose caller has left; one that runs is told so, and its answer is dropped."""
        if call.done:
            return
        self._finish(call)
        if call.slot is not None:
            call.slot.port.send(encode_frame(Kind.CANCEL, call.number))
        else:
            self._forget_done()

    def cancel(self, call: Call, error: SkerryError) -> None:
        """Answer a call with ``error``; where it runs already, its worker is ended: nothing else stops plain code.

        A call that lies with a worker that has not begun it leaves that worker alone, for the sake of the call that
        runs there; should it begin nevertheless, `sweep` ends the worker.
        """
        if call.done:
            return
        slot = call.slot
        self._answer(call, error)
        if slot is None:
            self._forget_done()
        elif self.spec.concurrency > 1:
            slot.port.send(encode_frame(Kind.CANCEL, call.number))
        else:
            call.cancelled = True
            slot.port.send(encode_frame(Kind.CANCEL, call.number))
            self._end_cancelled(slot)

    def pump(self) -> None:
        """Hand waiting calls to workers that have room, the most recently used first."""
        while self.queued:
            free = [s for s in self.slots if not s.draining and s.reason is None and self._room(s) > 0]
            if not free:
                return
            share = max(1, -(-self.queued // len(free)))
            for slot in reversed(free):
                self._assign(slot, min(share, self._room(slot)))
                if not self.queued:
                    return

    def answered(self, slot: Slot, frame: Frame) -> None:
        """Take a worker's answer to a call."""
        call = slot.outstanding.pop(frame.number, None)
        if call is None:
            return  # it was taken from what the worker held back, before it came over the socket
        now = self._clock()
        slot.since_s = now
        if not slot.outstanding:
            self._batch_ended(slot, now)
        call.slot = None
        if not call.done:
            self._answer(call, frame)
        if slot.draining and not slot.outstanding:
            self._on_drained(slot)

    # Workers come and go

    def worker_ready(self, slot: Slot) -> None:
        """Count a worker in: it has loaded the function."""
        slot.idle_since_s = self._clock()
        self.slots.append(slot)

    def worker_lost(self, slot: Slot) -> None:
        """Count a worker out and settle the calls that it held.

        Calls that it had not begun go back to the head of the queue. The one that it ran is retried once elsewhere when
        the function is idempotent and the worker was not ended for that very call; else it is answered with the reason.
        """
        if slot in self.slots:
            self.slots.remove(slot)
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
            elif slot.reason is not None and number == running:
                self._answer(call, slot.reason)
            elif self.spec.idempotent and call.attempts < 2:
                again.append(call)
            else:
                self._answer(call, _lost(self.spec, call))
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
        for slot in self.slots:
            if slot.outstanding and slot.reason is None:
                self._end_cancelled(slot)
                if self._is_late(slot, now):
                    self.kill(slot, _over_time(self.spec))
        while self.queue and (self.queue[0].done or now - self.queue[0].enqueued_s > timeout_s):
            call = self.queue.popleft()
            if not call.done:
                self._answer(call, _waited_too_long(self.spec))

    def take_load(self) -> float:
        """Return the average number of calls in the system since the last time it was taken."""
        now = self._clock()
        span_s = now - self._load_taken_s
        self._load_changed(now, 0)
        average = self._area_s / span_s if span_s > 0 else float(self.in_system)
        self._area_s, self._load_taken_s = 0.0, now
        return average

    def drain_s(self) -> float:
        """Return the seconds that the present queue will take, as far as known; at least 1."""
        workers = max(1, len(self.slots))
        return max(1.0, self.queued * (self.service_s or 0.01) / workers)

    def refuse(self, error: SkerryError) -> None:
        """Answer every waiting call with ``error``, and every further one until `accept`."""
        self.refusal = error
        waiting, self.queue = self.queue, deque()
        for call in waiting:
            if not call.done:
                self._answer(call, error)

    def accept(self) -> None:
        """Take calls again, unless the dispatcher is closed."""
        self.refusal = self._closing

    def close(self) -> SkerryError:
        """Refuse further calls, and return what they are told; those that wait are still served."""
        self._closing = UnavailableError(f"function {self.spec.name!r} is shutting down; try again", retry_after_s=1)
        self.refusal = self._closing
        return self.refusal

    # Inside

    @property
    def in_flight(self) -> int:
        """Calls that workers hold."""
        return self.in_system - self.queued

    @property
    def is_busy(self) -> bool:
        """Whether a worker holds a call, be it one that nobody waits for any more."""
        return any(slot.outstanding for slot in self.slots)

    @property
    def depth(self) -> int:
        """Calls that one worker is given at a time."""
        if self.spec.concurrency > 1:
            return self.spec.concurrency
        if self.service_s is None:
            return 1
        return max(1, min(MAX_DEPTH, int(BATCH_BUDGET_S / max(self.service_s, 1e-6))))

    def _room(self, slot: Slot) -> int:
        held = len(slot.outstanding)
        if self.spec.concurrency > 1:
            return self.spec.concurrency - held
        return 0 if held else self.depth

    def _free_room(self) -> int:
        if not self.slots:
            # One call waits even where the queue holds none: nothing else would start the first worker.
            return int(self.spec.queue == 0)
        return sum(max(0, self._room(s)) for s in self.slots if not s.draining and s.reason is None)

    def _is_late(self, slot: Slot, now: float) -> bool:
        if self.spec.concurrency == 1:
            return now - slot.since_s > self.spec.timeout_s
        # A worker with async handlers ends a late call itself; it is ended whole only when it fails to.
        oldest = next(iter(slot.outstanding.values()))
        return now - oldest.started_s > self.spec.timeout_s + UNRESPONSIVE_S

    def _end_cancelled(self, slot: Slot) -> None:
        call = slot.outstanding.get(slot.port.running())
        if call is not None and call.cancelled:
            self.kill(slot, WorkerLostError(f"function {self.spec.name!r}: a cancelled call took the worker with it"))

    def _put_back(self, calls: list[Call]) -> None:
        for call in calls:
            call.waiting = True
        in_order = not self.queue or calls[-1].arrival < self.queue[0].arrival
        if in_order:
            self.queue.extendleft(reversed(calls))
        else:
            self.queue = deque(sorted(chain(calls, self.queue), key=lambda call: call.arrival))
        self.queued += len(calls)
        if not self.slots:
            self._on_demand()

    def _forget_done(self) -> None:
        """Drop calls that nobody waits for from the deque before they outnumber the others, bodies and all."""
        if len(self.queue) > 2 * self.queued + 16:
            self.queue = deque(call for call in self.queue if not call.done)

    def _assign(self, slot: Slot, room: int) -> None:
        now = self._clock()
        out: list[bytes] = []
        begun: list[Call] = []
        outstanding = slot.outstanding
        if not outstanding:
            slot.since_s = slot.started_s = now
            slot.taken = 0
        while room and self.queue:
            call = self.queue.popleft()
            if call.done:
                continue
            self.queued -= 1
            self._number = number = (self._number + 1) & 0xFFFFFFFF or 1
            call.number = number
            call.waiting = False
            call.started_s = now
            call.attempts += 1
            call.slot = slot
            outstanding[number] = call
            out.append(encode_frame(Kind.CALL, number, call.body, codec=call.codec, meta=call.meta))
            if call.on_start is not None:
                begun.append(call)
            room -= 1
        slot.taken += len(out)
        if out:
            slot.port.send(b"".join(out))
        for call in begun:
            if call.on_start is not None:
                call.on_start(call.attempts)

    def _batch_ended(self, slot: Slot, now: float) -> None:
        slot.idle_since_s = now
        if not slot.taken:
            return
        took_s = (now - slot.started_s) / slot.taken
        slot.taken = 0
        self.service_s = took_s if self.service_s is None else 0.8 * self.service_s + 0.2 * took_s

    def _answer(self, call: Call, answer: Frame | SkerryError) -> None:
        self._finish(call)
        call.on_answer(answer)

    def _finish(self, call: Call) -> None:
        call.done = True
        if call.waiting:
            call.waiting = False
            self.queued -= 1
        self._load_changed(self._clock(), -1)
        if not self.in_system:
            self._on_empty()

    def _load_changed(self, now: float, by: int) -> None:
        self._area_s += self.in_system * (now - self._area_at_s)
        self._area_at_s = now
        self.in_system += by


def _comes_after(number: int, running: int) -> bool:
    """Whether call ``number`` was handed over after call ``running``; numbers wrap around at 2**32."""
    return running == 0 or 0 < ((number - running) & 0xFFFFFFFF) < 0x80000000


def _lost(spec: FunctionSpec, call: Call) -> WorkerLostError:
    tried = "twice" if call.attempts > 1 else "once"
    hint = "" if spec.idempotent else "; it is not marked idempotent, so it was not run again"
    return WorkerLostError(f"function {spec.name!r}: the worker died during the request (tried {tried}){hint}")


def _over_time(spec: FunctionSpec) -> HandlerTimeoutError:
    return HandlerTimeoutError(
        f"function {spec.name!r} ran longer than its timeout of {spec.timeout}; the worker was replaced"
    )


def _waited_too_long(spec: FunctionSpec) -> DeadlineExceededError:
    return DeadlineExceededError(
        f"function {spec.name!r}: the request waited longer than {spec.timeout} for a worker and was not run",
        retry_after_s=1,
    )
