"""Clustered sampling: one client from each of as many groups of equal rows as the round has places."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from skerry.learn.federated.policies.history import History
from skerry.learn.federated.selection.base import Selection, draw


@dataclass(frozen=True, slots=True)
class Clustered(Selection):
    """Draws one client of each group, where groups hold equal shares of all rows.

    Clients are laid end to end, those with the most rows first, each as long as its rows; the line is cut into as
    many equal pieces as the round has places, and each piece draws one of the clients in it, by what of them lies in
    it. Clients are chosen in proportion to their rows, as in plain sampling by rows, but their numbers vary less from
    round to round.

    Source: Fraboni, Vidal, Kameni, Lorenzi: Clustered Sampling: Low-Variance and Improved Representativity for Clients
    Selection in Federated Learning, ICML 2021, algorithm 1. Where this differs:

    * A client whose rows are not known yet counts as the median of those that are.
    * A client that lies in several pieces is asked once: the next piece draws among its others. Their weights in the
      mean are their rows, so that a large client is not lost by it.
    """

    name: ClassVar[str] = "clustered"

    def pick(self, free: Sequence[History], round: int, count: int, chance: random.Random) -> Sequence[str]:
        """Return one client of each group."""
        known = [one.examples[-1] for one in free if one.examples]
        usual = statistics.median(known) if known else 1.0
        rows = {one.client: max(float(one.examples[-1]) if one.examples else usual, 1.0) for one in free}
        pieces = min(count, len(free))
        length, begin, chosen = sum(rows.values()) / pieces, 0.0, []
        groups: list[dict[str, float]] = [{} for _ in range(pieces)]
        for client in sorted(rows, key=lambda client: (-rows[client], client)):
            for number, members in enumerate(groups):
                inside = min(begin + rows[client], (number + 1) * length) - max(begin, number * length)
                if inside > 1e-9 * length:
                    members[client] = inside / length
            begin += rows[client]
        for members in groups:
            chosen += draw({client: part for client, part in members.items() if client not in chosen}, 1, chance)
        return chosen
