"""Lets a function have its first worker when the memory allows it, and puts idle ones out to make room.

What a function holds is measured: the share of the machine's memory of its processes, each page counted once. The
decision is `skerry.scaling.residency`'s. A function that has to wait asks again every few milliseconds; its calls stay
in its queue. The memory that is being freed for one is not given to another that asks in between.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from skerry.errors import UnavailableError
from skerry.runtime.pool import WorkerPool
from skerry.scaling.residency import Residency, Resident, Wanted, decide, describe_need

MEASURE_PERIOD_S = 2.0  # one function that has been active is measured anew
SURE_RATIO = 0.8  # of the budget: while less is in use by what was measured of late, nothing is measured for a start
PATIENCE_S = 10.0  # longest wait for functions that have requests themselves
REFUSAL_S = 1.0  # so long further calls are told the same, without another look
FORGET_S = 1.0  # a function that waits asks much more often than this
NEVER_RETRY_S = 60.0
EVENT_PERIOD_S = 10.0  # between two events of one function about the same refusal
MODEL_VARIABLE = "SKERRY_MODEL_FOLDER"


class Scaled(Protocol):
    """What this module needs of a function's autoscaler."""

    def put_out(self) -> None:
        """End all workers of a function that has no calls."""


class Tenant(Protocol):
    """What this module needs of a served function."""

    @property
    def pool(self) -> WorkerPool:
        """Its workers."""

    @property
    def autoscaler(self) -> Scaled:
        """What sets their number."""


class _Wait:
    """A function that is not let in yet."""

    __slots__ = ("asked_s", "making_room_bytes", "since_s")

    def __init__(self, now_s: float) -> None:
        self.since_s = now_s
        self.asked_s = now_s
        self.making_room_bytes = 0  # what the others that leave do leave for


class _Measured:
    """What was measured of one pool."""

    __slots__ = ("answered", "at_s", "size_bytes", "workers")

    def __init__(self, pool: WorkerPool, now_s: float) -> None:
        self.size_bytes = pool.memory_bytes()
        self.workers = len(pool.workers)
        self.answered = pool.dispatcher.load.answered
        self.at_s = now_s


