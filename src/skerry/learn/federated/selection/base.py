"""What a selection is: a pure rule that names the clients of a round."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from skerry.errors import SpecError
from skerry.learn.federated.policies.history import Histories, History


class Selection(ABC):
    """Names the clients of a round. Pure: the same histories, round and seed give the same clients.

    A client that still works on an earlier task is never chosen.
    """

    name: ClassVar[str]

    def choose(self, histories: Histories, round: int, count: int, seed: int) -> tuple[str, ...]:
        """Return whom to ask.

        Args:
            histories: Of all clients of the run.
            round: From 1.
            count: Most clients to choose, at least 1.
            seed: The run's.

        Returns:
            Names in order, at most ``count``; fewer where fewer are free, none where all are busy.

        Raises:
            SpecError: round or count is below 1.
        """
        for field, value in (("round", round), ("count", count)):
            if value < 1:
                raise SpecError(f"{field} is {value}; it must be at least 1", field=field)
        free = [histories[client] for client in sorted(histories) if not histories[client].busy]
        # One generator per round: nothing is drawn from one that lives longer.
        chance = random.Random(f"selection {self.name} {seed} {round}")
        return tuple(sorted(self.pick(free, round, count, chance))[:count]) if free else ()

    @abstractmethod
    def pick(self, free: Sequence[History], round: int, count: int, chance: random.Random) -> Sequence[str]:
        """Return at most ``count`` different clients of those that are free, in any order.

        Args:
            free: At least one, in the order of their names.
            round: From 1.
            count: At least 1.
            chance: The round's own generator.
        """


def names(histories: Sequence[History]) -> list[str]:
    """Return the clients of histories."""
    return [history.client for history in histories]


def split_new(free: Sequence[History]) -> tuple[list[History], list[History]]:
    """Return the clients that were never asked, and the others."""
    return [one for one in free if not one.rounds], [one for one in free if one.rounds]


def draw(weights: dict[str, float], count: int, chance: random.Random) -> list[str]:
    """Return different clients, each draw with a probability in proportion to its weight among those that are left.

    Args:
        weights: By client, at least 0 and finite; those of weight 0 come last.
        count: Most clients to draw.
        chance: What the draws are made with.

    Source: Efraimidis, Spirakis: Weighted random sampling with a reservoir, Information Processing Letters 97, 2006.
    """
    keys = {
        client: (weight > 0, chance.random() ** (1 / weight) if weight > 0 else 0.0)
        for client, weight in weights.items()
    }
    return sorted(keys, key=lambda client: (keys[client], client), reverse=True)[:count]
