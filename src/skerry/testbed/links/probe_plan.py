"""How a link is probed: how many packets, how far apart, beside what; and the process that does it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from skerry.errors import PlatformError
from skerry.testbed.links.base import End
from skerry.testbed.links.conditions import Conditions, LinkConditions
from skerry.testbed.links.distribution import quantiles
from skerry.testbed.links.jitter import SPAN_DEVIATIONS

PROBE_BYTES = 92
RATE_PROBE_BYTES = 1400
# Probes take at most this share of a rate, and come no closer together than this.
PROBE_SHARE = 0.2
LEAST_INTERVAL_S = 0.0002
STREAM_MBPS = 20.0
STREAM_PACKETS_PER_S = 2000.0
OFFERED_RATIO = 1.2
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """How thoroughly a link is measured.

    Args:
        packets: Probes each way, per state of the machine.
        draws: Independent random delays that the probes are to see; they are spread over as much time.
        loaded: Whether to measure a second time, with a busy machine.
        rate_s: How long more is sent than a rate lets through, per direction; 0 leaves the rate out.
    """

    packets: int = 20_000
    draws: int = 1000
    loaded: bool = True
    rate_s: float = 2.0


QUICK = SelfTest(packets=2000, draws=100, loaded=False, rate_s=0.5)


def run_probe(order: dict[str, Any], module: str = "skerry.testbed.links.probe") -> dict[str, Any]:
    """Run a probe in a process of its own and return its figures.

    Args:
        order: What it reads on standard input.
        module: Which probe.

    Raises:
        PlatformError: it failed, or took too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PlatformError(f"the self-test of a link has not ended within {TIMEOUT_S:g} s") from error
    if done.returncode:
        raise PlatformError(f"the self-test of a link failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def delay_order(ends: tuple[End, End], both: list[Conditions], plan: SelfTest) -> dict[str, Any]:
    """Return what a probe is asked for that measures delay and loss.

    Args:
        ends: Between which ends.
        both: What is set there, forward and backward.
        plan: How thoroughly.
    """
    return {
        "measure": "delay",
        "first": place_of(ends[0]),
        "second": place_of(ends[1]),
        "packets": plan.packets,
        "interval_s": interval_s(both, plan),
        "size_bytes": PROBE_BYTES,
        "pings": min(plan.packets, plan.draws),
        "longest_s": longest_s(both),
    }


def place_of(end: End) -> dict[str, Any]:
    """Return an end as a probe is told of it."""
    return {"namespace": end.namespace, "address": end.address}


def interval_s(both: list[Conditions], plan: SelfTest) -> float:
    """Return the distance of probes: all of them, over the time in which enough independent delays happen."""
    took_s = 0.0
    least_s = LEAST_INTERVAL_S
    for conditions in both:
        kept = conditions.jitter_correlation_ratio
        draws = plan.draws * (1 + kept) / (1 - kept)
        if not conditions.jitter_reorders:
            took_s = max(took_s, draws * SPAN_DEVIATIONS * conditions.jitter_ms / 1000)
        if conditions.rate_mbps:
            least_s = max(least_s, PROBE_BYTES * 8 / (conditions.rate_mbps * 1e6) / PROBE_SHARE)
    return max(least_s, took_s / plan.packets)


def stream_of(both: list[Conditions]) -> tuple[float, int]:
    """Return rate and packet length of the other packets on the link, which must not make a queue of note."""
    slowest = min((c.rate_mbps or math.inf for c in both), default=math.inf)
    if slowest == math.inf:
        size_bytes = RATE_PROBE_BYTES
    else:
        shortest_ms = min(max(c.delay_ms, 1.0) for c in both)
        size_bytes = int(min(RATE_PROBE_BYTES, max(PROBE_BYTES, 0.01 * shortest_ms * slowest * 1e3 / 8)))
    mbps = min(STREAM_MBPS, PROBE_SHARE * slowest, STREAM_PACKETS_PER_S * size_bytes * 8 / 1e6)
    return mbps, size_bytes


def longest_s(both: list[Conditions]) -> float:
    """Return how long a packet may be on its way, seconds: delay, jitter and a full queue."""
    longest_ms = max(c.delay_ms + c.jitter_ms * quantiles(c.jitter_distribution)[-1] for c in both)
    queue_s = max(c.queue_limit_bytes * 8 / (c.rate_mbps * 1e6) if c.rate_mbps else 0.0 for c in both)
    return longest_ms / 1000 + queue_s


def of_direction(conditions: LinkConditions, name: str) -> Conditions:
    """Return the conditions of a direction."""
    return conditions.forward if name == "forward" else conditions.backward
