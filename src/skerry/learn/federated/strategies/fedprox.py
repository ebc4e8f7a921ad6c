"""FedProx: FedAvg whose clients are held near the model that they were given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from skerry.learn.federated.ranges import check_real
from skerry.learn.federated.strategies.averaging import Averaging
from skerry.learn.federated.strategies.base import Instructions, Replies, State
from skerry.learn.federated.strategies.mean import add_change
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class FedProx(Averaging):
    """Federated averaging with a proximal term in each client's loss: ``proximal / 2 * |w - w_given| ** 2``.

    Args:
        proximal: The paper's mu, at least 0; 0 is FedAvg. The paper tried 0.001, 0.01, 0.1 and 1.

    Source: Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith: Federated Optimization in Heterogeneous Networks, MLSys 2020,
    algorithm 2. Replies are weighted by examples; the paper draws clients by them and weighs them equally.
    """

    name: ClassVar[str] = "fedprox"
    proximal: float = 0.01

    def __post_init__(self) -> None:
        Averaging.__post_init__(self)
        check_real(self.name, "proximal", self.proximal, low=0, high=math.inf)

    def instruct(self, state: State) -> Instructions:
        """Return mu."""
        return Instructions(proximal=self.proximal)

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the mean delta."""
        return add_change(model, self.mean_delta(replies, model)), state
