"""What a scaling policy is told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What settled a decision."""

    LOAD = "load"
    PANIC = "panic"
    PANIC_HOLD = "panic hold"
    UP_RATE = "up rate"
    DOWN_RATE = "down rate"
    DELAY = "delay"
    ACTIVATION = "activation"
    BUSY = "busy"
    GRACE = "grace"
    IDLE = "idle"
    MIN = "min"
    MAX = "max"
    SHARE = "share"


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What the policy is told.

    Args:
        concurrency: Requests in flight and queued, averaged over the time since the last observation, at least 0.
        ready: Workers that take requests.
        pending: Requests in flight and queued at this moment. From zero, it stands in for an average that the idle time
            before the first request has thinned out.
        rate: Requests per second that have arrived, averaged over the time since the last observation, at least 0.
        starting: Workers that load the function.
    """

    concurrency: float
    ready: int
    pending: int = 0
    rate: float = 0.0
    starting: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the policy answers.

    Args:
        desired: Workers that there should be.
        reason: What settled it.
        panic: Whether the policy is in panic mode.
        stable: Average of the metric over the stable window: requests, or requests per second.
        panic_value: Average of the metric over the panic window.
        load: Workers that the load of the panic window keeps busy, at least 0, without headroom and bounds.
        excess_burst: Requests that the ready workers could bear beyond the load and the ``burst`` that is set; below 0
            when they could not. 0 where the burst is 0, and -1 where it is unlimited.
    """

    desired: int
    reason: str
    panic: bool
    stable: float
    panic_value: float
    load: float
    excess_burst: int
