"""Scaling by the load that is there: Knative's pod autoscaler as a pure policy.

Source: Knative Serving, ``pkg/autoscaler/scaling/autoscaler.go`` (stable and panic mode, rate limits, activation scale,
delay window, excess burst capacity); ``pkg/reconciler/autoscaling/resources/target.go`` (targets). Where this differs:

* Loads are weighted by time instead of summed per second, so the answer does not hang on how often it is asked.
* The rate limits hold per `RATE_PERIOD_S`, which is Knative's tick, and not per call.
* The last worker stays for ``grace`` after the stable window has become empty. Knative calls that the pod retention
  period; its grace period bounds how long the network may take to let go.
* The bounds are applied here, and a request that waits while there is no worker calls for one at once; in Knative the
  reconciler and the activator do this.
* What the delay has kept is not given up in panic either.
* While there is work there is a worker, also where the metric is the rate and a long request is all that is left.
* ``buffer`` adds idle workers while there is load, as Modal's ``buffer_containers`` does.
* The excess burst capacity is reported and decides nothing: the front, which is always in the path, is what buffers.
"""

from __future__ import annotations

import math

from skerry.scaling.decision import Decision, Observation, Reason
from skerry.scaling.window import Extreme, LoadWindow
from skerry.spec import Scale

RATE_PERIOD_S = 2.0
DEFAULT_RATE_TARGET = 200.0  # requests per second
RATE_BUCKET_S = 1.0  # a rate from less than a second says little
MIN_TARGET = 0.01


