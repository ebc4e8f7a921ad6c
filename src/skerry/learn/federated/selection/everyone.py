"""Everyone who is free."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from skerry.learn.federated.policies.history import History
from skerry.learn.federated.selection.base import Selection, names


@dataclass(frozen=True, slots=True)
class Everyone(Selection):
    """Every client that is free; where there are more than the round may have, those that were asked least."""

    name: ClassVar[str] = "all"

    def pick(self, free: Sequence[History], round: int, count: int, chance: random.Random) -> Sequence[str]:
        """Return the clients that were asked in the fewest rounds, equal ones by chance."""
        shuffled = chance.sample(free, len(free))
        return names(sorted(shuffled, key=lambda one: one.rounds)[:count])
