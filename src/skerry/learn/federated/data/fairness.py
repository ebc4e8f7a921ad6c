"""How evenly a model serves its clients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from skerry.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """A metric over clients.

    Args:
        clients: Name and value, the worst first.
        lowest: Smallest value.
        highest: Largest value.
        mean: Over clients, each counting equally.
        standard_deviation: Over clients, of the population.
        jain_index: From 1 / clients, where one has everything, to 1, where all have the same.
        worst_tenth_mean: Mean of the worst 10 % of clients, rounded up to whole clients.
    """

    clients: tuple[tuple[str, float], ...]
    lowest: float
    highest: float
    mean: float
    standard_deviation: float
    jain_index: float
    worst_tenth_mean: float


def measure_fairness(values: Mapping[str, float], *, higher_is_better: bool = True) -> Fairness:
    """Return how evenly a metric is spread over clients.

    Args:
        values: Of each client, such as its accuracy; finite and at least 0.
        higher_is_better: False for metrics such as loss, whose worst values are the highest.

    Raises:
        DataError: no client, or a value that is negative or not finite.

    Example:
        >>> measure_fairness({"a": 0.9, "b": 0.9, "c": 0.7}).worst_tenth_mean
        0.7

    Source: Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared
    Computer Systems, DEC-TR-301, 1984; Li, Sanjabi, Beirami, Smith: Fair Resource Allocation in Federated Learning,
    ICLR 2020, table 1 (worst 10 %, variance).
    """
    if not values:
        raise DataError("fairness needs the metric of at least one client; there is none")
    for client, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise DataError(f"fairness is measured on finite values of at least 0; client {client!r} has {value}")
    sign = 1 if higher_is_better else -1
    clients = tuple(sorted(((name, float(value)) for name, value in values.items()), key=lambda p: (sign * p[1], p[0])))
    ordered = [value for _, value in clients]
    highest = max(ordered)
    # In units of the highest value, so that neither tiny nor huge ones lose their squares.
    parts = [value / highest for value in ordered] if highest > 0 else [1.0] * len(ordered)
    mean = math.fsum(ordered) / len(ordered)
    worst = ordered[: math.ceil(len(ordered) / 10)]
    return Fairness(
        clients=clients,
        lowest=min(ordered),
        highest=highest,
        mean=mean,
        standard_deviation=math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / len(ordered)),
        jain_index=math.fsum(parts) ** 2 / (len(parts) * math.fsum(part * part for part in parts)),
        worst_tenth_mean=math.fsum(worst) / len(worst),
    )
