"""A candidate that is being tried beside what serves a function, and what both have answered."""

from __future__ import annotations

from typing import Protocol

from skerry.engine.traffic.plan import TrafficPlan
from skerry.observe import Histogram
from skerry.runtime.comparison import ComparisonReport
from skerry.runtime.mirror import Mirror
from skerry.runtime.pool import WorkerPool
from skerry.runtime.split import Split
from skerry.scaling.evidence import LaneStatistics
from skerry.scaling.rollout import RolloutDecision

CANDIDATE = "candidate"


class Lanes(Protocol):
    """What the traffic of a function needs of the engine."""

    @property
    def stable(self) -> WorkerPool:
        """The pool that serves the function by itself."""

    @property
    def serving(self) -> int | None:
        """The version of the model that `stable` has, where it has one."""

    def route(self, entry: WorkerPool | Split) -> None:
        """Serve the function by this from now on: `Front.add_function`."""

    async def add(self, version: int) -> WorkerPool:
        """Return the pool of a candidate: it is warm, takes requests, and is counted (`Observing.observe`).

        Raises:
            SkerryError: it cannot be started; nothing of it is left.
        """

    async def promote(self, reason: str) -> None:
        """Put on record that the candidate serves the function, and make its pool `stable`.

        What was stable goes on as it is: its requests are routed away first, then `retire` is called for it.

        Raises:
            SkerryError: it cannot be recorded; everything is as before.
        """

    def retire(self, pool: WorkerPool) -> None:
        """Have a pool take nothing more, finish what it has, and end; that goes on after the return."""


class Trial:
    """A candidate, and how it does.

    Args:
        plan: What was asked for.
        pool: The candidate's workers.
        stable: Those of what serves the function.
    """

    def __init__(self, plan: TrafficPlan, pool: WorkerPool, *, stable: WorkerPool) -> None:
        self.plan = plan
        self.pool = pool
        self.split = Split(stable)
        self.split.add(CANDIDATE, pool)
        self.report = ComparisonReport()
        self.decision: RolloutDecision | None = None  # the last one; none without a policy
        self.baseline = LaneStatistics()  # of the stable version, in the last step that had enough of its answers
        self._before = self._totals()

    def follow(self, plan: TrafficPlan) -> None:
        """Bring the split to a plan, and count answers from now on."""
        self.plan = plan
        self.split.stick_to(plan.sticky)
        self.split.weigh(CANDIDATE, plan.weight_ratio)
        mirror = self.split.mirror
        if not plan.mirror:
            self.split.mirror = None
        elif mirror is None or mirror.sample_ratio != plan.sample_ratio:
            self.split.mirror = Mirror(self.pool, sample_ratio=plan.sample_ratio, report=self.report)
        self._before = self._totals()

    def statistics(self) -> tuple[LaneStatistics, LaneStatistics]:
        """Return what the stable version and the candidate have answered since the step began."""
        stable, candidate = self._totals()
        return stable.since(self._before[0]), candidate.since(self._before[1])

    def _totals(self) -> tuple[LaneStatistics, LaneStatistics]:
        return _statistics(self.split.stable.pool), _statistics(self.pool, self.report)


def _statistics(pool: WorkerPool, report: ComparisonReport | None = None) -> LaneStatistics:
    """Return what the front's metrics have counted of a pool: nothing is counted for this alone."""
    observer = pool.dispatcher.observer
    times = observer.handling() or Histogram(())
    return LaneStatistics.of_statuses(
        {status: durations.count for status, durations in observer.durations().items()},
        bounds_s=times.bounds,
        counts=tuple(times.counts),
        comparisons=0 if report is None else report.comparisons,
        agreements=0 if report is None else report.agreements,
    )
