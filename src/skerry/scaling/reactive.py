"""Scaling by the load that is there: Knative's pod autoscaler as a pure policy.

Source: Knative Serving, ``pkg/autoscaler/scaling/autoscaler.go`` (stable and panic mode, rate limits, delay window).
Where this differs:

* Loads are weighted by time instead of summed per second, so the answer does not hang on how often it is asked.
* The rate limits hold per `RATE_PERIOD_S`, which is Knative's tick, and not per call.
* The last worker stays for ``grace`` after the stable window has become empty. In Knative the grace period bounds how
  long the network may take to let go, and keeping the last pod is a setting of its own.
* The bounds are applied here, and a request that waits while there is no worker calls for one at once; in Knative the
  reconciler and the activator do this.
* There is no burst capacity: the front is always in the path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from skerry.scaling.window import Extreme, LoadWindow
from skerry.spec import Scale

RATE_PERIOD_S = 2.0


class Reason(StrEnum):
    """What settled a decision."""

    LOAD = "load"
    PANIC = "panic"
    PANIC_HOLD = "panic hold"
    UP_RATE = "up rate"
    DOWN_RATE = "down rate"
    DELAY = "delay"
    ACTIVATION = "activation"
    GRACE = "grace"
    IDLE = "idle"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What the policy is told.

    Args:
        concurrency: Requests in flight and queued, averaged over the time since the last observation, at least 0.
        ready: Workers that take requests.
        pending: Requests in flight and queued at this moment. From zero, it stands in for an average that the idle time
            before the first request has thinned out.
    """

    concurrency: float
    ready: int
    pending: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the policy answers.

    Args:
        desired: Workers that there should be.
        reason: What settled it.
        panic: Whether the policy is in panic mode.
        stable: Average concurrency over the stable window.
        panic_value: Average concurrency over the panic window.
    """

    desired: int
    reason: str
    panic: bool
    stable: float
    panic_value: float


class ReactivePolicy:
    """Follows the concurrency of one function.

    It reads no clock and does no I/O: the same observations at the same times lead to the same decisions.

    Args:
        scale: Bounds and behaviour.
        concurrency: Requests that one worker handles at a time; the target where ``scale.target`` is none.
        capacity: Workers that the machine has room for, the bound where ``scale.max`` is 0. It may be set anew at any
            time; below 1 it counts as 1, so that a request never waits for a worker that is not even wanted.
        initial: Workers wanted before the first decision, instead of ``scale.initial``: what an engine that starts
            again remembers.

    Example:
        ``ReactivePolicy(spec.scale, concurrency=spec.concurrency, capacity=8)``
    """

    def __init__(
        self, scale: Scale, *, concurrency: float = 1.0, capacity: int = 1, initial: int | None = None
    ) -> None:
        self.scale = scale
        self.capacity = capacity
        self._target = (scale.target if scale.target is not None else concurrency) * scale.utilization
        self._stable = LoadWindow(scale.window_s)
        self._panic = LoadWindow(scale.panic_window_s)
        self._delayed = Extreme(scale.delay_s)
        self._most_ready = Extreme(RATE_PERIOD_S)
        self._fewest_ready = Extreme(RATE_PERIOD_S)  # of negated counts
        self._seen_at_s: float | None = None
        self._busy_at_s = -math.inf
        self._panic_at_s: float | None = None
        self._panic_workers = 0
        self._desired = scale.initial if initial is None else initial

    def decide(self, observation: Observation, now_s: float) -> Decision:
        """Return how many workers there should be.

        It may be called at any time, early too: when a request arrives and there is no worker.

        Args:
            observation: What happened since the last call.
            now_s: Reading of a clock that never goes back, in seconds.

        Returns:
            The wanted count: never outside the bounds, never 0 while there is work.
        """
        busy = observation.concurrency > 0 or observation.pending > 0
        if self._seen_at_s is None:
            self._begin(observation, now_s)
        self._record(observation, now_s, busy=busy)
        stable, panic_value = self._stable.average(now_s), self._panic.average(now_s)

        wanted, reason = self._follow(stable, panic_value, observation.ready, now_s)
        delayed = int(self._delayed.record(now_s, wanted))
        if delayed != wanted:
            wanted, reason = delayed, Reason.DELAY
            if self._panic_at_s is not None:  # what the delay has kept is not given up in panic either
                self._panic_workers = max(self._panic_workers, delayed)
        wanted, reason = self._keep_last(wanted, reason, observation.ready, now_s, busy=busy)
        wanted, reason = self._bound(wanted, reason)
        self._desired = wanted
        in_panic = self._panic_at_s is not None
        return Decision(desired=wanted, reason=reason, panic=in_panic, stable=stable, panic_value=panic_value)

    def _begin(self, observation: Observation, now_s: float) -> None:
        self._busy_at_s = now_s
        held = self._desired = max(observation.ready, self._desired)
        if held > 1:
            # Without history the load looks like nothing: keep what is there until a window has been seen.
            self._panic_at_s = now_s
            self._panic_workers = held

    def _record(self, observation: Observation, now_s: float, *, busy: bool) -> None:
        idle = now_s - self._busy_at_s >= self.scale.window_s and not busy
        from_zero = busy and observation.ready == 0 and self._desired == 0
        # One instant is no average that needs headroom: each request counts as its share of a worker, so that a single
        # one starts a single worker.
        at_once = max(observation.concurrency, observation.pending * self.scale.utilization)
        for window in (self._stable, self._panic):
            if self._seen_at_s is None or from_zero:
                # History begins here, as in Knative, where nothing is measured while there are no pods: time spent at
                # zero must not thin out the first requests.
                window.clear()
                window.record(now_s - window.bucket_s, now_s, at_once)
            elif idle:
                # A bucket may smear the last load past its end; by now it is over.
                window.clear()
                window.record(now_s - window.window_s, now_s, 0.0)
            else:
                window.record(self._seen_at_s, now_s, observation.concurrency)
        self._seen_at_s = now_s
        if busy:
            self._busy_at_s = now_s

    def _follow(self, stable: float, panic_value: float, ready: int, now_s: float) -> tuple[int, Reason]:
        scale = self.scale
        most = math.ceil(scale.up_rate * max(1, -self._fewest_ready.record(now_s, -ready)))
        fewest = math.floor(max(1, self._most_ready.record(now_s, ready)) / scale.down_rate)
        for_stable, for_panic = self._workers_for(stable), self._workers_for(panic_value)
        self._update_panic(over=for_panic / max(1, ready) >= scale.panic_threshold, now_s=now_s)

        wanted, reason = for_stable, Reason.LOAD
        if self._panic_at_s is not None and for_panic > for_stable:
            wanted, reason = for_panic, Reason.PANIC
        if wanted > most:
            wanted, reason = most, Reason.UP_RATE
        elif wanted < fewest:
            wanted, reason = fewest, Reason.DOWN_RATE
        if self._panic_at_s is not None:
            if wanted < self._panic_workers:
                wanted, reason = self._panic_workers, Reason.PANIC_HOLD
            self._panic_workers = wanted
        return wanted, reason

    def _update_panic(self, *, over: bool, now_s: float) -> None:
        if over:
            self._panic_at_s = now_s
        elif self._panic_at_s is not None and self._panic_at_s + self.scale.window_s < now_s:
            # By now the surge is in the stable window as a whole.
            self._panic_at_s = None
            self._panic_workers = 0

    def _keep_last(self, wanted: int, reason: Reason, ready: int, now_s: float, *, busy: bool) -> tuple[int, Reason]:
        if wanted >= 1 and not (busy and ready == 0 and self._desired == 0):
            return wanted, reason
        if busy:
            return max(wanted, 1), Reason.ACTIVATION
        idle_s = now_s - self._busy_at_s
        if self._desired >= 1 and idle_s < self.scale.window_s + self.scale.grace_s:
            return 1, Reason.GRACE
        return 0, Reason.IDLE

    def _bound(self, wanted: int, reason: Reason) -> tuple[int, Reason]:
        highest = self.scale.max or max(1, self.capacity)
        if wanted > highest:
            return highest, Reason.MAX
        if wanted < self.scale.min:
            return min(self.scale.min, highest), Reason.MIN
        return wanted, reason

    def _workers_for(self, load: float) -> int:
        # Rounded, so that a load of exactly the target does not call for one more by the last digit of a float.
        return math.ceil(round(load / self._target, 6))
