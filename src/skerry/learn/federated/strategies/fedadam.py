"""FedAdam: steps are as large as a coordinate's recent changes are of one mind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from skerry.learn.federated.strategies.adaptive import Decaying


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAdam(Decaying):
    """Adam on the server.

    Source: Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization, ICLR 2021,
    algorithm 2. The correction of the bias is that of Kingma and Ba (Adam, ICLR 2015, section 2), which the paper
    leaves out; as in Flower its exponent is the round plus 1, with rounds from 1.
    """

    name: ClassVar[str] = "fedadam"

    def second_moment(self, second: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the decaying mean of the squares."""
        return self.beta_2 * second + (1 - self.beta_2) * square

    def correction(self, rounds: int) -> float:
        """Return the correction of the bias of both moments."""
        return math.sqrt(1 - self.beta_2 ** (rounds + 1)) / (1 - self.beta_1 ** (rounds + 1))
