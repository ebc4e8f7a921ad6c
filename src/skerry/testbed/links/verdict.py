"""Does a link do what it was set to? Compares figures with conditions; pure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from skerry.testbed.links.conditions import BurstLoss, Conditions
from skerry.testbed.links.distribution import TABLE_SIZE, expected_delay_ms, quantiles
from skerry.testbed.links.jitter import SPAN_DEVIATIONS

TOLERANCE_RATIO = 0.05
# What the emulation may add to the mean however short the delay is.
FLOOR_MS = 0.05
# What it may add to the jitter: independent of it, and so as squares.
NOISE_MS = 0.1
Z_95 = 1.96
# Beyond what chance does once in a thousand measurements: with a dozen links, one in twenty would happen in each run.
Z_999 = 3.29
MISSED_RATIO = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One quantity of one direction, as it was set and as it was measured.

    Args:
        direction: ``forward`` or ``backward``.
        quantity: ``delay_ms``, ``jitter_ms``, ``loss_ratio``, ``rate_mbps`` or ``missed_ratio``.
        wanted: What it should be.
        measured: What it is.
        low: The least that passes.
        high: The most that passes.
        clear: What it is without the packets that met a slow moment of the machine; None where that is not known.
    """

    direction: str
    quantity: str
    wanted: float
    measured: float
    low: float
    high: float
    clear: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the measured value is within its bounds."""
        return self.low <= self.measured <= self.high

    @property
    def clear_passed(self) -> bool | None:
        """Whether the value outside of the machine's slow moments is; None where it is not known."""
        return None if self.clear is None else self.low <= self.clear <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {**asdict(self), "passed": self.passed, "clear_passed": self.clear_passed}

    def __str__(self) -> str:
        return (
            f"{self.direction} {self.quantity} is {self.measured:.4g} instead of {self.wanted:.4g} "
            f"(passes: {self.low:.4g} to {self.high:.4g})"
        )


def judge_delay(
    direction: str,
    conditions: Conditions,
    delay: dict[str, Any],
    *,
    size_bytes: int,
    took_s: float,
    clear: dict[str, Any] | None = None,
) -> list[Finding]:
    """Compare delay and jitter of a direction with what was set.

    Five per cent may be missing or too much, and three standard errors: what few samples say about a random delay.
    The jitter may have 0.1 ms of the emulation's own noise on top.

    Args:
        direction: Its name.
        conditions: What was set.
        delay: ``count``, ``mean_ms``, ``deviation_ms`` of the packets that arrived.
        size_bytes: Length of the probes, which a rate takes time for.
        took_s: How long they were sent.
        clear: The same of the packets that met no slow moment of the machine. They change no verdict.
    """
    wanted_ms, jitter_ms = expected_delay_ms(conditions.delay_ms, conditions.jitter_ms, conditions.jitter_distribution)
    # Packets that skip the delay belong to the figures of all.
    skip = conditions.reorder_ratio
    mean_ms = (1 - skip) * wanted_ms
    jitter_ms = math.sqrt(max(0.0, (1 - skip) * (jitter_ms**2 + wanted_ms**2) - mean_ms**2)) if skip else jitter_ms
    wanted_ms = mean_ms
    if conditions.rate_mbps:
        wanted_ms += size_bytes * 8 / (conditions.rate_mbps * 1e3)
    samples = independent_samples(conditions, int(delay["count"]), took_s)
    mean_error_ms = 3 * jitter_ms / math.sqrt(samples)
    slack_ms = max(TOLERANCE_RATIO * wanted_ms, FLOOR_MS) + mean_error_ms
    jitter_error_ms = 3 * jitter_ms * math.sqrt(max(0.0, _kurtosis(conditions) - 1) / 4 / samples)
    jitter_slack_ms = TOLERANCE_RATIO * jitter_ms + jitter_error_ms
    most_ms = math.hypot(jitter_ms + jitter_slack_ms, NOISE_MS)
    jitter = _finding(direction, "jitter_ms", jitter_ms, delay["deviation_ms"], jitter_slack_ms)
    mean = _finding(direction, "delay_ms", wanted_ms, delay["mean_ms"], slack_ms)
    clear_ms = clear if clear and clear["count"] else {}
    return [
        replace(mean, clear=clear_ms.get("mean_ms")),
        replace(jitter, high=most_ms, clear=clear_ms.get("deviation_ms")),
    ]


