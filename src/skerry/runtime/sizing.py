"""How many calls a worker is given at a time."""

from __future__ import annotations

import math
from typing import Any, Protocol

from skerry.scaling.batching import BatchDecision, BatchPolicy
from skerry.spec import Batch

MAX_DEPTH = 64
BATCH_BUDGET_S = 0.002  # as much work as a worker is given ahead of time


class Sizing(Protocol):
    """Decides the size of a batch and learns from those that have ended."""

    service_s: float | None
    reason: str  # of the last decision

    @property
    def most(self) -> int:
        """Most calls that an idle worker would be given at this moment."""

    def size(self, *, queued: int, oldest_wait_s: float, idle: int) -> int:
        """Return how many calls an idle worker is given now, at least 1.

        Args:
            queued: Calls that wait, at least 1.
            oldest_wait_s: Seconds that the first of them has waited.
            idle: Workers that hold nothing.
        """

    def longest_wait_s(self, queued: int) -> float:
        """Return the seconds that a call may have waited and still be in time, where ``queued`` wait for one worker."""

    def expected_s(self, size: int) -> float:
        """Return how long a worker is expected to hold so many calls, 0 where that is not known."""

    def ended(self, size: int, took_s: float) -> None:
        """Learn how long a worker held a batch of ``size`` calls."""

    def describe(self) -> dict[str, Any]:
        """Return what was learnt and what was decided last, for people to see."""


class Depth:
    """For functions without `Batch`: the faster a worker answers, the more calls it is given at a time.

    The cost of a frame is then shared; behind a slow call nobody waits while another worker is free.
    """

    def __init__(self) -> None:
        self.service_s: float | None = None  # smoothed seconds of a worker per call
        self.reason = "queue"

    @property
    def most(self) -> int:
        """Most calls that a worker is given ahead of time."""
        if self.service_s is None:
            return 1
        return max(1, min(MAX_DEPTH, int(BATCH_BUDGET_S / max(self.service_s, 1e-6))))

    def size(self, *, queued: int, oldest_wait_s: float, idle: int) -> int:
        """Return how many calls an idle worker is given now."""
        return min(self.most, -(-queued // idle))

    def longest_wait_s(self, queued: int) -> float:
        """Return how long a call may wait: there is no objective."""
        return math.inf

    def expected_s(self, size: int) -> float:
        """Return how long a worker is expected to hold so many calls."""
        return size * (self.service_s or 0.0)

    def ended(self, size: int, took_s: float) -> None:
        """Learn how long a worker held ``size`` calls."""
        self.service_s = _smooth(self.service_s, took_s / size)

    def describe(self) -> dict[str, Any]:
        """Return the smoothed seconds per call."""
        return {"service_s": self.service_s}


class ObjectiveBatches:
    """For functions with `Batch`: as many calls as the objective allows.

    Args:
        batch: The function's option.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.service_s: float | None = None
        self.reason = ""
        self.policy = BatchPolicy(max_size=batch.max_size, objective_s=batch.objective_s, max_weight=batch.max_weight)
        self._decision: BatchDecision | None = None
        self._queued = 0

    @property
    def most(self) -> int:
        """Most calls of a batch."""
        return self.batch.max_size

    def size(self, *, queued: int, oldest_wait_s: float, idle: int) -> int:
        """Return how many calls an idle worker is given now."""
        decision = self.policy.decide(queued=queued, oldest_wait_s=oldest_wait_s, idle_workers=idle)
        self._decision = decision
        self.reason = decision.reason
        self._queued = queued
        return decision.size

    def longest_wait_s(self, queued: int) -> float:
        """Return how long a call may have waited and still meet the objective."""
        return self.policy.longest_wait_s(queued)

    def expected_s(self, size: int) -> float:
        """Return how long a batch of so many calls is expected to take."""
        return self.policy.expected_s(size) or 0.0

    def ended(self, size: int, took_s: float) -> None:
        """Learn from a batch that has ended."""
        self.service_s = _smooth(self.service_s, took_s / size)
        self.policy.observe(size, took_s)

    def describe(self) -> dict[str, Any]:
        """Return the learnt cost of a batch, ``a_s`` per call and ``b_s`` besides, and the last decision."""
        last = self._decision
        return {
            "service_s": self.service_s,
            "a_s": self.policy.a_s,
            "b_s": self.policy.b_s,
            "objective_s": self.batch.objective_s,
            "queued_then": self._queued,
            "size": last.size if last is not None else None,
            "reason": str(self.reason) or None,
        }


def _smooth(before: float | None, sample: float) -> float:
    return sample if before is None else 0.8 * before + 0.2 * sample
