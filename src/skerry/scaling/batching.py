"""How many waiting items a worker takes at once, so that the oldest still meets its objective.

A worker that is idle never waits for company: what waits goes out at once, and batches grow by themselves while all
workers are busy. The objective only makes a batch smaller. For that the policy learns ``duration = a * items + b`` from
the batches that it is told of.

Source: the linear model and the objective as in BentoML's adaptive batching and INFless (Yang et al., ASPLOS 2022); the
margin for the spread of durations stands for the quantiles of Clipper (Crankshaw et al., NSDI 2017, section 4.3) and of
BATCH (Ali et al., SC 2020). Where this differs:

* There is no window to wait out: the wait of a batch is the time that the batch before it runs.
* The fit is recursive least squares with forgetting, so that a batch costs the same however many came before it.
* A batch is made smaller only where that keeps most of the throughput. For an item that is late in any case it would be
  to no end, and while more arrives than small batches can serve, it would save one item and make all behind it late:
  in simulations with bursts, batches that always shrank to the oldest item's time kept the objective for fewer items
  than batches that never shrank.
* What cannot be in time any more is no measure for those that can, and is not to be served before them
  (`longest_wait_s`), as in Nexus's early drop (Shen et al., SOSP 2019), but nothing is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

MEMORY = 0.98  # what an observation keeps of its weight with each one after it: about fifty count
DRIFT_MEMORY = 0.25  # the same when batches in a row are not as expected: the old ones are of another time
DRIFT_BATCHES = 3  # so many in a row; fewer are a pause
SURPRISE = 4.0  # spreads from the expected duration that are a surprise
SPREAD_GAIN = 0.1  # weight of one batch in the spread
SPREAD_FLOOR_RATIO = 0.05  # least spread that a surprise is measured by, of the expected duration
SIZE_FLOOR_RATIO = 0.02  # sizes that differ by less than this hardly tell the cost of an item
MARGIN = 1.0  # spreads that a batch should end before the objective
WORTH_RATIO = 0.8  # least throughput that a smaller batch must have, of that of the larger one
DELIVERY_RATIO = 0.1  # of the objective, for the ways of a call and its answer, which no batch's duration tells of


class BatchReason(StrEnum):
    """What settled the size of a batch."""

    QUEUE = "queue"
    MAX_SIZE = "max size"
    OBJECTIVE = "objective"
    WEIGHT = "weight"
    GROUP = "group"
    LATE = "late"
    BUSY = "busy"


class BatchDecision(NamedTuple):
    """What the policy answers; a plain tuple, since one is made for every batch.

    Args:
        size: Items to take; at least 1 where something waits.
        wait_s: 0 where a worker is idle; else how long the oldest item can still wait, in seconds.
        reason: What settled it.
    """

    size: int
    wait_s: float
    reason: BatchReason


class BatchPolicy:
    """Sizes the batches of one function.

    It reads no clock and does no I/O: the same observations lead to the same decisions.

    Args:
        max_size: Most items of a batch, at least 1; no batch is ever larger.
        objective_s: Time from an item's arrival to its result, in seconds, above 0.
        max_weight: Largest sum of the weights of a batch, none for no bound. The caller sums; see `fitting`.

    Example:
        ``BatchPolicy(max_size=64, objective_s=0.05).decide(queued=9, oldest_wait_s=0.001, idle_workers=1)``
    """

    def __init__(self, *, max_size: int, objective_s: float, max_weight: float | None = None) -> None:
        self.max_size = max_size
        self.objective_s = objective_s
        self.max_weight = max_weight
        self._a_s = 0.0
        self._b_s = 0.0
        self._spread_s = 0.0
        # Weighted moments of what was observed: means, and sums of products around them.
        self._weight = 0.0
        self._mean_size = 0.0
        self._mean_s = 0.0
        self._size_size = 0.0
        self._size_s = 0.0
        self._surprises = 0  # in a row; above 0: slower than expected, below: faster

    @property
    def a_s(self) -> float | None:
        """Seconds that each item adds to a batch, at least 0; None before the first batch."""
        return self._a_s if self._weight else None

    @property
    def b_s(self) -> float | None:
        """Seconds that a batch takes besides its items, at least 0; None before the first batch."""
        return self._b_s if self._weight else None

    @property
    def spread_s(self) -> float | None:
        """Mean distance of durations from the expected ones, in seconds; None before the first batch."""
        return self._spread_s if self._weight else None

    def expected_s(self, size: int) -> float | None:
        """Return the seconds that a batch of ``size`` items is expected to take; None before the first batch."""
        return self._a_s * size + self._b_s if self._weight else None

    def observe(self, size: int, duration_s: float) -> None:
        """Learn from a batch.

        A single slow batch counts as no slower than a surprise, so that a pause of the machine is no lesson. Several
        in a row, or several faster ones, are a new state of affairs, and what was before is forgotten quickly. While
        all batches have one size, the cost of an item and that of a batch cannot be told apart: they keep their ratio,
        and before any other size has been seen, all is put down to the items, which is the careful view.

        Args:
            size: Items that it had. A size below 1 is ignored.
            duration_s: Seconds from handing it over to its last result, as the items' callers had to wait for it. What
                is no such time (negative, not finite) is ignored.
        """
        if size < 1 or not 0.0 <= duration_s < math.inf:
            return
        if self._weight:
            duration_s = self._bounded(duration_s, self._a_s * size + self._b_s)
        else:
            self._a_s = duration_s / size

        self._weight = weight = self._weight * MEMORY + 1.0
        from_size, from_s = size - self._mean_size, duration_s - self._mean_s
        self._mean_size = mean_size = self._mean_size + from_size / weight
        self._mean_s = mean_s = self._mean_s + from_s / weight
        self._size_size = size_size = self._size_size * MEMORY + from_size * (size - mean_size)
        self._size_s = size_s = self._size_s * MEMORY + from_size * (duration_s - mean_s)
        self._fit(weight, mean_size, mean_s, size_size, size_s)

    def decide(
        self, *, queued: int, oldest_wait_s: float, idle_workers: int, expected_idle_s: float | None = None
    ) -> BatchDecision:
        """Return how many items the next batch takes.

        Args:
            queued: Items that wait. With none the size is 0.
            oldest_wait_s: Seconds that the oldest of them has waited.
            idle_workers: Workers that could begin now. They share what waits.
            expected_idle_s: Where no worker is idle, seconds until one is expected to be; none where it is not known.

        Returns:
            The size, never above ``max_size`` and at least 1. It is no larger than lets the oldest item meet the
            objective, if any size does and this one costs no more than a fifth of the throughput. Otherwise the batch
            is as large as it may be, since ``n / (a * n + b)`` never falls with ``n``, and the reason is "late".
            Without an idle worker the size is what a batch would have, and ``wait_s`` says how long the oldest can
            still wait: "busy", or "late" when it cannot.
        """
        if idle_workers < 1:
            return self._while_busy(queued, oldest_wait_s, expected_idle_s)
        size = queued if idle_workers == 1 else -(-queued // idle_workers)
        reason = BatchReason.QUEUE
        if size > self.max_size:
            size, reason = self.max_size, BatchReason.MAX_SIZE
        return self._within_objective(size, oldest_wait_s, reason)

    def longest_wait_s(self, queued: int) -> float:
        """Return the seconds that an item may have waited and still be served in time, with some room for delivery.

        Items that have waited longer do best to let the others go first: to make a batch small enough for them would
        cost more than a fifth of the throughput, or not help at all.

        Args:
            queued: Items that wait for one worker.

        Returns:
            Infinite before the first batch; negative where the objective is shorter than a batch of one.
        """
        if not self._weight:
            return math.inf
        a_s, b_s = self._a_s, self._b_s
        size = max(1, min(queued, self.max_size))
        # The smallest batch with `WORTH_RATIO` of the throughput of this size, from n / (a * n + b).
        least = math.ceil(WORTH_RATIO * size * b_s / ((1 - WORTH_RATIO) * a_s * size + b_s)) if b_s > 0 else 1
        margin_s = max(MARGIN * self._spread_s, DELIVERY_RATIO * self.objective_s)
        return self.objective_s - b_s - a_s * max(1, least) - margin_s

    def fitting(self, weights: Iterable[float]) -> int:
        """Return how many of the first items fit into ``max_weight`` together.

        Args:
            weights: Their weights in the order of the queue, each at least 0; read no further than they fit.

        Returns:
            At least 1 where there is an item: one that is too heavy by itself goes alone. All, without a bound.
        """
        left = math.inf if self.max_weight is None else self.max_weight
        count = 0
        for weight in weights:
            left -= weight
            if left < 0 and count:
                break
            count += 1
        return count

    # Inside

    def _within_objective(self, size: int, oldest_wait_s: float, reason: BatchReason) -> BatchDecision:
        a_s, b_s = self._a_s, self._b_s
        left_s = self.objective_s - oldest_wait_s - b_s
        margin_s = MARGIN * self._spread_s
        if size * a_s + margin_s <= left_s or not self._weight or not size:
            return BatchDecision(size, 0.0, reason)
        if a_s > left_s:
            return BatchDecision(size, 0.0, BatchReason.LATE)
        # Here one item is in time. With the margin there may be room for none: then one it is.
        fits = max(1, int((left_s - margin_s) / a_s)) if a_s > 0 else size
        if fits >= size:
            return BatchDecision(size, 0.0, reason)
        if fits * (a_s * size + b_s) < WORTH_RATIO * size * (a_s * fits + b_s):
            return BatchDecision(size, 0.0, BatchReason.LATE)
        return BatchDecision(fits, 0.0, BatchReason.OBJECTIVE)

    def _while_busy(self, queued: int, oldest_wait_s: float, expected_idle_s: float | None) -> BatchDecision:
        until_s = expected_idle_s or 0.0
        wait_s = self.objective_s - oldest_wait_s - self._a_s - self._b_s
        size = self._within_objective(min(queued, self.max_size), oldest_wait_s + until_s, BatchReason.BUSY).size
        if wait_s < until_s:
            return BatchDecision(size, max(0.0, wait_s), BatchReason.LATE)
        return BatchDecision(size, wait_s, BatchReason.BUSY)

    def _bounded(self, duration_s: float, expected_s: float) -> float:
        """Return the duration to learn from, and keep the spread and the surprises."""
        off_s = duration_s - expected_s
        limit_s = SURPRISE * max(self._spread_s, SPREAD_FLOOR_RATIO * expected_s)
        surprises = self._surprises
        if -limit_s <= off_s <= limit_s:
            self._surprises = 0
        else:
            self._surprises = surprises = max(1, surprises + 1) if off_s > 0 else min(-1, surprises - 1)
            if abs(surprises) >= DRIFT_BATCHES:
                self._weight *= DRIFT_MEMORY
                self._size_size *= DRIFT_MEMORY
                self._size_s *= DRIFT_MEMORY
            elif off_s > 0:  # nothing makes a batch faster by chance, much makes it slower
                duration_s = expected_s + limit_s
            # What is faster than thought says that the thought was wrong, not that durations scatter.
            off_s = limit_s if off_s > 0 else min(limit_s, self._spread_s)
        self._spread_s += SPREAD_GAIN * (abs(off_s) - self._spread_s)
        return duration_s

    def _fit(self, weight: float, mean_size: float, mean_s: float, size_size: float, size_s: float) -> None:
        """Set a and b to the line through the means whose slope the observations and the line so far agree on."""
        expected_s = self._a_s * mean_size + self._b_s
        so_far_s = self._a_s * mean_s / expected_s if expected_s > 0 else mean_s / mean_size
        # The less the sizes differ, and the more the durations scatter, the longer the line so far is believed.
        noise = 2.0 * self._spread_s / mean_s if mean_s > 0 else 0.0
        belief = weight * mean_size * mean_size * (SIZE_FLOOR_RATIO * SIZE_FLOOR_RATIO + noise * noise)
        slope_s = (size_s + belief * so_far_s) / (size_size + belief)
        self._a_s = a_s = min(max(slope_s, 0.0), mean_s / mean_size)
        self._b_s = max(0.0, mean_s - a_s * mean_size)
