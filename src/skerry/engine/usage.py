"""Meters what functions use: handler time is billed; starts and idle workers are recorded, and billed nothing.

The front adds up whole microseconds as workers report them, for each group of answers at once. Here the sums are looked
at every few seconds, and what was added since the last look goes into the records, to the hour of the look. An engine
that is killed loses what came after it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from skerry.engine.records import Usage, UsageRecord
from skerry.engine.records.usage import HOUR_S
from skerry.errors import SkerryError
from skerry.observe import FunctionMetrics
from skerry.runtime.confinement import resident_bytes
from skerry.runtime.pool import WorkerPool

logger = logging.getLogger(__name__)
PERIOD_S = 5.0  # what a killed engine loses at most
Key = tuple[str, str, int]  # function, revision, hour


@dataclass(frozen=True, slots=True)
class _Reading:
    """The sums of one revision since its pool was made."""

    requests: int = 0
    errors: int = 0
    billed_us: int = 0
    cold_starts: int = 0
    cold_start_us: int = 0
    idle_us: int = 0


class _Meter:
    """What one pool has used, and how much of that has been taken."""

    def __init__(self, pool: WorkerPool, revision: str, metrics: FunctionMetrics) -> None:
        self._pool = pool
        self._revision = revision
        self._metrics = metrics
        self._taken = _Reading()
        self._memory_bytes = 0  # of a worker, measured last
        self._unweighed_us = 0  # billed while no worker could be measured

    def take(self, hour_at: int) -> UsageRecord | None:
        """Return what came since the last time; none when nothing did."""
        metrics, before = self._metrics, self._taken
        now = _Reading(
            metrics.requests,
            metrics.errors,
            metrics.handler_us,
            metrics.cold_starts,
            metrics.cold_start_us,
            max(before.idle_us, int(self._pool.dispatcher.idle_s() * 1e6)),  # a sum of floats may lose the last digit
        )
        if now == before:
            return None
        self._taken = now
        billed_us = now.billed_us - before.billed_us
        return UsageRecord(
            function=self._pool.spec.name,
            revision=self._revision,
            hour_at=hour_at,
            requests=now.requests - before.requests,
            errors=now.errors - before.errors,
            billed_us=billed_us,
            memory_gb_s=self._weigh(billed_us),
            cold_starts=now.cold_starts - before.cold_starts,
            cold_start_us=now.cold_start_us - before.cold_start_us,
            idle_us=now.idle_us - before.idle_us,
        )

    def _weigh(self, billed_us: int) -> float:
        """Return time multiplied by memory; time without a known memory waits for the next that has one."""
        self._unweighed_us += billed_us
        memory_bytes = self._worker_bytes() if self._unweighed_us else 0
        if not memory_bytes:
            return 0.0
        weighed_us, self._unweighed_us = self._unweighed_us, 0
        return weighed_us / 1e6 * memory_bytes / 1e9

    def _worker_bytes(self) -> int:
        """Return the memory that is billed: what was declared, else what a worker holds for itself."""
        declared = self._pool.spec.memory_bytes
        if declared is not None:
            return declared
        for worker in self._pool.workers:
            held = 0 if worker.pid is None else resident_bytes(worker.pid)
            if held:
                self._memory_bytes = held
                break
        return self._memory_bytes


class UsageMeter:
    """Records what all functions of an engine use.

    Args:
        records: Where it is kept.
        clock: Unix time, seconds.
    """

    def __init__(self, records: Usage, *, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._clock = clock
        self._meters: dict[WorkerPool, _Meter] = {}
        self._waiting: dict[Key, UsageRecord] = {}  # taken, and not recorded yet
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, pool: WorkerPool, revision: str, metrics: FunctionMetrics) -> None:
        """Meter a pool from now on.

        Args:
            pool: The workers of one revision.
            revision: Its name.
            metrics: What counts its requests.
        """
        self._meters[pool] = _Meter(pool, revision, metrics)
        if self._timer is None:
            self._arm()

    def forget(self, pool: WorkerPool) -> None:
        """Take what a pool has used in the end, and meter it no more."""
        self._take(pool)
        self._meters.pop(pool, None)

    def flush(self) -> None:
        """Record what was used until now; what cannot be recorded now is kept and tried again."""
        for pool in self._meters:
            self._take(pool)
        if not self._waiting:
            return
        try:
            self._records.add(self._waiting.values())
        except (SkerryError, sqlite3.Error) as error:
            logger.warning("the usage of late is not recorded yet: %s", error)
        else:
            self._waiting.clear()

    def stop(self) -> None:
        """Record what is left, and look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._look)

    def _look(self) -> None:
        self._arm()
        self.flush()

    def _take(self, pool: WorkerPool) -> None:
        meter = self._meters.get(pool)
        used = None if meter is None else meter.take(int(self._clock()) // HOUR_S * HOUR_S)
        if used is None:
            return
        key = used.function, used.revision, used.hour_at
        before = self._waiting.get(key)
        self._waiting[key] = used if before is None else _add(before, used)


def _add(one: UsageRecord, other: UsageRecord) -> UsageRecord:
    return replace(
        one,
        requests=one.requests + other.requests,
        errors=one.errors + other.errors,
        billed_us=one.billed_us + other.billed_us,
        memory_gb_s=one.memory_gb_s + other.memory_gb_s,
        cold_starts=one.cold_starts + other.cold_starts,
        cold_start_us=one.cold_start_us + other.cold_start_us,
        idle_us=one.idle_us + other.idle_us,
    )
