"""Medians and how sure they are: the bootstrap, for single groups and for groups whose trials pair up.

Everything here is a pure function of its values and its seed, so a report that is made again says the same.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where the values of one measure lie.

    Args:
        median: The middle.
        p25: The lower quartile.
        p75: The upper quartile.
        low: The smallest value.
        high: The largest value.
        count: How many values there are.
    """

    median: float
    p25: float
    p75: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the bounds between which it lies with the stated confidence.

    Args:
        estimate: The statistic of the values themselves.
        low: The lower bound.
        high: The upper bound.
    """

    estimate: float
    low: float
    high: float


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile, interpolated between neighbours as NumPy does it.

    Args:
        values: At least one number.
        share: The share of the values that lies below, in [0, 1].
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    if ordered[below] == ordered[above]:
        return ordered[below]
    between = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    return min(max(between, ordered[below]), ordered[above])  # rounding may leave the two neighbours


def spread(values: Sequence[float]) -> Spread:
    """Return where at least one value lies."""
    return Spread(
        median=float(median(values)),
        p25=quantile(values, 0.25),
        p75=quantile(values, 0.75),
        low=min(values),
        high=max(values),
        count=len(values),
    )


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = median,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return a statistic with its percentile bootstrap interval.

    Args:
        values: At least one number.
        statistic: What is asked of the values; the median by default.
        confidence: The share of the resamples that lies between the bounds, in (0, 1).
        resamples: How often values are drawn anew, with replacement.
        seed: Of the draws.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3. The bounds are widened to the
    estimate where the percentiles of a few values would leave it out.
    """
    draw = random.Random(seed)
    found = sorted(statistic(draw.choices(values, k=len(values))) for _ in range(resamples))
    return _interval(float(statistic(values)), found, confidence)


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], *, confidence: float = CONFIDENCE, seed: int = 0
) -> Interval | None:
    """Return the median of ``first - second`` over the pairs, with its interval; none without a common pair.

    Args:
        first: Values by pair, such as the number of the repeat.
        second: The values to subtract, by the same pairs.
        confidence: As in :func:`bootstrap`.
        seed: Of the draws.
    """
    pairs = sorted(first.keys() & second.keys())
    if not pairs:
        return None
    return bootstrap([first[pair] - second[pair] for pair in pairs], confidence=confidence, seed=seed)


def ratio_of_medians(
    first: Mapping[int, float],
    second: Mapping[int, float],
    *,
    is_paired: bool = True,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Return ``median(first) / median(second)`` with its interval; none where that has no sense.

    Drawing pair by pair keeps what both sides of a pair share: the same articles, the same minute of the machine.

    Args:
        first: Values by pair.
        second: Values above 0 by the same pairs.
        is_paired: Whether only common pairs count, and both sides of one are drawn together.
        confidence: As in :func:`bootstrap`.
        resamples: As in :func:`bootstrap`.
        seed: Of the draws.
    """
    keys = sorted(first.keys() & second.keys()) if is_paired else []
    above = [first[key] for key in keys] if is_paired else list(first.values())
    below = [second[key] for key in keys] if is_paired else list(second.values())
    if not above or not below or min(below) <= 0:
        return None
    draw = random.Random(seed)

    def resample() -> float:
        if not is_paired:
            return median(draw.choices(above, k=len(above))) / median(draw.choices(below, k=len(below)))
        rows = draw.choices(range(len(keys)), k=len(keys))
        return median(above[row] for row in rows) / median(below[row] for row in rows)

    found = sorted(resample() for _ in range(resamples))
    return _interval(median(above) / median(below), found, confidence)


def _interval(estimate: float, found: Sequence[float], confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    return Interval(
        estimate=estimate,
        low=float(min(estimate, quantile(found, tail))),
        high=float(max(estimate, quantile(found, 1 - tail))),
    )
