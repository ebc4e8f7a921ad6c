"""FedAvgM: FedAvg with momentum on the server."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skerry.learn.federated.ranges import check_real
from skerry.learn.federated.strategies.averaging import Averaging
from skerry.learn.federated.strategies.base import Replies, State
from skerry.learn.federated.strategies.mean import add_change
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAvgM(Averaging):
    """Federated averaging with server momentum, without Nesterov's look ahead.

    Args:
        server_learning_rate: What the momentum is multiplied with before it is added to the model.
        momentum: Share of the momentum that is kept from round to round, in [0, 1).

    Source: Hsu, Qi, Brown: Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification, 2019. As in Flower, the first momentum is the first mean delta.
    """

    name: ClassVar[str] = "fedavgm"
    server_learning_rate: float = 1.0
    momentum: float = 0.9

    def __post_init__(self) -> None:
        Averaging.__post_init__(self)
        check_real(self.name, "server_learning_rate", self.server_learning_rate, low=0, high=math.inf, open_low=True)
        check_real(self.name, "momentum", self.momentum, low=0, high=1)

    def start(self, size: int) -> State:
        """Return no momentum."""
        return {"momentum": np.zeros(size)}

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the momentum, and the momentum."""
        momentum = self.momentum * state["momentum"] + self.mean_delta(replies, model)
        return add_change(model, self.server_learning_rate * momentum), {"momentum": momentum}
