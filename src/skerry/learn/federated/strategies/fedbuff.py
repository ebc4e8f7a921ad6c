"""FedBuff: the mean of what has arrived, however late it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from skerry.learn.federated.ranges import check_real
from skerry.learn.federated.strategies.base import Replies, State, Strategy
from skerry.learn.federated.strategies.mean import add_change, late_weight, weighted_mean
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class FedBuff(Strategy):
    """Buffered asynchronous aggregation: each reply counts ``1 / sqrt(1 + staleness)``, whatever its examples.

    The paper's buffer is a round, its size K the number of replies that a round waits for.

    Args:
        server_learning_rate: What the mean delta is multiplied with.

    Source: Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba: Federated Learning with Buffered Asynchronous
    Aggregation, AISTATS 2022, algorithm 1. Weights are normalised to 1; the paper divides by K instead, so that late
    replies make smaller steps.
    """

    name: ClassVar[str] = "fedbuff"
    server_learning_rate: float = 1.0

    def __post_init__(self) -> None:
        check_real(self.name, "server_learning_rate", self.server_learning_rate, low=0, high=math.inf, open_low=True)

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the mean delta, weighted by staleness."""
        mean = weighted_mean(replies, model.size, lambda reply: late_weight(reply.staleness, 0.5))
        return add_change(model, self.server_learning_rate * mean), state
