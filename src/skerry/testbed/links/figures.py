"""Figures of many milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence


def summarise(values: Sequence[float]) -> dict[str, float]:
    """Return count, mean, standard deviation and quantiles of some milliseconds.

    ``spread_ms`` is half the distance of the quantiles that are a standard deviation from the middle of a normal
    distribution: what the deviation would be without the few packets that a stop of the machine has held up.
    """
    if not values:
        return {"count": 0}
    ordered = sorted(values)
    count = len(ordered)
    mean = math.fsum(ordered) / count
    return {
        "count": count,
        "mean_ms": mean,
        "deviation_ms": math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / max(1, count - 1)),
        "spread_ms": (ordered[int(0.8413 * (count - 1))] - ordered[int(0.1587 * (count - 1))]) / 2,
        "min_ms": ordered[0],
        "p50_ms": ordered[count // 2],
        "p99_ms": ordered[min(count - 1, math.ceil(0.99 * count) - 1)],
        "max_ms": ordered[-1],
    }
