"""FedAdagrad: steps shrink where much has changed so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from skerry.learn.federated.strategies.adaptive import Adaptive


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAdagrad(Adaptive):
    """Adagrad on the server.

    Source: Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization, ICLR 2021,
    algorithm 2 with ``v = v + delta ** 2`` and, as in its experiments and in Flower, ``beta_1 = 0``.
    """

    name: ClassVar[str] = "fedadagrad"

    def second_moment(self, second: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of all squares so far."""
        return second + square