def judge_loss(direction: str, conditions: Conditions, *, sent: int, lost: int) -> Finding:
    """Compare the share of lost packets with what was set: within what chance does 999 times in 1,000."""
    wanted = conditions.loss
    effective = sent / loss_inflation(conditions.loss_burst)
    # The score test: a share passes when Wilson's interval about it holds the wanted one.
    slack = Z_999 * math.sqrt(wanted * (1 - wanted) / effective)
    return _finding(direction, "loss_ratio", wanted, lost / sent, slack)


def judge_rate(direction: str, conditions: Conditions, rate_mbps: float) -> Finding:
    """Compare what came through a link that was offered more with its rate."""
    wanted = conditions.rate_mbps or 0.0
    return _finding(direction, "rate_mbps", wanted, rate_mbps, TOLERANCE_RATIO * wanted)


def judge_missed(direction: str, *, packets: int, missed: int) -> Finding:
    """Say whether the emulation dropped packets of its own, which it may not."""
    ratio = missed / packets if packets else 0.0
    return Finding(direction=direction, quantity="missed_ratio", wanted=0.0, measured=ratio, low=0.0, high=MISSED_RATIO)


def loss_interval(lost: int, effective: float, *, of: int, z: float = Z_95) -> tuple[float, float]:
    """Return the interval that holds the true share of losses (Wilson's score interval).

    Args:
        lost: Packets that were lost.
        effective: How many independent packets the sample is worth.
        of: Packets that were sent.
        z: How sure, in standard deviations; 1.96 is 95 %.
    """
    if not of or effective <= 0:
        return 0.0, 1.0
    share = lost / of
    middle = (share + z * z / (2 * effective)) / (1 + z * z / effective)
    spread = z / (1 + z * z / effective) * math.sqrt(share * (1 - share) / effective + z * z / (4 * effective**2))
    return max(0.0, middle - spread), min(1.0, middle + spread)


def loss_inflation(burst: BurstLoss | None) -> float:
    """Return how many packets with bursts of loss say as much as one with independent loss."""
    if burst is None:
        return 1.0
    bad = burst.enter_ratio / (burst.enter_ratio + burst.leave_ratio)
    loss = burst.loss_ratio
    if not 0 < loss < 1:
        return 1.0
    shared = bad * (1 - bad) * (burst.bad_loss_ratio - burst.good_loss_ratio) ** 2 / (loss * (1 - loss))
    memory = 1 - burst.enter_ratio - burst.leave_ratio
    return max(1.0, 1 + 2 * shared * memory / (1 - memory))


def independent_samples(conditions: Conditions, count: int, took_s: float) -> float:
    """Return how many independent delays the packets of a time have seen."""
    if not conditions.jitter_ms:
        return max(1.0, float(count))
    kept = conditions.jitter_correlation_ratio
    draws = float(count)
    if not conditions.jitter_reorders:
        draws = min(draws, took_s / (SPAN_DEVIATIONS * conditions.jitter_ms / 1000))
    return max(1.0, draws * (1 - kept) / (1 + kept))


def _kurtosis(conditions: Conditions) -> float:
    return math.fsum(value**4 for value in quantiles(conditions.jitter_distribution)) / TABLE_SIZE


def _finding(direction: str, quantity: str, wanted: float, measured: float, slack: float) -> Finding:
    return Finding(
        direction=direction,
        quantity=quantity,
        wanted=wanted,
        measured=measured,
        low=max(0.0, wanted - slack),
        high=wanted + slack,
    )
