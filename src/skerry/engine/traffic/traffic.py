"""The traffic of one function while a candidate is tried: who gets what, until it is promoted or withdrawn."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from skerry.engine.traffic.plan import TrafficPlan
from skerry.engine.traffic.trial import CANDIDATE, Lanes, Trial
from skerry.errors import ModelInUseError, ModelNotFoundError, SkerryError
from skerry.scaling.rollout import Step, decide

logger = logging.getLogger(__name__)
PERIOD_S = 1.0
Notify = Callable[[str, dict[str, Any]], None]


class Traffic:
    """Divides the requests of one function while there is a candidate, and decides about that, where it is told to.

    Args:
        function: Its name.
        lanes: The engine's side.
        notify: Called with the kind and the details of each event.
        save: Called with the plan as plain values whenever it changes, none when there is none any more.
        clock: Unix time.
        period_s: Time between two questions to the policy.
    """

    def __init__(
        self,
        function: str,
        lanes: Lanes,
        *,
        notify: Notify,
        save: Callable[[dict[str, Any] | None], None] = lambda plan: None,
        clock: Callable[[], float] = time.time,
        period_s: float = PERIOD_S,
    ) -> None:
        self.function = function
        self._lanes = lanes
        self._notify = notify
        self._save = save
        self._clock = clock
        self._period_s = period_s
        self._trial: Trial | None = None
        self._loop: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    # What operators ask for

    async def begin(self, plan: TrafficPlan) -> None:
        """Try a candidate; one that is being tried already is given the new weights, from the first step on.

        Raises:
            ModelInUseError: another one is being tried.
            SkerryError: the candidate cannot be started; everything is as before.
        """
        await self._whole(self._begin(plan.begun(self._clock())))

    async def resume(self, values: Mapping[str, Any]) -> None:
        """Go on with a plan that was saved: at its step, whose answers and whose time are counted anew.

        Raises:
            SkerryError: the candidate cannot be started.
        """
        now_s = self._clock()
        await self._whole(self._begin(replace(TrafficPlan.from_dict(values), began_at=now_s, step_began_at=now_s)))

    async def promote(self, reason: str = "asked for") -> None:
        """Make the candidate what serves the function.

        Raises:
            ModelNotFoundError: there is no candidate.
            SkerryError: it cannot be recorded; everything is as before.
        """
        await self._whole(self._promote(reason))

    async def withdraw(self, reason: str = "asked for") -> None:
        """End the trial; the stable version gets everything.

        Raises:
            ModelNotFoundError: there is no candidate.
        """
        await self._whole(self._withdraw(reason))

    def stop(self) -> None:
        """Decide nothing more: the engine ends, and the plan is on record."""
        if self._loop is not None:
            self._loop.cancel()
            self._loop = None

    def to_dict(self) -> dict[str, Any] | None:
        """Return the plan as plain values, none without a candidate."""
        return None if self._trial is None else self._trial.plan.to_dict()

    def describe(self) -> dict[str, Any]:
        """Return the version that serves.

        While one is tried, also weights, statistics of the present step, the last decision and the report of
        comparisons.
        """
        trial = self._trial
        if trial is None:
            return {"function": self.function, "serving": self._lanes.serving, "candidate": None}
        stable, candidate = trial.statistics()
        decision = trial.decision
        return {
            "function": self.function,
            "serving": self._lanes.serving,
            **trial.plan.to_dict(),
            "lanes": trial.split.describe(),
            "statistics": {"stable": stable.describe(), CANDIDATE: candidate.describe()},
            "decision": None if decision is None else {"action": decision.action, "reason": decision.reason},
            "comparison": trial.report.describe() if trial.plan.mirror else None,
        }

    # The loop

    async def tick(self) -> None:
        """Ask the policy once, and do what it says."""
        await self._whole(self._decide())

    async def _run(self) -> None:
        while self._trial is not None:
            await asyncio.sleep(self._period_s)
            try:
                await self.tick()
            except SkerryError as error:  # such as records that cannot be written: it is decided again
                logger.warning("traffic of %s: %s", self.function, error.message)
            except Exception:
                logger.exception("traffic of %s: a fault of Skerry's own; it is decided again", self.function)

    # Inside

    async def _whole(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something to its end, and nothing else meanwhile, also when who has asked for it leaves."""

        async def alone() -> None:
            async with self._one_at_a_time:
                await work

        task = asyncio.get_running_loop().create_task(alone())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def _decide(self) -> None:
        trial = self._trial
        policy = None if trial is None else trial.plan.automatic
        if trial is None or policy is None:
            return
        plan, now_s = trial.plan, self._clock()
        stable, candidate = trial.statistics()
        if stable.requests >= policy.min_requests or not trial.baseline.requests:
            trial.baseline = stable
        step = Step(number=plan.step, began_s=plan.step_began_at, rollout_began_s=plan.began_at)
        decision = trial.decision = decide(policy, trial.baseline, candidate, step, now_s)
        if decision.action == "advance":
            after = plan.advanced(now_s)
            self._save(after.to_dict())
            trial.follow(after)
            detail = {"version": plan.candidate, "weight_ratio": after.weight_ratio, "reason": decision.reason}
            self._notify("traffic_advanced", detail)
        elif decision.action == "promote":
            await self._promote(decision.reason)
        elif decision.action == "rollback":
            await self._withdraw(decision.reason)

    async def _begin(self, plan: TrafficPlan) -> None:
        trial = self._trial
        if trial is not None and trial.plan.candidate != plan.candidate:
            raise ModelInUseError(
                f"function {self.function!r}: version {trial.plan.candidate} is being tried; promote or end that first"
            )
        if trial is None:
            pool = await self._lanes.add(plan.candidate)
            try:
                self._save(plan.to_dict())
            except Exception:
                self._lanes.retire(pool)
                raise
            trial = self._trial = Trial(plan, pool, stable=self._lanes.stable)
        else:
            self._save(plan.to_dict())
        trial.decision = None
        trial.follow(plan)
        self._lanes.route(trial.split)
        shares = {"weight_ratio": plan.weight_ratio, "mirror": plan.mirror, "automatic": plan.automatic is not None}
        self._notify("traffic_split", {"version": plan.candidate, **shares})
        if self._loop is None or self._loop.done():
            self._loop = asyncio.get_running_loop().create_task(self._run())

    async def _promote(self, reason: str) -> None:
        trial, before = self._found(), self._lanes.stable
        await self._lanes.promote(reason)
        self._end("traffic_promoted", trial, reason)
        self._lanes.retire(before)  # only now, that nothing goes there any more

    async def _withdraw(self, reason: str) -> None:
        trial = self._found()
        self._end("traffic_withdrawn", trial, reason)
        self._lanes.retire(trial.pool)

    def _end(self, kind: str, trial: Trial, reason: str) -> None:
        self._trial = None
        stable = self._lanes.stable
        trial.split.settle_on(stable)  # requests that have found the split and wait for their bodies go there too
        self._lanes.route(stable)
        version = trial.plan.candidate
        self._notify(kind, {"version": version, "reason": reason})
        try:
            self._save(None)
        except Exception:
            logger.exception(
                "traffic of %s: the end of the trial is not recorded; after a restart, version %d is tried again",
                self.function,
                version,
            )

    def _found(self) -> Trial:
        if self._trial is None:
            raise ModelNotFoundError(f"function {self.function!r} has no candidate; give it one with PUT .../traffic")
        return self._trial
