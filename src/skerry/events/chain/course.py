"""One run under way: its steps go to their functions, and what they answer is written down before the next ones go."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from skerry.events.chain.calls import Cancel, Give, Piece, StepCall, StepOutcome, write_work
from skerry.events.chain.journal import RunJournal, RunRecord, StepRecord
from skerry.events.chain.machine import MOST_BYTES, TOO_LARGE, End, Fault, Machine, Task
from skerry.events.chain.values import read_plan
from skerry.events.verdict import judge

logger = logging.getLogger(__name__)
ENDED = ("done", "failed")
MOST_ERROR = 2000  # characters of what an error says that are kept


class Course:
    """A run under way.

    Args:
        record: What is on record of it.
        journal: Where it is written down.
        give: Gives steps to functions.
        chance: Returns a random number from 0 to 1, for jitter.
        on_end: Called once, when the end is durable.
    """

    def __init__(
        self,
        record: RunRecord,
        *,
        journal: RunJournal,
        give: Give,
        chance: Callable[[], float],
        on_end: Callable[[Course], None],
    ) -> None:
        self.record = record
        self.machine = Machine(read_plan(record.plan), record.value)
        self._journal = journal
        self._give = give
        self._chance = chance
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._place = 0
        self._ends: list[tuple[str, End]] = []  # for fused calls
        self._attempts: dict[str, int] = {}
        self._due_at: dict[str, float] = {}  # of steps that wait, until their time has come
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._under_way: dict[str, Cancel] = {}
        self._fused: Cancel | None = None
        self._unwritten = 0
        self._pieces = 0  # of the fused call
        self._held = False
        self._closed = False

    def resume(self, steps: Sequence[StepRecord]) -> None:
        """Take up what is on record, and go on."""
        for step in steps:
            self._place = step.place
            if step.state in ENDED:
                self._take(step.path, _end(step))
            else:
                self._attempts[step.path] = step.attempts
                self._due_at[step.path] = step.due_at
        if self.machine.end is None:
            self.go()
        else:  # it was noted with its last step; only the end was not
            self._finish(self.machine.end)

    def go(self) -> None:
        """Do what can be done now."""
        if self._closed or self._held or self._unwritten:
            return
        now_s = time.time()
        for path, task in list(self.machine.tasks.items()):
            # To give one step may bring the answers of others, which have then ended meanwhile.
            if path not in self.machine.tasks or path in self._under_way or path in self._timers:
                continue
            if not task.function and path not in self._due_at:
                self._due_at[path] = now_s + task.wait_s
                self._note(StepRecord(path, self._next_place(), "waits", due_at=self._due_at[path], began_at=now_s))
            pause_s = self._due_at.get(path, 0.0) - now_s
            if pause_s > 0:
                self._timers[path] = self._loop.call_later(pause_s, self._due, path)
            elif not task.function:
                self._settle(StepRecord(path, 0, "done", task.value, began_at=now_s, ended_at=now_s))
            elif self.record.mode == "separated":
                self._send(task, now_s)
        if self.record.mode == "fused" and not self._unwritten:
            self._send_fused()

    def hold(self) -> None:
        """Begin nothing more; what functions return is still written down, what they fail with is not: they end."""
        self._held = True

    def close(self) -> None:
        """Do nothing more; what functions answer from now on is dropped."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        under_way, self._under_way = self._under_way, {}
        for cancel in under_way.values():
            cancel()
        if self._fused is not None:
            self._fused()

    # Inside

    def _due(self, path: str) -> None:
        del self._timers[path]
        self.go()  # sets the timer anew where the loop's clock is ahead of the time that steps are due by

    def _send(self, task: Task, now_s: float) -> None:
        path, attempts = task.path, self._attempts.get(task.path, 0)
        self._under_way[path] = _nothing  # it may be answered at once
        key = f"{self.record.id}/{path}"

        def answered(outcome: StepOutcome) -> None:
            if not self._closed and self._under_way.pop(path, None) is not None:
                self._ended(task, outcome, now_s)

        call = StepCall(task.function, task.value, key, self.record.traceparent, attempts, answered)
        cancel = self._give.step(call)
        if path in self._under_way:
            self._under_way[path] = cancel

    def _runnable(self) -> list[Task]:
        return [task for path, task in self.machine.tasks.items() if task.function and path not in self._timers]

    def _send_fused(self) -> None:
        if self._fused is not None or not self._runnable():
            return
        record = self.record
        held = [path for path in self.machine.tasks if path in self._timers]
        body = write_work(record.id, record.plan, record.value, self._ends, held)
        self._fused, self._pieces = _nothing, 0

        def answered(outcome: StepOutcome) -> None:
            self._fused = None
            if not self._closed:
                self._fused_ended(outcome)

        call = StepCall(record.chain, body, record.id, record.traceparent, 0, answered)
        cancel = self._give.fused(call, self._heard)
        if self._fused is not None:
            self._fused = cancel

    def _heard(self, piece: Piece) -> None:
        task = self.machine.tasks.get(piece.path)
        if self._closed or task is None:
            return
        self._pieces += 1
        took_s, began_s = piece.handler_us / 1e6, time.monotonic() - (time.time() - piece.began_at)
        self._give.traced(
            task.function, self.record.traceparent, status=piece.status, began_s=began_s, ended_s=began_s + took_s
        )
        outcome = StepOutcome(piece.status, piece.body, piece.message, handler_us=piece.handler_us)
        self._ended(task, outcome, piece.began_at, piece.began_at + took_s)

    def _fused_ended(self, outcome: StepOutcome) -> None:
        runnable = self._runnable()
        if outcome.status < 300 and not self._pieces:
            outcome = StepOutcome(500, message="the fused call has done none of its steps")
        if outcome.status >= 300 and runnable:
            self._ended(runnable[0], outcome, time.time())  # the one that it was at: they are done in this order
        self._journal.then(self.go)

    def _ended(self, task: Task, outcome: StepOutcome, began_at: float, ended_at: float | None = None) -> None:
        now_s = time.time()
        path, attempts = task.path, self._attempts.get(task.path, 0)
        if self._held and outcome.status >= 300:
            return
        if outcome.status < 300:
            made, end_s = attempts + 1, ended_at or now_s
            self._settle(
                StepRecord(path, 0, "done", outcome.body, 200, "", made, 0.0, began_at, end_s, outcome.handler_us)
            )
            return
        verdict = judge(
            task.retry,
            status=outcome.status,
            attempts=attempts,
            age_s=now_s - self.record.began_at,
            chance=self._chance(),
            wait_s=outcome.wait_s,
        )
        message, made = outcome.message[:MOST_ERROR], verdict.attempts
        if verdict.action == "dead":
            error = f"{message} ({verdict.reason})"
            logger.info("run %s: step %s has failed for good: %d %s", self.record.id, path, outcome.status, error)
            self._settle(StepRecord(path, 0, "failed", b"", outcome.status, error, made, 0.0, began_at, now_s))
            return
        self._attempts[path], self._due_at[path] = made, now_s + verdict.pause_s
        place, due_at = self._next_place(), self._due_at[path]
        self._note(StepRecord(path, place, "again", b"", outcome.status, message, made, due_at, began_at, now_s))

    def _note(self, step: StepRecord) -> None:
        """Note what only bounds a repetition; nobody waits for it to be durable."""
        self._journal.note(self.record.number, step)
        if step.path not in self._timers and step.state == "again":
            self._timers[step.path] = self._loop.call_later(step.due_at - time.time(), self._due, step.path)

    def _settle(self, step: StepRecord) -> None:
        """Take how a step has ended; what follows goes once that is durable."""
        if len(step.body) > MOST_BYTES:
            error = f"it ends with {len(step.body)} bytes, and a run keeps {MOST_BYTES} of a step at most"
            logger.info("run %s: step %s has failed for good: %s", self.record.id, step.path, error)
            step = step._replace(state="failed", body=b"", code=TOO_LARGE, error=error)
        self._take(step.path, _end(step))
        self._unwritten += 1
        self._journal.note(self.record.number, step._replace(place=self._next_place()), self._written)
        if self.machine.end is not None:
            self._finish(self.machine.end)

    def _take(self, path: str, end: End) -> None:
        self.machine.settle(path, end)
        self._attempts.pop(path, None)
        self._due_at.pop(path, None)
        if self.record.mode == "fused":
            self._ends.append((path, end))

    def _written(self) -> None:
        self._unwritten -= 1
        self.go()

    def _finish(self, end: End) -> None:
        now_s = time.time()
        error: dict[str, Any] | None = None
        if isinstance(end, Fault):
            error = {"step": end.path, "code": end.code, "detail": end.message}
            self.record = self.record._replace(status="failed", error=orjson.dumps(error).decode(), ended_at=now_s)
        else:
            self.record = self.record._replace(status="succeeded", result=end, ended_at=now_s)
        record = self.record
        self._journal.end(record.number, record.status, result=record.result, error=error, at=now_s)
        self._journal.then(self._over)

    def _over(self) -> None:
        if not self._closed:
            self._closed = True
            self._on_end(self)

    def _next_place(self) -> int:
        self._place += 1
        return self._place


def retell(record: RunRecord, steps: Sequence[StepRecord]) -> Machine:
    """Return how a run is, from what is on record of it.

    Args:
        record: The run.
        steps: What is noted of its steps, in order.

    Raises:
        SpecError: its plan is none.
    """
    machine = Machine(read_plan(record.plan), record.value)
    for step in steps:
        if step.state in ENDED:
            machine.settle(step.path, _end(step))
    return machine


def _end(step: StepRecord) -> End:
    return step.body if step.state == "done" else Fault(step.path, step.code, step.error)


def _nothing() -> None:
    """Take nothing back: it is answered already."""
