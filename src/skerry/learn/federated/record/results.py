"""What became of a round, as its file says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from skerry.learn.federated.plan import SERVER
from skerry.learn.federated.wire.message import Message


class ClientResult(Message):
    """A reply that counted.

    Args:
        client: Whose.
        examples: Rows that were trained on.
        steps: Optimiser steps.
        metrics: Of the training.
        staleness: Rounds that had ended since the client was given its model.
        train_s: Seconds in the user's own code.
        duration_s: Seconds from the task's sending to the reply.
        bytes_up: Of the update, as it was sent.
        peak_memory_bytes: Of the worker.
    """

    client: str
    examples: int
    steps: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    staleness: int = 0
    train_s: float = 0.0
    duration_s: float = 0.0
    bytes_up: int = 0
    peak_memory_bytes: int = 0


class EvaluationResult(Message):
    """An evaluation of the global model on one client's data."""

    examples: int
    metrics: dict[str, float]


class RoundResult(Message):
    """A round that has ended.

    Args:
        round: From 1.
        started_at: Unix time, seconds.
        ended_at: Unix time, seconds.
        chosen: Who was asked.
        replies: What counted, in the order of the clients' names.
        summed: Whose updates are in the secure sum, where there is one.
        remembered: Who counted with its last update, without a new one, and how many rounds old that was.
        missed: Who gave no reply that counted, and why.
        refused: Replies that were refused: whose, and why.
        evaluations: Of the model that the round made, by client.
        unevaluated: Who was to evaluate that model and could not, and why.
        metrics: The mean of the clients' evaluations, weighted by examples.
        phases_s: Seconds of the round's phases: ``wait`` (from the beginning to the last reply), of which ``send`` is
            the longest sending of a task and ``train`` the longest training; then ``aggregate`` and ``evaluate``.
        bytes_down: Of models, as they were sent.
        bytes_up: Of updates, as they were sent.
        epsilon: What the rounds so far have given away at most, where the plan has differential privacy with noise: of
            the client that took part most often, if it is local.
        model_digest: Of the model that the round made.
    """

    round: int
    started_at: float
    ended_at: float
    chosen: tuple[str, ...]
    replies: tuple[ClientResult, ...]
    summed: tuple[str, ...] = ()
    remembered: dict[str, int] = Field(default_factory=dict)
    missed: dict[str, str] = Field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()
    evaluations: dict[str, EvaluationResult] = Field(default_factory=dict)
    unevaluated: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    phases_s: dict[str, float] = Field(default_factory=dict)
    bytes_down: int = 0
    bytes_up: int = 0
    epsilon: float | None = None
    model_digest: str

    def score(self, metric: str) -> float | None:
        """Return a metric of the round's model: as the server's place found it, else the clients' mean; if any."""
        server = self.evaluations.get(SERVER)
        return (self.metrics if server is None else server.metrics).get(metric)


def mean_metrics(evaluations: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    """Return the means of those metrics that all evaluations have, weighted by examples; who has none is left out.

    Args:
        evaluations: Examples and metrics of each.
    """
    weighed = [(examples, metrics) for examples, metrics in evaluations if examples]
    if not weighed:
        return {}
    total = sum(examples for examples, _ in weighed)
    common = set.intersection(*(set(metrics) for _, metrics in weighed))
    return {name: sum(examples * metrics[name] for examples, metrics in weighed) / total for name in sorted(common)}
