"""The loop around the scaling policy of one function: it observes, asks the pure policy, and sets the pool's size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from skerry.runtime.pool import WorkerPool
from skerry.scaling import Observation, ReactivePolicy

MAX_TICK_S = 2.0  # Knative's period
MIN_TICK_S = 0.05
SOON_S = 0.1  # after a start from zero, how soon to look whether one worker was enough


class Autoscaler:
    """Keeps one pool at the size that its policy wants.

    Args:
        pool: The workers of one function.
        policy: What decides.
        notify: Called with the kind and the details of each change.
    """

    def __init__(
        self, pool: WorkerPool, policy: ReactivePolicy, *, notify: Callable[[str, dict[str, Any]], None]
    ) -> None:
        self._pool = pool
        self._policy = policy
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0  # when the timer goes off
        self._tick_s = max(MIN_TICK_S, min(MAX_TICK_S, pool.spec.scale.panic_window_s / 6))
        pool.on_demand = self.poke

    def start(self, workers: int) -> None:
        """Begin with a number of workers."""
        self._set(workers, reason="start", panic=False)
        self._arm(self._tick_s)

    def poke(self) -> None:
        """Start a worker at once: a call waits, and nobody is there to serve it.

        Whether it needs company is decided a moment later: workers that start together delay each other.
        """
        if self._pool.desired == 0:
            self._set(1, reason="a request waits and there is no worker", panic=False)
        self._arm(min(SOON_S, self._tick_s))

    def stop(self) -> None:
        """Decide nothing more."""
        self._pool.on_demand = lambda: None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self._decide(self._pool.dispatcher.take_load())
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

    def _decide(self, concurrency: float) -> None:
        counts = self._pool.counts()
        pending = self._pool.dispatcher.in_system
        observation = Observation(concurrency=concurrency, ready=counts["ready"], pending=pending)
        decision = self._policy.decide(observation, self._loop.time())
        self._set(decision.desired, reason=decision.reason, panic=decision.panic)

    def _set(self, desired: int, *, reason: str, panic: bool) -> None:
        before = self._pool.desired
        if desired != before:
            self._notify("scaled", {"from": before, "to": desired, "reason": reason, "panic": panic})
        self._pool.set_desired(desired)
