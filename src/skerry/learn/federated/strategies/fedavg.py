"""FedAvg: the mean of what the clients learnt, weighted by their examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from skerry.learn.federated.parameters import Vector
from skerry.learn.federated.strategies.base import Replies, State, Strategy
from skerry.learn.federated.strategies.mean import weighted_mean


@dataclass(frozen=True, slots=True)
class FedAvg(Strategy):
    """Federated averaging.

    Source: McMahan, Moore, Ramage, Hampson, Agüera y Arcas: Communication-Efficient Learning of Deep Networks from
    Decentralized Data, AISTATS 2017, algorithm 1.
    """

    name: ClassVar[str] = "fedavg"

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the mean delta, weighted by examples."""
        mean = weighted_mean(replies, lambda reply: reply.examples)
        return (model + mean).astype(model.dtype), state