class MemoryGate:
    """Keeps the workers of all functions within a budget.

    Args:
        budget_bytes: What they may hold together.
        served: The functions, by name.
        retiring: The pools of replaced revisions that finish what they have.
        notify: Called with a function, the kind and the details of each event.
    """

    def __init__(
        self,
        budget_bytes: int,
        *,
        served: Mapping[str, Tenant],
        retiring: Iterable[WorkerPool],
        notify: Callable[[str, str, dict[str, Any]], None],
    ) -> None:
        self.budget_bytes = budget_bytes
        self._served = served
        self._retiring = retiring
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, _Wait] = {}
        self._measured: dict[WorkerPool, _Measured] = {}
        self._worker_bytes: dict[str, int] = {}  # by revision, measured after it had served
        self._told_s: dict[str, float] = {}  # when a refusal was last an event
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(MEASURE_PERIOD_S, self._look)

    def admit(self, pool: WorkerPool) -> bool:
        """Whether a function may have its first worker now; when not, ask again as long as it wants one.

        Makes room as far as it can. Where there never will be enough, or not soon, the calls that wait are refused.

        Args:
            pool: The function's workers, none of which takes calls.
        """
        now_s = self._loop.time()
        wanted = Wanted(function=pool.spec.name, size_bytes=self.expected_bytes(pool))
        decision = self._decide(wanted, pool, now_s)
        if decision.admitted:
            self._waiting.pop(wanted.function, None)
            return True
        if decision.refuse is not None:
            self._refuse(pool, wanted, decision.refuse, retry_after_s=NEVER_RETRY_S)
            return False
        wait = self._waiting.setdefault(wanted.function, _Wait(now_s))
        wait.asked_s = now_s
        leaving = {one.function for one in self._residents(pool, fresh=False) if one.leaving}
        wait.making_room_bytes = wanted.size_bytes if leaving.issuperset(decision.wait_for) else 0
        for function in decision.evict:
            self._put_out(function, wanted)
        if now_s - wait.since_s > PATIENCE_S:
            held = [(one.function, one.size_bytes) for one in self._residents(pool, fresh=False)]
            figures = describe_need(wanted, held, self.budget_bytes)
            self._refuse(pool, wanted, f"{figures}; they have requests, try later", retry_after_s=REFUSAL_S)
        return False

    def expected_bytes(self, pool: WorkerPool) -> int:
        """Return what a worker will hold: what one held, else its model's files, else its `memory`, else 0."""
        measured = self._worker_bytes.get(_revision(pool))
        if measured is not None:
            return measured
        folder = pool.target.environment.get(MODEL_VARIABLE)
        return (0 if folder is None else _folder_bytes(Path(folder))) or pool.spec.memory_bytes or 0

    def room(self, pool: WorkerPool, *, most: int) -> int:
        """Return how many workers of a pool there is memory for as things are: 0 to ``most``."""
        size_bytes = self.expected_bytes(pool)
        free_bytes = self.budget_bytes - sum(one.size_bytes for one in self._residents(pool, fresh=False))
        return most if not size_bytes else min(most, max(0, free_bytes // size_bytes))

    def stop(self) -> None:
        """Measure nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Inside

    def _decide(self, wanted: Wanted, pool: WorkerPool, now_s: float) -> Residency:
        self._waiting = {name: wait for name, wait in self._waiting.items() if now_s - wait.asked_s < FORGET_S}
        known = [*self._residents(pool, fresh=False), *self._reserved(wanted.function)]
        in_use_bytes = sum(one.size_bytes for one in known)
        if in_use_bytes + wanted.size_bytes <= SURE_RATIO * self.budget_bytes:
            return Residency()
        return decide(wanted, [*self._residents(pool, fresh=True), *self._reserved(wanted.function)], self.budget_bytes)

    def _reserved(self, function: str) -> list[Resident]:
        """Return the functions that wait for room which is being made for them, up to the one that asks."""
        found = []
        for name, wait in self._waiting.items():
            if name == function:
                break
            if wait.making_room_bytes:
                found.append(Resident(function=f"{name} (waits)", size_bytes=wait.making_room_bytes, busy=True))
        return found

    def _residents(self, wanted: WorkerPool, *, fresh: bool) -> list[Resident]:
        """Return what holds memory; an older revision of the function that asks does not stand in its way."""
        found = [self._resident(pool, served=True, fresh=fresh) for pool in self._pools() if pool.workers]
        found += [
            self._resident(pool, served=False, fresh=fresh)
            for pool in self._retiring
            if pool.workers and pool.spec.name != wanted.spec.name
        ]
        return found

    def _resident(self, pool: WorkerPool, *, served: bool, fresh: bool) -> Resident:
        dispatcher = pool.dispatcher
        counts = pool.counts()
        leaving = not served or not (pool.desired or counts["starting"] or counts["ready"])
        measured = self._measured.get(pool)
        if fresh or measured is None:
            measured = self._measure(pool)
        size_bytes = measured.size_bytes
        if counts["starting"]:  # it does not hold yet what it was let in for
            size_bytes = max(size_bytes, self.expected_bytes(pool))
        return Resident(
            function=f"{pool.spec.name} (leaves)" if leaving else pool.spec.name,
            size_bytes=size_bytes,
            busy=bool(dispatcher.in_system or dispatcher.is_busy or counts["starting"]),
            idle_since_s=max((slot.idle_since_s for slot in dispatcher.slots), default=0.0),
            pinned=pool.spec.scale.min > 0 and served,
            leaving=leaving,
        )

    def _put_out(self, function: str, wanted: Wanted) -> None:
        tenant = self._served[function]
        size_bytes = self._measured[tenant.pool].size_bytes
        self._notify(function, "evicted", {"for": wanted.function, "size_bytes": size_bytes})
        tenant.autoscaler.put_out()

    def _refuse(self, pool: WorkerPool, wanted: Wanted, figures: str, *, retry_after_s: float) -> None:
        self._waiting.pop(wanted.function, None)
        now_s = self._loop.time()
        if now_s - self._told_s.get(wanted.function, -EVENT_PERIOD_S) >= EVENT_PERIOD_S:
            self._told_s[wanted.function] = now_s
            needs = {"needs_bytes": wanted.size_bytes, "budget_bytes": self.budget_bytes, "reason": figures}
            self._notify(wanted.function, "refused_memory", needs)
        error = UnavailableError(
            figures, retry_after_s=retry_after_s, needs_bytes=wanted.size_bytes, budget_bytes=self.budget_bytes
        )

        def refuse() -> None:
            if pool.dispatcher.refusal is None:
                pool.dispatcher.refuse(error)
                self._loop.call_later(REFUSAL_S, pool.dispatcher.accept)

        self._loop.call_soon(refuse)  # the call that asks is still being taken

    def _pools(self) -> list[WorkerPool]:
        return [tenant.pool for tenant in self._served.values()]

    def _measure(self, pool: WorkerPool) -> _Measured:
        measured = self._measured[pool] = _Measured(pool, self._loop.time())
        if measured.answered and measured.workers and measured.size_bytes:
            self._worker_bytes[_revision(pool)] = measured.size_bytes // measured.workers
        return measured

    def _look(self) -> None:
        """Measure the function whose measurement is the oldest, of those that have done something since."""
        self._timer = self._loop.call_later(MEASURE_PERIOD_S, self._look)
        pools = {*self._pools(), *self._retiring}
        self._measured = {pool: was for pool, was in self._measured.items() if pool in pools and pool.workers}
        active = [pool for pool in self._pools() if pool.workers and self._has_changed(pool)]
        if active:
            self._measure(min(active, key=lambda pool: self._measured[pool].at_s if pool in self._measured else 0.0))

    def _has_changed(self, pool: WorkerPool) -> bool:
        was = self._measured.get(pool)
        return was is None or was.answered != pool.dispatcher.load.answered or was.workers != len(pool.workers)


def _revision(pool: WorkerPool) -> str:
    return pool.target.environment.get("K_REVISION", "")


def _folder_bytes(folder: Path) -> int:
    """Return the size of the files in a folder and below it; 0 when it cannot be read."""
    return sum(os.stat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names)