class ReactivePolicy:
    """Follows the concurrency or the rate of one function.

    It reads no clock and does no I/O: the same observations at the same times lead to the same decisions.

    Args:
        scale: Bounds and behaviour.
        concurrency: Requests that one worker handles at a time; the target where ``scale.target`` is none, and the
            most that a target for the concurrency counts as.
        capacity: Workers that the machine has room for, the bound where ``scale.max`` is 0. It may be set anew at any
            time; below 1 it counts as 1, so that a request never waits for a worker that is not even wanted.
        initial: Workers wanted before the first decision, instead of ``scale.initial``: what an engine that starts
            again remembers.
        start_limit_s: How long the first worker may take to start without being given up as idle, in seconds.

    Example:
        ``ReactivePolicy(spec.scale, concurrency=spec.concurrency, capacity=8)``
    """

    def __init__(
        self,
        scale: Scale,
        *,
        concurrency: float = 1.0,
        capacity: int = 1,
        initial: int | None = None,
        start_limit_s: float = 0.0,
    ) -> None:
        self.scale = scale
        self.capacity = capacity
        self._start_limit_s = start_limit_s
        self._bearable = _bearable(scale, concurrency)
        self._target = max(MIN_TARGET, self._bearable * scale.utilization)
        self._stable = LoadWindow(scale.window_s)
        self._panic = LoadWindow(scale.panic_window_s)
        self._delayed = Extreme(scale.delay_s)
        self._most_ready = Extreme(RATE_PERIOD_S)
        self._fewest_ready = Extreme(RATE_PERIOD_S)  # of negated counts
        self._seen_at_s: float | None = None
        self._busy_at_s = -math.inf
        self._at_zero_s = -math.inf  # when no worker was wanted last
        self._panic_at_s: float | None = None
        self._panic_workers = 0
        self._desired = self.bounded(scale.initial if initial is None else initial)

    def decide(self, observation: Observation, now_s: float) -> Decision:
        """Return how many workers there should be.

        It may be called at any time, early too: when a request arrives and there is no worker.

        Args:
            observation: What happened since the last call.
            now_s: Reading of a clock that never goes back, in seconds.

        Returns:
            The wanted count: never outside the bounds, never 0 while there is work.
        """
        busy = observation.concurrency > 0 or observation.pending > 0 or observation.rate > 0
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
        return Decision(
            desired=wanted,
            reason=reason,
            panic=self._panic_at_s is not None,
            stable=stable,
            panic_value=panic_value,
            load=panic_value / self._bearable,
            excess_burst=self._excess_burst(observation.ready, panic_value),
        )

    @property
    def highest(self) -> int:
        """The most workers that there may be: ``scale.max``, else what the machine has room for."""
        return self.scale.max or max(1, self.scale.min, self.capacity)

    @property
    def desired(self) -> int:
        """Workers that were wanted last, or are to begin with."""
        return self._desired

    def bounded(self, workers: int) -> int:
        """Return the number within the bounds that is nearest to ``workers``."""
        return max(self.scale.min, min(workers, self.highest))

    def _begin(self, observation: Observation, now_s: float) -> None:
        self._busy_at_s = self._at_zero_s = now_s
        held = self._desired = max(observation.ready, self._desired)
        if held > 1:
            # Without history the load looks like nothing: keep what is there until a window has been seen.
            self._panic_at_s = now_s
            self._panic_workers = held

    def _record(self, observation: Observation, now_s: float, *, busy: bool) -> None:
        by_rate = self.scale.metric == "rps"
        value = observation.rate if by_rate else observation.concurrency
        idle = now_s - self._busy_at_s >= self.scale.window_s and not busy
        from_zero = busy and observation.ready == 0 and self._desired == 0
        for window in (self._stable, self._panic):
            if self._seen_at_s is None or from_zero:
                # History begins here, as in Knative, where nothing is measured while there are no pods: time spent at
                # zero must not thin out the first requests.
                window.clear()
                length_s = max(RATE_BUCKET_S, window.bucket_s) if by_rate else window.bucket_s
                window.record(now_s - length_s, now_s, self._at_once(observation, value, now_s))
            elif idle:
                # A bucket may smear the last load past its end; by now it is over.
                window.clear()
                window.record(now_s - window.window_s, now_s, 0.0)
            else:
                window.record(self._seen_at_s, now_s, value)
        self._seen_at_s = now_s
        if self._desired == 0:
            self._at_zero_s = now_s
        # What nobody has been able to use yet is not idle: a load that takes longer than the window must end some time.
        starts = observation.starting > 0 and observation.ready == 0
        if busy or (starts and now_s - self._at_zero_s < self._start_limit_s):
            self._busy_at_s = now_s

    def _at_once(self, observation: Observation, value: float, now_s: float) -> float:
        """Return the load of an instant, where there is no history to average."""
        # One instant is no average that needs headroom: each request counts as its share of a worker, so that a single
        # one starts a single worker.
        if self.scale.metric == "rps" and self._seen_at_s is not None:
            value *= min(1.0, (now_s - self._seen_at_s) / RATE_BUCKET_S)
        return max(value, observation.pending) * self.scale.utilization

    def _follow(self, stable: float, panic_value: float, ready: int, now_s: float) -> tuple[int, Reason]:
        scale = self.scale
        most = math.ceil(scale.up_rate * max(1, -self._fewest_ready.record(now_s, -ready)))
        fewest = math.floor(max(1, self._most_ready.record(now_s, ready)) / scale.down_rate)
        for_stable, for_panic = self._workers_for(stable), self._workers_for(panic_value)
        self._update_panic(over=for_panic / max(1, ready) >= scale.panic_threshold, now_s=now_s)

        wanted, reason = for_stable, Reason.LOAD
        if self._panic_at_s is not None and for_panic > for_stable:
            wanted, reason = for_panic, Reason.PANIC
        is_loaded = wanted > 0
        if is_loaded:
            wanted += scale.buffer
        if wanted > most:
            wanted, reason = most, Reason.UP_RATE
        elif wanted < fewest:
            wanted, reason = fewest, Reason.DOWN_RATE
        if is_loaded and wanted < scale.activation:
            wanted, reason = scale.activation, Reason.ACTIVATION
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
        from_zero = busy and ready == 0 and self._desired == 0
        if from_zero:
            return max(wanted, 1), Reason.ACTIVATION
        if wanted >= 1:
            return wanted, reason
        if busy:
            return 1, Reason.BUSY
        idle_s = now_s - self._busy_at_s
        if self._desired >= 1 and idle_s < self.scale.window_s + self.scale.grace_s:
            return 1, Reason.GRACE
        return 0, Reason.IDLE

    def _bound(self, wanted: int, reason: Reason) -> tuple[int, Reason]:
        bounded = self.bounded(wanted)
        if bounded == wanted:
            return wanted, reason
        return bounded, Reason.MAX if bounded < wanted else Reason.MIN

    def _excess_burst(self, ready: int, panic_value: float) -> int:
        burst = self.scale.burst
        if burst <= 0:
            return burst
        return math.floor(round(ready * self._bearable - burst - panic_value, 6))

    def _workers_for(self, load: float) -> int:
        # Rounded, so that a load of exactly the target does not call for one more by the last digit of a float.
        return math.ceil(round(load / self._target, 6))


def _bearable(scale: Scale, concurrency: float) -> float:
    """Return how much of the metric one worker is to bear, before the utilisation."""
    if scale.metric == "rps":
        return DEFAULT_RATE_TARGET if scale.target is None else scale.target
    return concurrency if scale.target is None else min(scale.target, concurrency)
