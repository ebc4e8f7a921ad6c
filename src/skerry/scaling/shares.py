"""Fair shares of one machine between functions that together want more than it has.

Source: weighted max-min fairness by progressive filling (Bertsekas and Gallager, *Data Networks*, section 6.5.2), in
whole workers. Where this differs:

* Every function with a demand gets a worker, and its ``floor``, be the machine full or not.
* A worker that would be busy for part of the time takes that part of its place only. So the last worker that is given
  may exceed the machine by half of its place at most, and a function with next to no load takes next to nothing.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

PART_THAT_MUST_FIT = 0.5
ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What one function wants of the machine.

    Args:
        demand: Workers that its load keeps busy, at least 0; it may be a fraction.
        room: Workers of this function that the machine holds when it holds nothing else, at least 1.
        weight: Its share relative to the others', above 0.
        floor: Busy workers that are never taken from it, at least 0.
    """

    demand: float
    room: int
    weight: float = 1.0
    floor: int = 0

    @property
    def workers(self) -> int:
        """Workers that satisfy the demand."""
        return math.ceil(self.demand - ROUNDING)


def fair_shares(claims: Mapping[K, Claim]) -> dict[K, int]:
    """Return how many busy workers each function may have.

    Nobody gets more than satisfies its demand; what one leaves goes to the others; and nobody can get more without
    taking from one whose share, relative to its weight, is no larger. Work: proportional to the workers given.

    Args:
        claims: What each function wants, under any key.

    Returns:
        For each key, a count between 0 and the claim's demand rounded up; at least 1 where there is a demand.
    """
    given = {key: min(claim.workers, max(1, claim.floor)) for key, claim in claims.items()}
    free_ratio = 1.0 - sum(min(given[key], claim.demand) / claim.room for key, claim in claims.items())
    waiting = [
        (_level(claim, given[key] + 1), order, key)
        for order, (key, claim) in enumerate(claims.items())
        if given[key] < claim.workers
    ]
    heapq.heapify(waiting)
    while waiting:
        _, order, key = heapq.heappop(waiting)
        claim = claims[key]
        place_ratio = min(1.0, claim.demand - given[key]) / claim.room
        if free_ratio < place_ratio * PART_THAT_MUST_FIT - ROUNDING:
            continue  # a smaller place may still be free
        given[key] += 1
        free_ratio -= place_ratio
        if given[key] < claim.workers:
            heapq.heappush(waiting, (_level(claim, given[key] + 1), order, key))
    return given


class Shares(Generic[K]):
    """What the functions of one machine claim at the moment, and the limits that follow.

    It reads no clock and does no I/O.

    Example:
        ``shares.claim("train", Claim(demand=7.5, room=4)); shares.limit("train")``
    """

    def __init__(self) -> None:
        self._claims: dict[K, Claim] = {}
        self._limits: dict[K, int] = {}

    def claim(self, key: K, claim: Claim) -> list[K]:
        """Replace what a function claims.

        Returns:
            The other functions whose limits have changed by it.
        """
        if claim.demand > 0:
            self._claims[key] = claim
        else:
            self._claims.pop(key, None)
        before, after = self._limits, self._settle()
        return [k for k in before.keys() | after.keys() if k != key and before.get(k) != after.get(k)]

    def leave(self, key: K) -> None:
        """Forget a function."""
        self._claims.pop(key, None)
        self._settle()

    def limit(self, key: K) -> int | None:
        """Return the most workers that a function may have, or none where its demand is satisfied.

        Idle workers are not limited: they take no processor's time from anybody.
        """
        return self._limits.get(key)

    def _settle(self) -> dict[K, int]:
        self._limits = {}
        if sum(claim.demand / claim.room for claim in self._claims.values()) > 1.0 + ROUNDING:
            given = fair_shares(self._claims)
            self._limits = {key: given[key] for key, claim in self._claims.items() if given[key] < claim.workers}
        return self._limits


def _level(claim: Claim, workers: int) -> float:
    """Return the part of the machine, relative to its weight, that a claim would hold with so many workers."""
    return min(workers, claim.demand) / (claim.room * claim.weight)
