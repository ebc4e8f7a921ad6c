"""Begins runs, takes up those of the process before, and tells how they are."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from skerry.errors import MalformedBodyError, QueueFullError, SkerryError, UnavailableError
from skerry.events.chain.calls import Give
from skerry.events.chain.course import Course
from skerry.events.chain.journal import LIVE, RunJournal, RunRecord
from skerry.events.chain.values import write_plan
from skerry.spec.chain import ChainPlan

logger = logging.getLogger(__name__)
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
MOST_LIVE = 20_000  # runs under way; each is held in memory
KEPT_S = 24 * 3600.0
PURGE_PERIOD_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller asks for.

    Args:
        chain: The chain's name.
        plan: What it does.
        mode: ``separated`` or ``fused``; none means what the plan says.
        value: What the first step is given, as MessagePack.
        traceparent: The trace that it is part of.
        id: What the run is known by: with the id of a run that is there, nothing begins. None means a new one.
        local: Whether a function of the chain is labelled ``local``.
    """

    chain: str
    plan: ChainPlan
    mode: str | None
    value: bytes
    traceparent: str
    id: str | None = None
    local: bool = False


class Conductor:
    """Does runs; needs a running event loop.

    Args:
        journal: What is on record; the conductor closes it.
        give: Gives steps to functions.
        on_end: Called with each run that has ended.
        chance: Returns a random number from 0 to 1, for jitter.
    """

    def __init__(
        self,
        journal: RunJournal,
        give: Give,
        *,
        on_end: Callable[[RunRecord], None] = lambda record: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.journal = journal
        self._give = give
        self._on_end = on_end
        self._chance = chance
        self._courses: dict[str, Course] = {}
        self._beginning: set[asyncio.Task[RunRecord]] = set()
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._purge: asyncio.TimerHandle | None = None
        self._stopping = False

    async def begin(self, order: Order) -> RunRecord:
        """Begin a run; return once it is durable.

        Raises:
            MalformedBodyError: the id is not of its form, or that of another chain's run.
            QueueFullError: so many runs are under way that no more are begun.
            UnavailableError: it cannot be written, or the process stops.
        """
        if self._stopping:
            raise UnavailableError("the engine is shutting down; begin the run again", retry_after_s=1)
        if order.id is not None and not ID.fullmatch(order.id):
            raise MalformedBodyError(f"id = {order.id!r:.80}: use letters, digits and . _ : -, at most 128")
        if len(self._courses) >= MOST_LIVE:
            raise QueueFullError(
                f"{len(self._courses)} runs of chains are under way, and no more are begun; try again later",
                retry_after_s=1,
            )
        wanted = RunRecord(
            number=0,
            id=order.id or uuid.uuid4().hex,
            chain=order.chain,
            plan=write_plan(order.plan),
            mode=order.mode or order.plan.mode,
            status=LIVE,
            traceparent=order.traceparent,
            value=order.value,
            began_at=time.time(),
            local=order.local,
        )
        # A caller that goes away meanwhile does not keep what is on record from going.
        task = asyncio.get_running_loop().create_task(self._begin(wanted))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)
        return await asyncio.shield(task)

    def resume(self) -> None:
        """Take up the runs that have not ended."""
        for record in self.journal.live():
            try:
                self._course(record).resume(self.journal.steps(record.number))
            except Exception as error:  # such as a plan that this version refuses: the others go on
                course = self._courses.pop(record.id, None)
                if course is not None:
                    course.close()
                is_known = isinstance(error, SkerryError)
                logger.warning(
                    "run %s of chain %s is not taken up: %s", record.id, record.chain, error, exc_info=not is_known
                )
        self._purge_old()

    async def cancel(self, id: str) -> RunRecord | None:
        """End a run, and undo nothing; return it, none when it is not known. One that has ended stays as it is."""
        course = self._courses.get(id)
        found = self.journal.run(id) if course is None else course.record  # one that was not taken up has no course
        if found is not None and found.status == LIVE:
            if course is not None:
                del self._courses[id]
                course.close()
            number = found.number
            written = asyncio.get_running_loop().create_future()
            self.journal.end(number, "cancelled", result=None, error=None, at=time.time())
            self.journal.then(lambda: written.set_result(None))
            await asyncio.shield(written)
            self._tell(id)
        return self.journal.run(id)

    async def wait(self, id: str, wait_s: float) -> RunRecord | None:
        """Return a run after it has ended, or as it is after so many seconds; none when it is not known."""
        if id in self._courses and wait_s > 0:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiters = self._waiters.setdefault(id, [])
            waiters.append(waiter)
            try:
                await asyncio.wait([waiter], timeout=wait_s)
            finally:
                waiters.remove(waiter)
        return self.journal.run(id)

    def stop(self) -> None:
        """Begin nothing more, and go on with nothing; who waits is told how it is."""
        self._stopping = True
        for course in self._courses.values():
            course.hold()
        if self._purge is not None:
            self._purge.cancel()
        for id in list(self._waiters):
            self._tell(id)

    async def close(self) -> None:
        """Write down what functions have answered; nothing answers any more."""
        if self._beginning:
            await asyncio.wait(self._beginning)
        for course in self._courses.values():
            course.close()
        await self.journal.close()

    # Inside

    async def _begin(self, wanted: RunRecord) -> RunRecord:
        record, is_new = await self.journal.begin(wanted)
        if record.chain != wanted.chain:
            raise MalformedBodyError(
                f"id = {record.id!r} is that of a run of chain {record.chain!r}; choose another one"
            )
        if is_new and not self._stopping:
            self._course(record).go()
        return record

    def _course(self, record: RunRecord) -> Course:
        course = Course(record, journal=self.journal, give=self._give, chance=self._chance, on_end=self._ended)
        self._courses[record.id] = course
        return course

    def _ended(self, course: Course) -> None:
        self._courses.pop(course.record.id, None)
        self._tell(course.record.id)
        self._on_end(course.record)

    def _tell(self, id: str) -> None:
        for waiter in self._waiters.pop(id, []):
            if not waiter.done():
                waiter.set_result(None)

    def _purge_old(self) -> None:
        try:
            self.journal.purge(time.time() - KEPT_S)
        except sqlite3.Error as error:
            logger.warning("old runs are not removed: %s", error)
        self._purge = asyncio.get_running_loop().call_later(PURGE_PERIOD_S, self._purge_old)
