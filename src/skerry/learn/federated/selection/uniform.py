"""Random clients, as plain federated averaging chooses them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from skerry.learn.federated.policies.history import History
from skerry.learn.federated.selection.base import Selection, names


@dataclass(frozen=True, slots=True)
class Uniform(Selection):
    """Each free client with the same probability.

    Source: McMahan, Moore, Ramage, Hampson, Agüera y Arcas: Communication-Efficient Learning of Deep Networks from
    Decentralized Data, AISTATS 2017, algorithm 1. Differs in that clients that still work are left out.
    """

    name: ClassVar[str] = "random"

    def pick(self, free: Sequence[History], round: int, count: int, chance: random.Random) -> Sequence[str]:
        """Return a sample."""
        return names(chance.sample(free, min(count, len(free))))
