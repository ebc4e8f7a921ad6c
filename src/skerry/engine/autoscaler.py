"""The loop around the scaling policy of one function: it observes, asks the pure policy, and sets the pool's size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from skerry.runtime.pool import WorkerPool
from skerry.scaling import Claim, Decision, Observation, ReactivePolicy, Reason, Shares

MAX_TICK_S = 2.0  # Knative's period
MIN_TICK_S = 0.05
ASK_S = 0.02  # while the memory for a first worker is not there, how soon to ask again
SOON_S = 0.1  # after a start from zero, how soon to look whether one worker was enough


class Autoscaler:
    """Keeps one pool at the size that its policy wants and that its share of the machine allows.

    Args:
        pool: The workers of one function.
        policy: What decides.
        shares: What all functions of this machine claim.
        notify: Called with the kind and the details of each change.
        admit: Asked before the first worker of a pool that has none: whether the memory is there.
    """

    def __init__(
        self,
        pool: WorkerPool,
        policy: ReactivePolicy,
        *,
        shares: Shares[Autoscaler],
        notify: Callable[[str, dict[str, Any]], None],
        admit: Callable[[], bool] = lambda: True,
    ) -> None:
        self.decision: Decision | None = None  # the last one, before the limit of the share
        self._pool = pool
        self._policy = policy
        self._shares = shares
        self._notify = notify
        self._admit = admit
        self._is_put_out = False  # and no call has come since
        self._asking: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0  # when the timer goes off
        self._tick_s = max(MIN_TICK_S, min(MAX_TICK_S, pool.spec.scale.panic_window_s / 6))
        pool.on_demand = self.poke

    @property
    def beginning(self) -> int:
        """Workers that the policy wants before it has seen anything."""
        return self._policy.desired

    def start(self, workers: int | None = None) -> None:
        """Begin with a number of workers; none means as many as the policy wants before it has seen anything."""
        self._set(self._policy.desired if workers is None else workers, reason="start", panic=False)
        self._arm(self._tick_s)

    def poke(self) -> None:
        """Start a worker at once: a call waits, and nobody is there to serve it.

        Whether it needs company is decided a moment later: workers that start together delay each other.
        """
        if self._pool.desired == 0:
            self._set(1, reason="a request waits and there is no worker", panic=False)
        self._arm(min(SOON_S, self._tick_s))

    def put_out(self) -> None:
        """End all workers, which are idle, to make room; the next call wants one again, whatever the windows say."""
        self._is_put_out = True
        self._set(0, reason="another function needs the memory", panic=False)
        self._arm(min(SOON_S, self._tick_s))  # a call that comes while a worker leaves does not ask for another

    def stop(self) -> None:
        """Decide nothing more, and claim nothing."""
        self._pool.on_demand = lambda: None
        self.decision = None
        for timer in (self._timer, self._asking):
            if timer is not None:
                timer.cancel()
        self._timer = self._asking = None
        self._shares.leave(self)  # the others see it when they decide next

    def keep_to_share(self) -> None:
        """Set the pool to what was decided last, as far as the function's share allows."""
        if self.decision is None:
            return
        desired, reason = self.decision.desired, self.decision.reason
        limit = self._shares.limit(self)
        if limit is not None and limit < desired:
            desired, reason = max(limit, self._policy.scale.min), Reason.SHARE
        self._set(desired, reason=reason, panic=self.decision.panic)

    def _tick(self) -> None:
        self._timer = None
        self._decide()
        if self._pool.desired or self._pool.workers or self._pool.dispatcher.in_system:
            self._arm(self._tick_s)  # at zero, the next call wakes it

    def _arm(self, delay_s: float) -> None:
        """Decide after ``delay_s`` at the latest: calls that keep coming must not put it off."""
        due_s = self._loop.time() + delay_s
        if self._timer is not None:
            if self._due_s <= due_s:
                return
            self._timer.cancel()
        self._due_s = due_s
        self._timer = self._loop.call_later(delay_s, self._tick)

    def _decide(self) -> None:
        counts, dispatcher = self._pool.counts(), self._pool.dispatcher
        observation = Observation(
            concurrency=dispatcher.take_load(),
            rate=dispatcher.take_rate(),
            ready=counts["ready"],
            starting=counts["starting"],
            pending=dispatcher.in_system,
        )
        self.decision = self._policy.decide(observation, self._loop.time())
        for other in self._shares.claim(self, self._claim(self.decision)):
            other.keep_to_share()
        self.keep_to_share()

    def _claim(self, decision: Decision) -> Claim:
        policy = self._policy
        return Claim(
            demand=min(decision.load, policy.highest),
            room=max(1, policy.capacity, policy.scale.max),  # a maximum above the processors says that there is room
            weight=policy.scale.share,
            floor=policy.scale.min,
        )

    def _set(self, desired: int, *, reason: str, panic: bool) -> None:
        before = self._pool.desired
        if desired and not before and not self._may_begin():
            return
        if desired != before:
            self._notify("scaled", {"from": before, "to": desired, "reason": reason, "panic": panic})
        self._pool.set_desired(desired)

    def _may_begin(self) -> bool:
        has_calls = bool(self._pool.dispatcher.in_system)
        if self._is_put_out and not has_calls:
            return False  # the windows still know of calls that were answered before
        if self._admit():
            self._is_put_out = False
            return True
        if has_calls and self._asking is None:
            self._asking = self._loop.call_later(ASK_S, self._ask_again)
        return False

    def _ask_again(self) -> None:
        self._asking = None
        if self._pool.dispatcher.in_system:
            self.poke()
