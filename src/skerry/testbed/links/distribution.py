"""How random delays are spread about their mean: tables of quantiles with mean 0 and standard deviation 1.

Every means of emulation draws from the same tables, so that a jitter is the same jitter everywhere.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import Literal

Distribution = Literal["uniform", "normal", "pareto", "paretonormal"]

TABLE_SIZE = 4096
# netem keeps its tables in 16 bits, in 1/8192 of a standard deviation: no value lies further out.
FURTHEST = 3.999
PARETO_SHAPE = 3.0
NORMAL_SHARE = 0.25


@cache
def quantiles(distribution: Distribution) -> tuple[float, ...]:
    """Return the quantiles of a distribution, in standard deviations from its mean, in ascending order.

    Args:
        distribution: ``uniform``; ``normal``; ``pareto`` (shape 3: few, long delays); ``paretonormal`` (a quarter
            normal, three quarters Pareto: netem's guess of what the Internet does).

    Returns:
        4,096 values with mean 0 and standard deviation 1, none beyond 4.
    """
    shares = [(index + 0.5) / TABLE_SIZE for index in range(TABLE_SIZE)]
    normal = NormalDist()
    if distribution == "uniform":
        values = shares
    elif distribution == "normal":
        values = [normal.inv_cdf(share) for share in shares]
    elif distribution == "pareto":
        values = [_pareto(share) for share in shares]
    else:
        values = [NORMAL_SHARE * normal.inv_cdf(s) + (1 - NORMAL_SHARE) * _standard_pareto(s) for s in shares]
    return _standardise(values)


def expected_delay_ms(delay_ms: float, jitter_ms: float, distribution: Distribution) -> tuple[float, float]:
    """Return mean and standard deviation of the delays that packets get, milliseconds.

    They are those that were set, unless the jitter is so large that delays would be below 0: those are 0.
    """
    if not jitter_ms:
        return delay_ms, 0.0
    delays = [max(0.0, delay_ms + jitter_ms * value) for value in quantiles(distribution)]
    mean = math.fsum(delays) / TABLE_SIZE
    return mean, math.sqrt(math.fsum((delay - mean) ** 2 for delay in delays) / TABLE_SIZE)


def _pareto(share: float) -> float:
    return float((1 - share) ** (-1 / PARETO_SHAPE))


def _standard_pareto(share: float) -> float:
    mean = PARETO_SHAPE / (PARETO_SHAPE - 1)
    deviation = math.sqrt(PARETO_SHAPE / ((PARETO_SHAPE - 1) ** 2 * (PARETO_SHAPE - 2)))
    return (_pareto(share) - mean) / deviation


def _standardise(values: list[float]) -> tuple[float, ...]:
    """Shift, scale and clip until mean is 0, deviation 1 and nothing lies too far out."""
    while True:
        mean = math.fsum(values) / TABLE_SIZE
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / TABLE_SIZE)
        values = [(value - mean) / deviation for value in values]
        if max(values) <= FURTHEST + 1e-3 and min(values) >= -FURTHEST - 1e-3:
            return tuple(values)
        values = [min(FURTHEST, max(-FURTHEST, value)) for value in values]
