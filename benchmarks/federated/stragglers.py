"""Ten clients, one ten times slow, one that dies: what rounds cost and reach, waiting for all or not.

Run: ``python -m benchmarks.federated.stragglers`` (under a minute). It prints the table of
docs/concepts/federated-rounds.md and writes ``benchmarks/results/federated_stragglers.json``.

Learning is real: a softmax regression on scikit-learn's digits, whose training rows are split over the clients by a
Dirichlet distribution of their labels. Durations are drawn and time is virtual, so that the figures do not depend on
the machine; every figure is the median over seeds, each with clients, split and durations of its own. Arms of a seed
share all three. Late updates are added as deltas whose weights are normalised to 1.

What is remembered of silent clients follows the rule of `skerry.learn.federated.coordinator.remembered`, which
coordinators use too, and is what a plan with a quorum does by itself (`agreement.remembered_rounds`). Updates are added
by the strategy `fedavg`, which keeps late ones in bounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.federated.virtual import Arrival, Emulated, play, ten_clients
from benchmarks.measuring import facts, save
from skerry.learn.federated.coordinator.remembered import still_counting
from skerry.learn.federated.policies.deadlines import Patience
from skerry.learn.federated.selection import Selection, make_selection
from skerry.learn.federated.strategies import FedAvg
from skerry.learn.federated.strategies.base import ListedReplies, Received
from skerry.learn.federated.wire.parameters import Vector

ROUNDS = 50
SEEDS = 6
COUNT = 8
DIRICHLET = 0.3
EPOCHS = 3
BATCH = 32
RATE = 0.2
TARGET = 0.93
LONGEST_S = 200.0  # of a round: twice what the slow client needs
WAITING = Patience(
    quorum_ratio=1.0, deadline_s=LONGEST_S, slack_ratio=1e6, first_slack_ratio=1e6, late_rounds=0
)  # only the longest time ends a round early, and whoever let it pass is asked again
PATIENT = Patience(deadline_s=LONGEST_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A way to run rounds.

    Args:
        name: Of the row.
        selection: Whom a round asks.
        settings: How long it waits.
        count: Most clients of a round.
        remembers: Whether a client that is not heard in a round counts with its last update, as long as that is not
            older than ``settings.late_rounds``.
        order: Of the rows in training; another one shows how far two runs of the same thing differ.
    """

    name: str
    selection: Selection
    settings: Patience
    count: int
    remembers: bool = False
    order: int = 0


ARMS = (
    Arm(name="wait for all", selection=make_selection("all"), settings=WAITING, count=10),
    Arm(name="wait for all, other order", selection=make_selection("all"), settings=WAITING, count=10, order=1),
    Arm(name="all, with deadline", selection=make_selection("all"), settings=PATIENT, count=10, remembers=True),
    Arm(name="the same, nothing remembered", selection=make_selection("all"), settings=PATIENT, count=10),
    Arm(name="random, with deadline", selection=make_selection("random"), settings=PATIENT, count=COUNT),
    Arm(
        name="fedlesscan",
        selection=make_selection("fedlesscan", {"rounds": ROUNDS}),
        settings=PATIENT,
        count=COUNT,
    ),
    Arm(name="apodotiko", selection=make_selection("apodotiko"), settings=PATIENT, count=COUNT),
    Arm(name="clustered", selection=make_selection("clustered"), settings=PATIENT, count=COUNT),
)


