"""FedYogi: Adam whose second moment forgets slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from skerry.learn.federated.strategies.adaptive import Decaying


@dataclass(frozen=True, slots=True, kw_only=True)
class FedYogi(Decaying):
    """Yogi on the server.

    Source: Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization, ICLR 2021,
    algorithm 2 with ``v = v - (1 - beta_2) * delta ** 2 * sign(v - delta ** 2)``.
    """

    name: ClassVar[str] = "fedyogi"
    server_learning_rate: float = 0.01

    def second_moment(self, second: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the second moment moved towards the squares by a step as large as those."""
        return second - (1 - self.beta_2) * square * np.sign(second - square)
