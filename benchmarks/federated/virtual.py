"""Rounds in virtual time: the policies of `skerry.learn.federated` decide, durations are drawn, nothing waits.

Clients are emulated by how long they take; what they learn, if anything, is up to the caller. The same seed gives the
same run.
"""

from __future__ import annotations

import heapq
import math
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from skerry.learn.federated.policies.deadlines import Patience, Reason, abandoned, decide
from skerry.learn.federated.policies.history import Event, History, fold
from skerry.learn.federated.selection import Selection

MEDIAN_S = 10.0
"""What the median client of `ten_clients` takes, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """A client by its durations.

    Args:
        usual_s: Median duration of a task, in seconds.
        spread_ratio: Standard deviation of the logarithm of durations.
        examples: Rows that it trains on.
        dead: Rounds in which it is asked and never answers.
    """

    usual_s: float
    spread_ratio: float = 0.05
    examples: int = 100
    dead: range = range(0)

    def duration_s(self, round: int, chance: random.Random) -> float:
        """Return how long the task of a round takes; infinite where no answer will come."""
        drawn_s = self.usual_s * math.exp(chance.gauss(0.0, self.spread_ratio))
        return math.inf if round in self.dead else drawn_s


def ten_clients(seed: int = 0, *, dies_after: int = 15, rounds: int = 50) -> dict[str, Emulated]:
    """Return ten clients: eight between 0.85 and 1.1 of the median, one ten times slow, one that dies."""
    chance = random.Random(f"clients {seed}")
    clients = {
        f"client-{number}": Emulated(usual_s=MEDIAN_S * chance.uniform(0.85, 1.1), examples=chance.randint(60, 140))
        for number in range(8)
    }
    clients["dying"] = Emulated(usual_s=MEDIAN_S, dead=range(dies_after + 1, 100 * rounds))
    clients["slow"] = Emulated(usual_s=10 * MEDIAN_S)
    return clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An answer that a round can use: whose, of which round, and how many rounds have ended since."""

    client: str
    asked: int
    staleness: int


@dataclass(slots=True)
class Played:
    """What a run came to.

    Args:
        rounds_s: Duration of each round, in seconds.
        ends: Why each round ended.
        arrivals: What each round could use.
        histories: At the end.
        chosen: Whom each round asked.
    """

    rounds_s: list[float] = field(default_factory=list)
    ends: list[Reason] = field(default_factory=list)
    arrivals: list[list[Arrival]] = field(default_factory=list)
    chosen: list[tuple[str, ...]] = field(default_factory=list)
    histories: Mapping[str, History] = field(default_factory=dict)

    def ratio(self, quantile: float, median_s: float = MEDIAN_S) -> float:
        """Return a quantile of the rounds' durations, in durations of the median client."""
        ordered = sorted(self.rounds_s)
        return ordered[min(len(ordered) - 1, math.ceil(quantile * len(ordered)) - 1)] / median_s

    def shares(self) -> dict[str, float]:
        """Return in what share of the rounds an answer of each client was used."""
        used = [arrival.client for arrivals in self.arrivals for arrival in arrivals]
        return {client: used.count(client) / len(self.rounds_s) for client in sorted(self.histories)}

    def staleness(self) -> tuple[float, int]:
        """Return the mean and the most of what answers were stale, in rounds."""
        found = [arrival.staleness for arrivals in self.arrivals for arrival in arrivals]
        return statistics.fmean(found), max(found)


def play(
    clients: Mapping[str, Emulated],
    selection: Selection,
    settings: Patience,
    *,
    rounds: int,
    count: int,
    seed: int = 0,
    on_ask: Callable[[str, int], None] = lambda client, round: None,
    on_end: Callable[[int, float, list[Arrival]], None] = lambda round, now_s, arrivals: None,
) -> Played:
    """Play a run.

    Args:
        clients: By name.
        selection: Whom a round asks.
        settings: How long it waits.
        rounds: To play.
        count: Most clients of a round.
        seed: Of everything that is drawn.
        on_ask: Called when a client is given the model of a round.
        on_end: Called with the round, the time since the run began in seconds and what the round can use.
    """
    played, histories, now_s = Played(), fold(clients, ()), 0.0
    coming: list[tuple[float, str, int, float]] = []  # arrival, client, round, when it was asked

    def tell(client: str, event: Event) -> None:
        histories[client] = histories[client].after(event)

    for round in range(1, rounds + 1):
        for client in abandoned(histories, round, settings):
            given_up = histories[client].open_round
            coming = [task for task in coming if task[1] != client]
            tell(client, Event(kind="failed", client=client, round=given_up, reason="no answer in time"))
        heapq.heapify(coming)
        chosen, began_s = selection.choose(histories, round, count, seed), now_s
        for client in chosen:
            on_ask(client, round)
            tell(client, Event(kind="asked", client=client, round=round))
            drawn_s = clients[client].duration_s(round, random.Random(f"{seed} {client} {round}"))
            heapq.heappush(coming, (now_s + drawn_s, client, round, now_s))
        arrivals: list[Arrival] = []
        answered: set[str] = set()
        while True:
            decision = decide(
                now_s,
                began_s,
                chosen=chosen,
                answered=answered,
                in_flight=set(chosen) - answered,
                histories=histories,
                settings=settings,
            )
            if decision.end or (decision.reason is Reason.LOST and (arrivals or not coming)):
                break
            wait_s = decision.wait_s if decision.reason is not Reason.LOST else math.inf
            if coming and coming[0][0] <= now_s + wait_s:
                now_s, client, asked, asked_s = heapq.heappop(coming)
                answer = Event(
                    kind="answered",
                    client=client,
                    round=asked,
                    arrived=round,
                    duration_s=now_s - asked_s,
                    examples=clients[client].examples,
                )
                tell(client, answer)
                arrivals.append(Arrival(client=client, asked=asked, staleness=round - asked))
                if asked == round:
                    answered.add(client)
            else:
                now_s += wait_s
        for client in set(chosen) - answered:
            tell(client, Event(kind="missed", client=client, round=round))
        played.rounds_s.append(now_s - began_s)
        played.ends.append(decision.reason)
        played.arrivals.append(arrivals)
        played.chosen.append(chosen)
        on_end(round, now_s, arrivals)
    played.histories = histories
    return played
