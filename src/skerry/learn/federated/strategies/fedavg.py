"""FedAvg: the mean of what the clients learnt, weighted by their examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from skerry.learn.federated.strategies.averaging import Averaging
from skerry.learn.federated.strategies.base import Replies, State
from skerry.learn.federated.strategies.mean import add_change
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAvg(Averaging):
    """Federated averaging.

    Example:
        >>> FedAvg(late_exponent=1.0).name
        'fedavg'

    Source: McMahan, Moore, Ramage, Hampson, Agüera y Arcas: Communication-Efficient Learning of Deep Networks from
    Decentralized Data, AISTATS 2017, algorithm 1. Late replies are ours.
    """

    name: ClassVar[str] = "fedavg"

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the mean delta."""
        return add_change(model, self.mean_delta(replies, model)), state
