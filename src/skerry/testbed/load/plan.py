"""When requests are sent: worked out before the first one is, from a seed."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skerry.errors import SpecError

NS = 1_000_000_000
# What one plan may hold: eight bytes each, and a mistyped rate is found before the memory is gone.
MOST_ARRIVALS = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalPlan:
    """An open loop: requests are sent at these times, whatever becomes of those before them.

    Args:
        name: How the times came about, such as ``poisson``.
        offsets_ns: When each request is to be sent, from the start of the run; rising.
        duration_s: How long the plan takes; no request is later.
        settings: What the times were made from, as JSON; for the report.
        bodies: The body of each request, where they differ; else the target's is sent.
    """

    name: str
    offsets_ns: Sequence[int]
    duration_s: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    bodies: Sequence[bytes] | None = None

    def __len__(self) -> int:
        return len(self.offsets_ns)

    @property
    def rate_per_s(self) -> float:
        """Requests per second over the whole plan."""
        return len(self.offsets_ns) / self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPlan:
    """A closed loop: each client sends its next request when it has the answer to the one before.

    A server that stalls is asked less, and the requests that it would have kept waiting are never sent: latencies look
    better than what users would see. It answers how much a server can do, not how long users wait.

    Args:
        clients: How many there are; each has one request on its way.
        duration_s: For how long they send.
        think_s: Pause of each client between an answer and its next request.
    """

    clients: int
    duration_s: float
    think_s: float = 0.0

    def __post_init__(self) -> None:
        if self.clients < 1:
            raise SpecError(f"clients = {self.clients}: a closed loop needs at least one client", field="clients")
        _check_duration(self.duration_s)
        if self.think_s < 0:
            raise SpecError(f"think_s = {self.think_s:g}: a pause is not below zero", field="think_s")

    @property
    def name(self) -> str:
        """The name of the kind of plan."""
        return "closed"

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the plan says, as JSON."""
        return {"clients": self.clients, "think_s": self.think_s}


Plan = ArrivalPlan | ClientPlan


def constant(rate_per_s: float, duration_s: float) -> ArrivalPlan:
    """Return a plan of requests at equal distances.

    Args:
        rate_per_s: Requests per second.
        duration_s: How long, in seconds.

    Raises:
        SpecError: a number is not above zero, or the plan would be too large.

    Example:
        >>> list(constant(4, 1).offsets_ns)
        [0, 250000000, 500000000, 750000000]
    """
    _check(rate_per_s, duration_s)
    # Rounded, or 1835 * 1.0 might be a little more than 1835, and one request too many.
    count = max(1, math.ceil(round(rate_per_s * duration_s, 6)))
    offsets = array("q", (int(i * NS / rate_per_s) for i in range(count)))
    return ArrivalPlan(name="constant", offsets_ns=offsets, duration_s=duration_s, settings={"rate_per_s": rate_per_s})


def poisson(rate_per_s: float, duration_s: float, *, seed: int = 0) -> ArrivalPlan:
    """Return a plan of requests that come independently of each other, as from many users.

    Args:
        rate_per_s: Mean requests per second; the plan's own count differs from it by chance.
        duration_s: How long, in seconds.
        seed: The same seed gives the same plan.

    Raises:
        SpecError: a number is not above zero, or the plan would be too large.
    """
    _check(rate_per_s, duration_s)
    offsets = array("q", _poisson(random.Random(seed), rate_per_s, 0.0, duration_s))
    settings = {"rate_per_s": rate_per_s, "seed": seed}
    return ArrivalPlan(name="poisson", offsets_ns=offsets, duration_s=duration_s, settings=settings)


