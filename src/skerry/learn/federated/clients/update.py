"""What a user's own code is given in a round, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from skerry.errors import DataError

Arrays = Mapping[str, NDArray[Any]]
"""A model's parameters: arrays by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a client's ``fit`` or ``evaluate`` is told.

    Args:
        client: Who it is.
        round: From 1; 0 when the model is evaluated before the first round.
        seed: Of everything random in this round at this client.
        settings: The run's own, such as ``{"epochs": 10}``.
        proximal: FedProx's mu: add ``proximal * (parameters - those at the beginning)`` to the gradients; 0 for not.
        correction: SCAFFOLD's correction, to be added to the gradients of each step; none for not.
    """

    client: str
    round: int
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    proximal: float = 0.0
    correction: Arrays | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What training gave.

    Args:
        parameters: The trained parameters; either these or ``delta``. An array has the dtype of the model's; float64
            becomes float32 where the model has that.
        delta: The trained parameters minus those that training began from.
        examples: Rows that were trained on.
        steps: Optimiser steps that were taken; FedNova and SCAFFOLD need them.
        learning_rate: Of these steps; SCAFFOLD needs it, and takes ``settings["learning_rate"]`` where it is not here.
        metrics: What is to be seen of it, such as ``{"loss": 0.3}``; finite numbers.
    """

    parameters: Arrays | None = None
    delta: Arrays | None = None
    examples: int
    steps: int = 0
    learning_rate: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation found.

    Args:
        examples: Rows that were looked at.
        metrics: Such as ``{"accuracy": 0.9, "loss": 0.3}``; finite numbers.
    """

    examples: int
    metrics: Mapping[str, float] = field(default_factory=dict)


def examples_of(found: Update | Evaluation) -> int:
    """Return how many rows user code says it has looked at.

    Raises:
        DataError: it is no whole number.
    """
    try:
        count = int(found.examples)
        if count == found.examples:
            return count
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"examples is {_shown(found.examples)}; give a whole number")


def metrics_of(found: Update | Evaluation) -> dict[str, float]:
    """Return the metrics of user code as plain numbers.

    Raises:
        DataError: they are no numbers by name.
    """
    if not isinstance(found.metrics, Mapping):
        raise DataError(f"metrics is {_shown(found.metrics)}; give numbers by name, like {{'loss': 0.3}}")
    return {name: _number(name, value) for name, value in found.metrics.items()}


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"metric {name!r} is {_shown(value)}; give one number") from error


def _shown(value: object) -> str:
    # Of what is no number, the type only: a message leaves the site.
    return str(value) if value is None or isinstance(value, int | float) else f"a {type(value).__name__}"
