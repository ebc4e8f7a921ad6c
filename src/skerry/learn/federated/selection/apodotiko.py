"""Apodotiko: clients by chance, in proportion to what they do in a second, and to how long they were passed over."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from skerry.errors import SpecError
from skerry.learn.federated.policies.history import History
from skerry.learn.federated.selection.base import Selection, draw, names, split_new

ANSWERS = 5  # latest answers that make a score
MOST_BOOSTS = 100  # rounds that are rewarded: keeps the product finite, and is certainty long before


@dataclass(frozen=True, slots=True, kw_only=True)
class Apodotiko(Selection):
    """Scores clients by rows and speed.

    A client's score is the mean over its last answers, the newest weighing most, of ``rows * rows / duration``, times a
    booster that grows with each round in which it was free and not chosen. Clients are drawn in proportion to it, after
    those that were never asked. Whoever missed a round is left out for some rounds.

    Args:
        rate: By how much the booster grows per round, and older answers lose weight, in (0, 1).
        penalty_rounds: Rounds for which a client is left out after a miss that was not made good, at least 0.

    Raises:
        SpecError: a value is out of range.

    Source: Chadha, Jensen, Gu, Abboud, Gerndt: Apodotiko: Enabling Efficient Serverless Federated Learning in
    Heterogeneous Environments, CCGrid 2024, section III, and the authors' FedLess. Where this differs:

    * Epochs and batch size are one for all clients of a run, so that they cancel out of the score.
    * Durations are the coordinator's, with transfer and start, because that is what a round waits for.
    * A missed round is treated as a failure is there; a late answer makes it good.
    * A round ends by `skerry.learn.federated.policies.deadlines`, not at a fixed share of answers.
    """

    name: ClassVar[str] = "apodotiko"
    rate: float = 0.2
    penalty_rounds: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise SpecError(f"apodotiko: rate is {self.rate}; it must be above 0 and below 1", field="rate")
        if self.penalty_rounds < 0:
            raise SpecError(
                f"apodotiko: penalty_rounds is {self.penalty_rounds}; it must be at least 0", field="penalty_rounds"
            )

    def pick(self, free: Sequence[History], round: int, count: int, chance: random.Random) -> Sequence[str]:
        """Return new clients first, then a draw by score; those under a penalty only where all are."""
        new, known = split_new(free)
        chosen = names(chance.sample(new, min(count, len(new))))
        fit = [one for one in known if not self.penalised(one, round)]
        if not (new or fit):
            fit = known
        weights = {one.client: self.score(one, round) for one in fit}
        most = max(weights.values(), default=0.0) or 1.0
        return chosen + draw({client: weight / most for client, weight in weights.items()}, count - len(chosen), chance)

    def penalised(self, history: History, round: int) -> bool:
        """Return whether a client is left out in a round, for one that it missed."""
        return history.missed_in_row > 0 and round <= history.last_missed + self.penalty_rounds

    def score(self, history: History, round: int) -> float:
        """Return a client's score before a round; 0 if it never answered."""
        answers = list(zip(history.examples, history.durations_s, strict=True))[-ANSWERS:]
        if not answers:
            return 0.0
        total = mean = 0.0
        for age, (examples, duration_s) in enumerate(reversed(answers)):
            weight = (1 - self.rate) ** age
            total += weight
            mean += weight * examples * examples / max(duration_s, 1e-6)
        passed_over = max(0, round - max(history.last_asked, history.last_answered) - 1)
        return float(mean / total * (1 + self.rate) ** min(passed_over, MOST_BOOSTS))
