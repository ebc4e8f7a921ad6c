"""What the answers of one lane say, and how sure that is."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

NO_VERDICT = frozenset({429, 499})  # a full queue, a caller that left: they say nothing of the version


def wilson_bounds(hits: int, trials: int, z: float) -> tuple[float, float]:
    """Return the bounds between which a ratio lies, given how often it was seen.

    Args:
        hits: How often it was so, 0 to ``trials``.
        trials: How often it was looked at, at least 0; 0 says nothing, so the bounds are 0 and 1.
        z: How sure the bounds are, in standard deviations: 1.96 leaves 2.5 % on either side, 3 leaves 0.13 %.

    Source: the score interval of Wilson, "Probable inference, the law of succession, and statistical inference",
    JASA 22 (1927); it holds for few trials and for ratios near 0 and 1 (Brown, Cai and DasGupta, "Interval estimation
    for a binomial proportion", Statistical Science 16, 2001).

    Example:
        ``wilson_bounds(0, 100, 1.96)`` is about ``(0.0, 0.037)``.
    """
    if not trials:
        return 0.0, 1.0
    ratio, square = hits / trials, z * z / trials
    middle = (ratio + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(ratio * (1 - ratio) / trials + square / (4 * trials))
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == trials else min(1.0, middle + half)
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStatistics:
    """What has become of the requests of one lane.

    Args:
        requests: Answers, at least 0; without those that say nothing of the version: 429 and 499.
        errors: Of these, 5xx.
        refusals: Of these, 4xx: what the version does not take as its input.
        bounds_s: Upper ends of the buckets of the times that the handler took, seconds, rising. Not from arrival to
            answer: how long a request waited says more of the number of workers than of the version.
        counts: Runs of the handler, by bucket; one more than bounds.
        comparisons: Answers that were compared with those of another lane to the same requests.
        agreements: Of these, the same.
    """

    requests: int = 0
    errors: int = 0
    refusals: int = 0
    bounds_s: tuple[float, ...] = ()
    counts: tuple[int, ...] = (0,)
    comparisons: int = 0
    agreements: int = 0

    @classmethod
    def of_statuses(cls, totals: Mapping[int, int], **rest: Any) -> LaneStatistics:
        """Return the statistics of answers that are counted by status.

        Args:
            totals: Answers by status code.
            rest: The other fields: latencies and comparisons.
        """
        counted = {status: total for status, total in totals.items() if status not in NO_VERDICT}
        return cls(
            requests=sum(counted.values()),
            errors=sum(total for status, total in counted.items() if status >= 500),
            refusals=sum(total for status, total in counted.items() if 400 <= status < 500),
            **rest,
        )

    def since(self, before: LaneStatistics) -> LaneStatistics:
        """Return what has come since earlier statistics of the same lane."""
        earlier = before.counts if len(before.counts) == len(self.counts) else (0,) * len(self.counts)
        return LaneStatistics(
            requests=max(0, self.requests - before.requests),
            errors=max(0, self.errors - before.errors),
            refusals=max(0, self.refusals - before.refusals),
            bounds_s=self.bounds_s,
            counts=tuple(max(0, now - then) for now, then in zip(self.counts, earlier, strict=True)),
            comparisons=max(0, self.comparisons - before.comparisons),
            agreements=max(0, self.agreements - before.agreements),
        )

    @property
    def runs(self) -> int:
        """Runs of the handler: their times are known."""
        return sum(self.counts)

    def latency_s(self, ratio: float) -> float | None:
        """Return the time that a ratio of the runs kept, such as 0.95 of them; none without runs.

        Within a bucket, runs are taken to be spread evenly; above the last bound, to be at that bound.
        """
        total = self.runs
        if not total or not self.bounds_s:
            return None
        wanted = ratio * total
        cumulative = list(accumulate(self.counts))
        bucket = min(bisect_left(cumulative, max(wanted, 1e-9)), len(self.counts) - 1)
        if bucket == len(self.bounds_s):
            return self.bounds_s[-1]
        low = self.bounds_s[bucket - 1] if bucket else 0.0
        before = cumulative[bucket] - self.counts[bucket]
        return low + (self.bounds_s[bucket] - low) * (wanted - before) / self.counts[bucket]

    def latency_bounds_s(self, ratio: float, z: float) -> tuple[float, float] | None:
        """Return the bounds between which a quantile of the latency lies, whatever its distribution.

        Source: confidence intervals of quantiles by order statistics (David and Nagaraja, *Order Statistics*, section
        7.1), with the bounds of the rank by Wilson's interval.
        """
        total = self.runs
        low, high = wilson_bounds(round(ratio * total), total, z)
        slow, fast = self.latency_s(high), self.latency_s(low)
        return None if slow is None or fast is None else (fast, slow)

    def describe(self) -> dict[str, float | int | None]:
        """Return the figures as plain values."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "refusals": self.refusals,
            "p50_s": self.latency_s(0.5),
            "p95_s": self.latency_s(0.95),
            "comparisons": self.comparisons,
            "agreements": self.agreements,
        }
