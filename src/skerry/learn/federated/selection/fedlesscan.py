"""FedLesScan: groups of clients by duration and missed rounds, the fast ones first, and a back-off for the others."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skerry.errors import SpecError
from skerry.learn.federated.policies.history import History
from skerry.learn.federated.selection.base import Selection, names, split_new
from skerry.learn.federated.selection.groups import group

DURATION_GAIN = 0.5  # weight of the newest duration in a client's average
MISSED_GAIN = 0.8  # weight of the newest missed round in its penalty
PENALTY_RATIO = 1.5  # penalty for having just missed, in longest durations of any client


@dataclass(frozen=True, slots=True, kw_only=True)
class FedLesScan(Selection):
    """Chooses groups of like clients together, so that they do not wait for each other.

    Clients that were never asked come first. The others are grouped by their average duration and a penalty for missed
    rounds; as the run goes on, the group to begin with moves from the fastest to the slower ones, and within a group
    those come first that were asked least. Whoever misses a round is left out for one round, then two, four, and so on.

    Args:
        rounds: Of the run, at least 1; where the run goes on after them, it stays with the slowest group.
        longest_back_off: Most rounds that a client is left out for, at least 1.

    Raises:
        SpecError: a value is out of range.

    Source: Elzohairy, Chadha, Jindal, Grafberger, Gu, Gerndt, Abboud: FedLesScan: Mitigating Stragglers in Serverless
    Federated Learning, IEEE Big Data 2022, section IV, and the authors' FedLess. Where this differs:

    * The back-off has an end, so that a client that recovers comes back within it.
    * A client that is like no other is a group of its own; there, all such clients are one.
    * Clients in their back-off only fill a round that would have nobody else; there, they fill every round.
    * Late updates are deltas that the strategy weighs; there, whole models are scaled down by their age.
    """

    name: ClassVar[str] = "fedlesscan"
    rounds: int = 50
    longest_back_off: int = 16

    def __post_init__(self) -> None:
        for field in ("rounds", "longest_back_off"):
            if getattr(self, field) < 1:
                raise SpecError(f"fedlesscan: {field} is {getattr(self, field)}; it must be at least 1", field=field)

    def pick(self, free: Sequence[History], round: int, count: int, chance: random.Random) -> Sequence[str]:
        """Return new clients, then those of the groups, beginning with the one that the run has come to."""
        new, known = split_new(free)
        chosen = names(chance.sample(new, min(count, len(new))))
        fit = [one for one in known if not self.cooling(one, round)]
        if not (new or fit):
            return names(chance.sample(known, min(count, len(known))))
        groups = self._groups(chance.sample(fit, len(fit)), round)
        begin = int((len(groups) - 1) * min(1.0, round / self.rounds)) if groups else 0
        for members in (*groups[begin:], *groups[:begin]):
            chosen += names(sorted(members, key=lambda one: one.rounds))
        return chosen[:count]

    def back_off(self, history: History) -> int:
        """Return for how many rounds after its last missed one a client is left out; 0 if it answered since."""
        if not history.missed_in_row:
            return 0
        return int(min(2.0 ** min(history.missed_in_row - 1, 30), self.longest_back_off))

    def cooling(self, history: History, round: int) -> bool:
        """Return whether a client is left out in a round."""
        back_off = self.back_off(history)
        return back_off > 0 and round <= history.last_missed + back_off

    def _groups(self, fit: Sequence[History], round: int) -> list[list[History]]:
        """Return groups of clients, the fastest first."""
        if not fit:
            return []
        longest_s = max((max(one.durations_s, default=0.0) for one in fit), default=0.0)
        features = np.array(
            [
                (
                    _average(one.durations_s, DURATION_GAIN),
                    PENALTY_RATIO * longest_s * _average((m / round for m in one.missed_rounds), MISSED_GAIN),
                )
                for one in fit
            ]
        )
        labels = group(features)
        costs = [float(features[labels == label].sum(axis=1).mean()) for label in range(int(labels.max()) + 1)]
        order = sorted(range(len(costs)), key=lambda label: (costs[label], label))
        return [[one for one, mine in zip(fit, labels, strict=True) if mine == label] for label in order]


def _average(values: Iterable[float], gain: float) -> float:
    """Return the exponential moving average of values, 0 of none."""
    average: float | None = None
    for value in values:
        average = value if average is None else (1 - gain) * average + gain * value
    return average or 0.0
