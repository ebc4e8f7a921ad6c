"""What a run's rounds say of each client, and of each metric."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from skerry.learn.federated.plan import SERVER
from skerry.learn.federated.record.results import EvaluationResult, RoundResult, mean_metrics
from skerry.learn.federated.record.run_view import RunView

MEAN = "mean of the clients"
SERVER_TITLE = "on the server's data"

Curve = dict[int, float]
"""A value by round; rounds without one are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One client over all rounds.

    Args:
        client: Its name.
        examples: Rows that it trained on when it last answered; none before it has.
        asked: Rounds that it was chosen for.
        answered: Replies that came in their own round.
        late: Replies that came later and were used.
        refused: Replies that were refused.
        missed: Rounds without a reply of it, refused ones not counted.
        durations_s: Seconds from task to reply, of each reply that counted.
        train_s: Seconds of training, of each reply that counted.
        peak_memory_bytes: Highest of its worker; 0 when nothing is known.
    """

    client: str
    examples: int | None
    asked: int
    answered: int
    late: int
    refused: int
    missed: int
    durations_s: tuple[float, ...]
    train_s: tuple[float, ...]
    peak_memory_bytes: int

    @property
    def median_s(self) -> float | None:
        """Median seconds from task to reply."""
        return statistics.median(self.durations_s) if self.durations_s else None

    @property
    def median_train_s(self) -> float | None:
        """Median seconds of training."""
        return statistics.median(self.train_s) if self.train_s else None


def tally(view: RunView) -> list[Tally]:
    """Return what became of each client, in the order of their names."""
    return [_tally(client, view.rounds) for client in view.plan.names]


def _tally(client: str, rounds: Sequence[RoundResult]) -> Tally:
    replies = [reply for result in rounds for reply in result.replies if reply.client == client]
    refused_in = [sum(1 for name, _ in result.refused if name == client) for result in rounds]
    return Tally(
        client=client,
        examples=replies[-1].examples if replies else None,
        asked=sum(client in result.chosen for result in rounds),
        answered=sum(reply.staleness == 0 for reply in replies),
        late=sum(reply.staleness > 0 for reply in replies),
        refused=sum(refused_in),
        missed=sum(client in result.missed and not refused for result, refused in zip(rounds, refused_in, strict=True)),
        durations_s=tuple(reply.duration_s for reply in replies),
        train_s=tuple(reply.train_s for reply in replies),
        peak_memory_bytes=max((reply.peak_memory_bytes for reply in replies), default=0),
    )


def metric_names(metrics: Iterable[Mapping[str, float]], first: str) -> list[str]:
    """Return the names of all metrics, one of them first, ``loss`` second, the others by name."""
    names = {name for values in metrics for name in values}
    return sorted(names, key=lambda name: (name != first, name != "loss", name))


def evaluated_metrics(view: RunView) -> list[str]:
    """Return the metrics of evaluations."""
    found = (evaluation.metrics for result in view.rounds for evaluation in result.evaluations.values())
    return metric_names(found, view.plan.best_metric)


def trained_metrics(view: RunView) -> list[str]:
    """Return the metrics of trainings."""
    return metric_names((reply.metrics for result in view.rounds for reply in result.replies), view.plan.best_metric)


def last_evaluations(view: RunView) -> Mapping[str, EvaluationResult]:
    """Return the evaluations of the last round that has any, by client."""
    return next((result.evaluations for result in reversed(view.rounds) if result.evaluations), {})


def client_values(view: RunView, metric: str) -> dict[str, float]:
    """Return a metric of the last evaluation at each client that has it; the server is none."""
    found = last_evaluations(view)
    return {name: one.metrics[metric] for name, one in found.items() if name != SERVER and metric in one.metrics}


def evaluation_curves(view: RunView, metric: str) -> dict[str, Curve]:
    """Return a metric of the global model by round: the mean, the server's and each client's, those that there are."""
    curves: dict[str, Curve] = {MEAN: {}, SERVER_TITLE: {}}
    for result in view.rounds:
        if metric in result.metrics:
            curves[MEAN][result.round] = result.metrics[metric]
        for client, evaluation in result.evaluations.items():
            if metric in evaluation.metrics:
                name = SERVER_TITLE if client == SERVER else client
                curves.setdefault(name, {})[result.round] = evaluation.metrics[metric]
    return {name: curve for name, curve in curves.items() if curve}


def training_curves(view: RunView, metric: str) -> dict[str, Curve]:
    """Return a metric of trainings by round: the mean, weighted by examples, and each client's."""
    curves: dict[str, Curve] = {MEAN: {}}
    for result in view.rounds:
        replies = [reply for reply in result.replies if metric in reply.metrics]
        mean = mean_metrics([(reply.examples, {metric: reply.metrics[metric]}) for reply in replies]) if replies else {}
        if mean:
            curves[MEAN][result.round] = mean[metric]
        for reply in replies:
            curves.setdefault(reply.client, {})[result.round] = reply.metrics[metric]
    return {name: curve for name, curve in curves.items() if curve}


def phases(result: RoundResult) -> dict[str, float]:
    """Return the seconds of a round by phase; they add up to the whole of it."""
    known = result.phases_s
    wait = known.get("wait", 0.0)
    send = min(known.get("send", 0.0), wait)
    # Of a round that an earlier coordinator began, only what was left of it was waited for.
    train = min(known.get("train", 0.0), wait - send)
    found = {
        "send": send,
        "train (longest)": train,
        "wait for replies": wait - send - train,
        "aggregate": known.get("aggregate", 0.0),
        "evaluate": known.get("evaluate", 0.0),
    }
    return {**found, "other": max(0.0, result.ended_at - result.started_at - sum(found.values()))}
