"""What became of a run, round by round, and the numbers that this makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from skerry.errors import DataError
from skerry.learn.federated.plan import SERVER
from skerry.learn.federated.record.results import RoundResult

PAPER_ACCURACY = 0.82
WANTED_ACCURACY = 0.99


@dataclass(slots=True, kw_only=True)
class Course:
    """The rounds of a run.

    Args:
        accuracy: Of the global model on the test set, after each round.
        loss: Of the same.
        client_accuracy: Of each client's model on a sample of the test set, before they are averaged, by client.
        client_loss: Of the same.
        rounds: What the coordinator has written down; empty where nobody has.
        duration_s: Of each round.
        digest: Of the model at the end.
    """

    accuracy: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    client_accuracy: dict[str, list[float]] = field(default_factory=dict)
    client_loss: dict[str, list[float]] = field(default_factory=dict)
    rounds: list[RoundResult] = field(default_factory=list)
    duration_s: list[float] = field(default_factory=list)
    digest: str = ""

    def take(self, result: RoundResult) -> None:
        """Take what the coordinator says of a round.

        Raises:
            DataError: nobody has evaluated the model on the test set.
        """
        if SERVER not in result.evaluations:
            raise DataError(f"round {result.round}: the model was not evaluated at the coordinator's site")
        self.rounds.append(result)
        self.duration_s.append(result.ended_at - result.started_at)
        self.digest = result.model_digest
        whole = result.evaluations[SERVER].metrics
        self.add({reply.client: reply.metrics for reply in result.replies}, whole["accuracy"], whole["loss"])

    def add(self, clients: Mapping[str, Mapping[str, float]], accuracy: float, loss: float) -> None:
        """Add what was seen of a round.

        Args:
            clients: What each client has found of its own model.
            accuracy: Of the global model on the test set.
            loss: Of the same.
        """
        self.accuracy.append(accuracy)
        self.loss.append(loss)
        for name, metrics in clients.items():
            self.client_accuracy.setdefault(name, []).append(metrics.get("accuracy", 0.0))
            self.client_loss.setdefault(name, []).append(metrics.get("loss", 0.0))

    def values(self) -> dict[str, float]:
        """Return the measures of the run."""
        last = [found[-1] for found in self.client_accuracy.values()]
        values = {
            "global_accuracy": self.accuracy[-1],
            "global_loss": self.loss[-1],
            "best_accuracy": max(self.accuracy),
            "client_accuracy_min": min(last),
            "client_accuracy": fmean(last),
            "client_accuracy_max": max(last),
            "rounds": float(len(self.accuracy)),
            "round_s": median(self.duration_s),
        }
        for name, wanted in (("rounds_to_82", PAPER_ACCURACY), ("rounds_to_99", WANTED_ACCURACY)):
            reached = rounds_to(self.accuracy, wanted)
            if reached is not None:
                values[name] = float(reached)
        return values | _measure_rounds(self.rounds)

    def notes(self) -> dict[str, Any]:
        """Return the curves, for the record."""
        return {
            "accuracy": self.accuracy,
            "loss": self.loss,
            "client_accuracy": self.client_accuracy,
            "client_loss": self.client_loss,
            "round_s": self.duration_s,
            "model_digest": self.digest,
        }


def rounds_to(accuracy: Sequence[float], wanted: float) -> int | None:
    """Return after which round a curve has reached a value, none where it never has."""
    return next((number for number, value in enumerate(accuracy, start=1) if value >= wanted), None)


def _measure_rounds(rounds: Sequence[RoundResult]) -> dict[str, float]:
    """Return what a coordinator's rounds have cost: medians over the rounds."""
    if not rounds:
        return {}
    peaks = [reply.peak_memory_bytes for result in rounds for reply in result.replies]
    phases = {
        "sending_s": [result.phases_s["send"] for result in rounds],
        "training_s": [result.phases_s["train"] for result in rounds],
        "waiting_s": [result.phases_s["wait"] - result.phases_s["train"] for result in rounds],
        "aggregation_s": [result.phases_s["aggregate"] for result in rounds],
        "evaluation_s": [result.phases_s["evaluate"] for result in rounds],
    }
    return {
        **{name: median(values) for name, values in phases.items()},
        "peak_memory_bytes": float(max(peaks)),
        "bytes_sent_per_round": float(median(result.bytes_down for result in rounds)),
        "bytes_received_per_round": float(median(result.bytes_up for result in rounds)),
    }
