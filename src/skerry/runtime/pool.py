"""The workers of one revision: started, counted, ended and started again, up to the number that is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from skerry.errors import MemoryLimitError, SkerryError, StartError, WorkerLostError, from_problem
from skerry.runtime.call import Call, Slot
from skerry.runtime.confinement import is_child, resident_bytes, share_bytes
from skerry.runtime.dispatcher import Dispatcher
from skerry.runtime.ending import describe_end
from skerry.runtime.frames import Frame, Kind, encode_frame
from skerry.runtime.lookout import Lookout
from skerry.runtime.nursery import Nursery, WorkerSource
from skerry.runtime.reaper import Reaper
from skerry.runtime.server_timing import Start
from skerry.runtime.target import Target
from skerry.runtime.template_handle import Template
from skerry.runtime.worker_handle import Worker
from skerry.spec import FunctionSpec

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 10.0
FAILURES_TO_REFUSE = 3
STOP_PATIENCE_S = 5.0
EXIT_PATIENCE_S = 0.5
LAST_MOMENT_S = 0.02  # between the end of a worker's link and its own
STARTS_KEPT = 64
LOOK_PERIOD_S = 50e-6  # a turn of the loop may read hundreds of requests; a worker that is done meanwhile would idle

Notify = Callable[[str, dict[str, Any]], None]


class WorkerPool:
    """Keeps the wanted number of workers of one function alive, with a growing pause between failed starts.

    Args:
        spec: The function's options.
        target: What the workers run.
        nursery: Where they come from.
        reaper: Notices their end.
        open_log: Returns a descriptor for a worker's output; the pool closes it.
        notify: Called with the kind and the details of each event.
        source: Where workers come from that load for themselves; the nursery by default.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        target: Target,
        *,
        nursery: Nursery,
        reaper: Reaper,
        open_log: Callable[[], int],
        notify: Notify,
        source: WorkerSource | None = None,
    ) -> None:
        self.spec = spec
        self.target = target
        self.desired = 0
        self.workers: set[Worker] = set()
        self.on_demand: Callable[[], None] = lambda: None
        self.on_modules: Callable[[list[str]], None] = lambda modules: None
        self.last_error: SkerryError | None = None  # why there is no worker, until one has started
        self.last_loss: SkerryError | None = None  # why the latest worker was lost that had been ready
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()  # no call is left
        self.dispatcher = Dispatcher(
            spec,
            clock=time.monotonic,
            on_demand=lambda: self.on_demand(),
            on_drained=self._stop_slot,
            on_empty=lambda: self._idle.set(),
        )
        self._nursery = nursery
        self._reaper = reaper
        self._open_log = open_log
        self.notify = notify
        self._template: Template | None = None
        self._source: WorkerSource = source or nursery
        if spec.share_load and spec.scale.max != 1:  # one worker has nobody to share with
            self._template = Template(self, spec.name, nursery=nursery, reaper=reaper, open_log=open_log)
            self._source = self._template
        self._failures = 0
        self._retry: asyncio.TimerHandle | None = None
        self._pumping = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None  # for the next deadline of a caller
        self._alarm_s = 0.0
        self._lookout = Lookout(self._loop)
        self._next_look_s = 0.0  # for answers, while requests come in
        self._gone = asyncio.Event()  # no worker is left
        self._gone.set()
        self._leaving: set[Worker] = set()  # they have closed their links, and their processes have not ended yet
        self._left = asyncio.Event()  # set when one of them has
        self._starts: deque[Start] = deque(maxlen=STARTS_KEPT)

    # What others ask for

    def wake(self) -> None:
        """Hand out waiting calls at the end of this turn of the loop, so that a turn's calls leave together."""
        if self.dispatcher.queued and not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._sweep_s, self._sweep)

    def take(self, call: Call) -> None:
        """Queue a call, and hand it out as soon as a worker has room.

        Raises:
            SkerryError: it is not taken; see `Dispatcher.offer`.
        """
        dispatcher = self.dispatcher
        dispatcher.offer(call)
        if call.deadline_s is not None:
            self._watch_deadlines()
        if dispatcher.queued > 1 and call.enqueued_s > self._next_look_s:
            self._next_look_s = call.enqueued_s + LOOK_PERIOD_S
            dispatcher.look_for_answers(call.enqueued_s)
        if dispatcher.load.in_system > 1:
            self._lookout.alone = 0
        elif self._lookout.is_worth_it(dispatcher.sizing.service_s):
            dispatcher.pump()
            if call.slot is not None:
                self._lookout.look(call.slot.port)
        if not self._pumping or self._sweeper is None:
            self.wake()

    def take_later(self, call: Call) -> None:
        """Queue a call for whose answer nobody waits: those of this turn of the loop are handed out together.

        Raises:
            SkerryError: it is not taken; see `Dispatcher.offer`.
        """
        self.dispatcher.offer(call)
        if not self._pumping or self._sweeper is None:
            self.wake()

    def leave(self, call: Call) -> None:
        """Forget a call whose caller has left."""
        if not call.done:
            self.dispatcher.abandon(call)
            self.wake()

    def credit(self, call: Call, size_bytes: int) -> None:
        """Let the worker of a stream go on: its caller has taken so much."""
        self.dispatcher.credit(call, size_bytes)

    def starts(self) -> Iterable[Start]:
        """Return the latest starts of workers, to tell a caller what it has waited for."""
        return self._starts

    def set_desired(self, desired: int) -> None:
        """Start or drain workers until there are ``desired``."""
        self.desired = desired
        counted = [w for w in self.workers if w.state in ("starting", "ready")]
        if len(counted) > desired:
            self._shrink(counted, len(counted) - desired)
        elif self._retry is None:
            for _ in range(desired - len(counted)):
                self._start()
        self._end_unused_template()

    def counts(self) -> dict[str, int]:
        """Return the number of workers by state."""
        states = [worker.state for worker in self.workers]
        return {state: states.count(state) for state in ("starting", "ready", "draining")}

    def memory_bytes(self) -> int:
        """Return the share of the machine's memory that the workers and their template have."""
        template_bytes = 0 if self._template is None else self._template.memory_bytes()
        return template_bytes + sum(share_bytes(w.pid) for w in self.workers if w.pid is not None)

    async def drain(self, *, limit_s: float, why: SkerryError | None = None) -> None:
        """Take nothing new, finish what waits and runs, and end all workers; those that take longer are ended.

        Args:
            limit_s: How long they may take.
            why: What further calls are told; none for that the function shuts down.
        """
        refusal = self.dispatcher.close(why)
        until = self._loop.time() + limit_s
        if self.dispatcher.queued and not self.desired:
            self.set_desired(1)
        if self.dispatcher.in_system:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), limit_s)
        self.dispatcher.refuse(refusal)  # what still waits will not be run here
        await self.stop(limit_s=max(0.0, until - self._loop.time()))

    async def stop(self, *, limit_s: float) -> None:
        """End all workers and what they have started; what they still hold after ``limit_s`` is answered as lost."""
        self.desired = 0
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for worker in list(self.workers):
            if worker.state == "starting":
                worker.kill()
            else:
                self._drain_worker(worker)
        try:
            await asyncio.wait_for(self._gone.wait(), limit_s + 0.01)
        except TimeoutError:
            for worker in list(self.workers):
                worker.kill()
            await self._gone.wait()
        await self._see_off()
        for timer in (self._sweeper, self._alarm):
            if timer is not None:
                timer.cancel()
        self._sweeper = self._alarm = None
        self.dispatcher.refuse(self.dispatcher.close())  # what lost workers gave back will not be run here

    def reopen(self) -> None:
        """Take calls again after `drain`; workers start once they are wanted."""
        self._failures = 0
        self.last_error = self.last_loss = None
        self.dispatcher.reopen()

    # What workers say

    def answered(self, worker: Worker, frames: list[Frame]) -> None:
        """Take answers of a worker."""
        self.dispatcher.heard(worker.slot, frames)
        self.wake()

    def heard(self, worker: Worker, frame: Frame) -> None:
        """Take a frame that is no answer."""
        if frame.kind == Kind.HELLO:
            pid = frame.meta["pid"]
            if worker.pid is not None or not isinstance(pid, int) or pid <= 1:
                return  # the first one comes before any code of the app; what follows is not believed
            if self._source is self._template and not is_child(pid):
                return  # not so where the app was imported before the fork
            worker.pid = pid
            self._reaper.watch(pid, lambda code: self._exited(worker, code))
            if worker.killed:
                worker.kill()
        elif frame.kind == Kind.READY:
            self._ready(worker, frame)
        elif frame.kind == Kind.START_FAILED:
            error = from_problem(orjson.loads(frame.body))
            self.start_failed(worker, error)

    def closed(self, worker: Worker) -> None:
        """Settle what a worker held that has closed its end."""
        if worker not in self.workers:
            return
        if worker.pid is not None and worker.state != "draining" and not worker.killed:
            self._reaper.await_end(worker.pid, LAST_MOMENT_S)
        how = describe_end(worker.exit_code) if worker.slot.reason is None else "it was ended for another call"
        self._forget(worker)
        state, worker.state = worker.state, "gone"
        was_killed = worker.killed
        if state == "draining":
            self._loop.call_later(EXIT_PATIENCE_S, worker.kill)  # it is on its way out
        else:
            worker.kill()  # it may have closed its end and live on
        idle = worker.running() == 0
        self.dispatcher.worker_lost(worker.slot, how)
        worker.link.release()
        if not self.workers:
            self._gone.set()
            self._end_unused_template()
        if state == "starting" and worker.pid is None and not was_killed:
            self.lose_order()
        elif state == "starting" and not was_killed:
            died = StartError(f"function {self.spec.name!r}: the worker died while it started ({how})")
            self._log(f"worker {worker.pid}: {died.message}")
            self.start_failed(worker, died)
        elif state == "draining":
            self._failures = 0
            self.notify("worker_stopped", {"pid": worker.pid})
        elif state == "ready":
            reason = worker.slot.reason
            loss = reason or WorkerLostError(f"worker {worker.pid} of {self.spec.name!r} died: {how}")
            self.last_error = self.last_loss = loss
            self._log(loss.message if reason is None else f"worker {worker.pid}: {loss.message}")
            self.notify("worker_lost", {"pid": worker.pid, "reason": loss.message})
            if reason is None and idle:  # what dies during a call is that call's fault
                early = f"function {self.spec.name!r}: workers die before they begin their first call"
                self._count_failure(StartError(f"{early}; see skerry logs {self.spec.name}"))
            else:
                self._failures = 0
            self.set_desired(self.desired)
        self.wake()

    # What the template says

    def start_failed(self, worker: Worker | None, error: SkerryError) -> None:
        """Note that a start has failed, be it a worker's or, with none, the template's."""
        if worker is not None:
            worker.killed = True
        self.last_error = error
        self.notify("worker_lost", {"pid": worker.pid if worker else None, "reason": error.message})
        self._count_failure(error)

    def lose_order(self) -> None:
        """Ask once more for a worker that was never begun: the zygote died with the order, and no function did that."""
        self.notify("worker_lost", {"pid": None, "reason": "its zygote died before it began"})
        if self._retry is None:
            self._retry = self._loop.call_later(FIRST_BACKOFF_S, self._try_again)

    def load_in_workers(self) -> None:
        """Have each worker load for itself from now on: the template cannot be forked."""
        self._source = self._nursery
        self._loop.call_soon(lambda: self.set_desired(self.desired))  # once its orders are forgotten

    # Inside

    def _watch_deadlines(self) -> None:
        due_s = self.dispatcher.next_deadline_s()
        if due_s is None or (self._alarm is not None and self._alarm_s <= due_s):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_s = due_s
        self._alarm = self._loop.call_later(max(0.0, due_s - time.monotonic()) + 0.0005, self._expire)

    def _expire(self) -> None:
        self._alarm = None
        self.dispatcher.expire()
        self._watch_deadlines()
        self.wake()

    @property
    def _sweep_s(self) -> float:
        return min(0.1, max(0.005, self.spec.timeout_s / 10))

    def _pump(self) -> None:
        self._pumping = False
        self.dispatcher.pump()

    def _sweep(self) -> None:
        """Look after what needs a clock: late calls, and memory that escaped the worker's own limit."""
        self._sweeper = None
        for worker in self.workers:
            if worker.slot.outstanding:
                worker.link.collect()
        self.dispatcher.sweep()
        limit = self.spec.memory_bytes
        if limit is not None:
            for worker in self.workers:
                if worker.pid is not None and worker.slot.outstanding and resident_bytes(worker.pid) > limit:
                    self.dispatcher.kill(worker.slot, _over_memory(self.spec))
        if self.dispatcher.in_system or self.dispatcher.is_busy:
            self._sweeper = self._loop.call_later(self._sweep_s, self._sweep)

    def _start(self) -> None:
        try:
            log_fd = self._open_log()
            try:
                ours, progress = self._source.spawn(self.target, log_fd=log_fd)
            finally:
                os.close(log_fd)
        except OSError as error:
            self.start_failed(None, StartError(f"function {self.spec.name!r}: cannot start a worker: {error}"))
            return
        worker = Worker(self, self.spec.name, progress)
        self.workers.add(worker)
        self._gone.clear()
        self.notify("worker_starting", {})
        worker.timer = self._loop.call_later(self.spec.start_timeout_s, self._start_timed_out, worker)
        worker.asked_s = worker.slot.since_s = time.monotonic()
        worker.link.attach(ours)

    def _ready(self, worker: Worker, frame: Frame) -> None:
        if worker.timer is not None:
            worker.timer.cancel()
        self.dispatcher.accept()
        self.last_error = None
        worker.state = "ready"
        self._starts.append((worker.asked_s, time.monotonic()))
        worker.interruptible = bool(frame.meta.get("interruptible"))
        worker.slot.takes_items = bool(frame.meta.get("takes_items"))
        worker.slot.streams = bool(frame.meta.get("streams"))
        self.notify("worker_ready", {"pid": worker.pid, "phases_ms": frame.meta["phases_ms"]})
        if frame.body:
            self.on_modules(orjson.loads(frame.body))
        self.dispatcher.observer.worker_started(
            frame.meta["phases_ms"], worker.asked_s, cold=self.dispatcher.queued > 0
        )
        self.dispatcher.worker_ready(worker.slot)
        if sum(w.state in ("starting", "ready") for w in self.workers) > self.desired:
            self._drain_worker(worker)
        self.wake()

    def _start_timed_out(self, worker: Worker) -> None:
        if worker.killed:
            return  # with others, in this very turn of the loop
        late = StartError(
            f"function {self.spec.name!r} did not start within its start_timeout of {self.spec.start_timeout}"
        )
        if self._template is not None and self._template.owes(worker):
            self._template.fail(late)
            return
        worker.kill()
        self.start_failed(worker, late)

    def _end_unused_template(self) -> None:
        if self._template is not None and not self.desired and not self.workers:
            self._template.end()

    def _count_failure(self, error: SkerryError) -> None:
        """Wait longer after each failure in a row; from the third on, callers are told rather than kept waiting."""
        self._failures += 1
        pause_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (self._failures - 1))
        if self._retry is None:
            self._retry = self._loop.call_later(pause_s, self._try_again)
        if self._failures >= FAILURES_TO_REFUSE and not self.counts()["ready"]:
            error.details["retry_after_s"] = max(1, round(pause_s))
            self.dispatcher.refuse(error)

    def _try_again(self) -> None:
        """Let calls in again, and start what they need: should that fail as well, they are refused at once."""
        self._retry = None
        self.dispatcher.accept()
        self.set_desired(self.desired)

    def _shrink(self, counted: list[Worker], by: int) -> None:
        order = sorted(counted, key=lambda w: (w.state == "ready", len(w.slot.outstanding), -w.slot.idle_since_s))
        for worker in order[:by]:
            if worker.state == "starting":
                worker.kill()
            else:
                self._drain_worker(worker)

    def _drain_worker(self, worker: Worker) -> None:
        if worker.state == "ready":
            worker.state = "draining"
            worker.timer = self._loop.call_later(self.spec.drain_s, worker.kill)
            self.dispatcher.drain(worker.slot)

    def _stop_slot(self, slot: Slot) -> None:
        slot.port.send(encode_frame(Kind.STOP, 0))
        for worker in self.workers:
            if worker.slot is slot:
                if worker.timer is not None:
                    worker.timer.cancel()
                worker.timer = self._loop.call_later(STOP_PATIENCE_S, worker.kill)

    def _log(self, line: str) -> None:
        """Write a line to the log that the workers write to: they cannot say why they are no more."""
        with contextlib.suppress(OSError):
            log_fd = self._open_log()
            try:
                os.write(log_fd, f"skerry: {line}\n".encode())
            finally:
                os.close(log_fd)

    async def _see_off(self) -> None:
        """Wait a moment for workers that are on their way out, so that nothing of theirs outlives the event loop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_PATIENCE_S):
                while self._leaving:
                    self._left.clear()
                    await self._left.wait()
        for worker in self._leaving:
            worker.kill()
        if self._template is not None:
            self._template.end()
            await self._template.see_off(limit_s=EXIT_PATIENCE_S)

    def _forget(self, worker: Worker) -> None:
        if self._template is not None and self._template.owes(worker):
            self._template.lose_order(worker)
        self.workers.discard(worker)
        if worker.timer is not None:
            worker.timer.cancel()
        if worker.pid is not None and worker.exit_code is None:
            self._leaving.add(worker)

    def _exited(self, worker: Worker, code: int) -> None:
        worker.exit_code = code
        self._leaving.discard(worker)
        self._left.set()
        # Normally the link is closed by now. Not so when a process that the handler started holds it: what the worker
        # had sent is read first.
        self._loop.call_later(EXIT_PATIENCE_S, worker.link.close)
        try:
            os.killpg(worker.pid or 0, signal.SIGKILL)  # what the handler started goes with it
        except (ProcessLookupError, PermissionError):
            return


def _over_memory(spec: FunctionSpec) -> MemoryLimitError:
    return MemoryLimitError(
        f"function {spec.name!r} held more than its memory of {spec.memory}; the worker was replaced; raise memory"
    )