class Learning:
    """Softmax regression on digits that are split over clients.

    Args:
        clients: Their names.
        seed: Of the split.
        arm: How late updates count.
    """

    def __init__(self, clients: list[str], seed: int, arm: Arm) -> None:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        data = load_digits()
        rows, self.test_rows, labels, self.test_labels = train_test_split(
            data.data / 16.0, data.target, test_size=0.25, random_state=seed, stratify=data.target
        )
        chance = np.random.default_rng(seed)
        parts: dict[str, list[int]] = {client: [] for client in clients}
        for label in range(10):
            mine = chance.permutation(np.flatnonzero(labels == label))
            ends = np.cumsum(chance.dirichlet([DIRICHLET] * len(clients)))[:-1] * len(mine)
            for client, part in zip(clients, np.split(mine, ends.astype(int)), strict=True):
                parts[client].extend(part)
        self.parts = {client: (rows[part], labels[part]) for client, part in parts.items()}
        self.model: Vector = np.zeros(65 * 10)
        self.given: dict[tuple[str, int], Vector] = {}
        self.curve: list[tuple[float, float]] = []
        self.seed = seed
        self.arm = arm
        self.last: dict[str, tuple[int, Vector, Vector]] = {}

    def give(self, client: str, round: int) -> None:
        """Remember which model a client trains from."""
        self.given[client, round] = self.model

    def end(self, round: int, now_s: float, arrivals: list[Arrival]) -> None:
        """Add what arrived to the model, and measure it."""
        now = {}
        for arrival in arrivals:
            base = self.given.pop((arrival.client, arrival.asked))
            now[arrival.client] = arrival.asked, base, self.fit(arrival.client, arrival.asked, base)
        self.last |= now
        used = now | {client: self.last[client] for client in self.silent(now, round)}
        replies = [
            Received(
                client=client,
                delta=delta,
                examples=len(self.parts[client][1]),
                staleness=round - asked,
                base=base if asked < round else None,
            )
            for client, (asked, base, delta) in used.items()
        ]
        exponent = 0.0 if self.arm.remembers else 0.5
        if any(reply.examples for reply in replies):
            averaging = FedAvg(late_exponent=exponent)
            self.model = self.model + averaging.mean_delta(ListedReplies(replies), self.model)
        self.curve.append((now_s, self.accuracy()))

    def silent(self, heard: Collection[str], round: int) -> tuple[str, ...]:
        """Return who counts with its last update."""
        last = {client: asked for client, (asked, _, _) in self.last.items()}
        rounds = self.arm.settings.late_rounds
        return still_counting(last, heard, round=round, rounds=rounds) if self.arm.remembers else ()

    def fit(self, client: str, round: int, begin: Vector) -> Vector:
        """Return what a client learns from the model that it was given, as a difference."""
        rows, labels = self.parts[client]
        weights = begin.reshape(65, 10).copy()
        chance = np.random.default_rng([self.seed, round, *client.encode(), *([self.arm.order] * (self.arm.order > 0))])
        for _ in range(EPOCHS):
            order = chance.permutation(len(labels))
            for at in range(0, len(order), BATCH):
                batch = order[at : at + BATCH]
                errors = softmax(rows[batch], weights)
                errors[np.arange(len(batch)), labels[batch]] -= 1
                errors *= RATE / len(batch)
                weights[:64] -= rows[batch].T @ errors
                weights[64] -= errors.sum(axis=0)
        return weights.reshape(-1) - begin

    def accuracy(self) -> float:
        """Return the share of the test rows that the model knows."""
        guesses = softmax(self.test_rows, self.model.reshape(65, 10)).argmax(axis=1)
        return float((guesses == self.test_labels).mean())


def softmax(rows: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of the labels, shape (rows, 10)."""
    scores = rows @ weights[:64] + weights[64]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def run(arm: Arm, seed: int, rounds: int = ROUNDS) -> dict[str, float]:
    """Return what an arm comes to with a seed."""
    clients: dict[str, Emulated] = ten_clients(seed, dies_after=rounds // 4, rounds=rounds)
    learning = Learning(sorted(clients), seed, arm)
    clients = {name: replace(client, examples=len(learning.parts[name][1])) for name, client in clients.items()}
    played = play(
        clients,
        arm.selection,
        arm.settings,
        rounds=rounds,
        count=arm.count,
        seed=seed,
        on_ask=learning.give,
        on_end=learning.end,
    )
    median_s = statistics.median(client.usual_s for client in clients.values())
    reached = [now_s for now_s, accuracy in learning.curve if accuracy >= TARGET]
    shares, (stale, stalest) = played.shares(), played.staleness()
    usual = [share for client, share in shares.items() if client not in ("slow", "dying")]
    return {
        "p50": played.ratio(0.5, median_s),
        "p95": played.ratio(0.95, median_s),
        "accuracy": 100 * statistics.fmean(accuracy for _, accuracy in learning.curve[-5:]),
        "target_s": reached[0] if reached else float("inf"),
        "run_s": learning.curve[-1][0],
        "least_share": min(usual),
        "slow_share": shares["slow"],
        "staleness": stale,
        "stalest": float(stalest),
    }


def main() -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of each run")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds of each arm; the page has 32 from 100 on")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them")
    arguments = parser.parse_args()
    began_s = time.perf_counter()
    results: dict[str, Any] = {
        "facts": facts(["skerry", "numpy", "scikit-learn"]),
        "method": {
            "rounds": arguments.rounds,
            "seeds": arguments.seeds,
            "first_seed": arguments.first_seed,
            "dirichlet": DIRICHLET,
            "epochs": EPOCHS,
            "batch": BATCH,
            "rate": RATE,
            "target": TARGET,
        },
        "arms": {},
    }
    print(
        "| Arm | Round p50 | Round p95 | Accuracy, % | Time to target, s | Run, s | Slow / least other share | Stale |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    waited: list[float] = []
    for arm in ARMS:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        runs = [run(arm, seed, arguments.rounds) for seed in seeds]
        middle = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        waited = waited or [one["accuracy"] for one in runs]
        lost = [before - one["accuracy"] for before, one in zip(waited, runs, strict=True)]
        results["arms"][arm.name] = {"median": middle, "lost_points": lost, "runs": runs}
        print(
            f"| {arm.name} | {middle['p50']:.2f} | {middle['p95']:.2f} | {middle['accuracy']:.1f} "
            f"({-statistics.median(lost):+.1f}, worst {-max(lost):+.1f}) "
            f"| {middle['target_s']:.0f} | {middle['run_s']:.0f} "
            f"| {middle['slow_share']:.2f} / {middle['least_share']:.2f} | {middle['staleness']:.2f} |"
        )
    results["seconds"] = round(time.perf_counter() - began_s, 1)
    print(f"{results['seconds']} s; {save('federated_stragglers', results)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