def bursty(
    rate_per_s: float,
    duration_s: float,
    *,
    seed: int = 0,
    peak_ratio: float = 5.0,
    quiet_ratio: float = 0.2,
    burst_s: float = 1.0,
) -> ArrivalPlan:
    """Return a plan that changes between bursts and quiet times: a Markov-modulated Poisson process of two states.

    Args:
        rate_per_s: Mean requests per second in the long run; a short plan may have seen few bursts, or many.
        duration_s: How long, in seconds.
        seed: The same seed gives the same plan.
        peak_ratio: Rate in a burst, as a multiple of the mean; above 1.
        quiet_ratio: Rate between bursts, as a multiple of the mean; at least 0 and below 1. With 0 it is on-off.
        burst_s: Mean length of a burst in seconds; lengths are exponentially distributed.

    Raises:
        SpecError: a number is out of its range, or the plan would be too large.

    Source: W. Fischer, K. Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook", Performance
    Evaluation 18 (1993).
    """
    _check(rate_per_s, duration_s)
    if not (peak_ratio > 1 and 0 <= quiet_ratio < 1 and burst_s > 0):
        raise SpecError(
            f"bursts of {burst_s:g} s with {peak_ratio:g} times the rate, and {quiet_ratio:g} times between them: the "
            "peak must be above 1, the quiet ratio from 0 to below 1, and the length above 0",
            field="peak_ratio",
        )
    # The share of bursts that makes the mean: share * peak + (1 - share) * quiet = 1.
    share = (1 - quiet_ratio) / (peak_ratio - quiet_ratio)
    quiet_s = burst_s * (1 - share) / share
    rng = random.Random(seed)
    offsets = array("q")
    now_s, in_burst = 0.0, rng.random() < share
    while now_s < duration_s:
        until_s = min(duration_s, now_s + rng.expovariate(1 / (burst_s if in_burst else quiet_s)))
        offsets.extend(_poisson(rng, rate_per_s * (peak_ratio if in_burst else quiet_ratio), now_s, until_s))
        now_s, in_burst = until_s, not in_burst
    settings = {
        "rate_per_s": rate_per_s,
        "seed": seed,
        "peak_ratio": peak_ratio,
        "quiet_ratio": quiet_ratio,
        "burst_s": burst_s,
    }
    return ArrivalPlan(name="bursty", offsets_ns=offsets, duration_s=duration_s, settings=settings)


def at_times(
    offsets_s: Iterable[float], *, name: str = "times", duration_s: float | None = None, settings: Any = None
) -> ArrivalPlan:
    """Return a plan of requests at given times.

    Args:
        offsets_s: Seconds from the start of the run, in any order; none below zero.
        name: What the report calls the plan.
        duration_s: How long the plan takes; times from there on are left out. Up to the last time when not given.
        settings: What the report says of the plan, as JSON.

    Raises:
        SpecError: there is no time, or one below zero.
    """
    ordered = array("q", sorted(round(offset_s * NS) for offset_s in offsets_s))
    if duration_s is not None:
        _check_duration(duration_s)
        ordered = array("q", (offset for offset in ordered if offset < duration_s * NS))
    if not ordered or ordered[0] < 0:
        raise SpecError("a plan of requests needs at least one time, and none below zero", field="offsets_s")
    length_s = duration_s if duration_s is not None else max(ordered[-1] / NS, 1e-3)
    return ArrivalPlan(name=name, offsets_ns=ordered, duration_s=length_s, settings=settings or {})


def _poisson(rng: random.Random, rate_per_s: float, from_s: float, until_s: float) -> Iterator[int]:
    now_s = from_s
    while rate_per_s > 0 and (now_s := now_s + rng.expovariate(rate_per_s)) < until_s:
        yield int(now_s * NS)


def _check(rate_per_s: float, duration_s: float) -> None:
    _check_duration(duration_s)
    if not 0 < rate_per_s < float("inf"):
        raise SpecError(f"rate_per_s = {rate_per_s:g}: give a number of requests above zero", field="rate_per_s")
    if rate_per_s * duration_s > MOST_ARRIVALS:
        raise SpecError(
            f"{rate_per_s:g} requests/s for {duration_s:g} s are more than a plan holds ({MOST_ARRIVALS:,} requests)",
            field="rate_per_s",
        )


def _check_duration(duration_s: float) -> None:
    if not 0 < duration_s < float("inf"):
        raise SpecError(f"duration_s = {duration_s:g}: give a number of seconds above zero", field="duration_s")
