"""SCAFFOLD: control variates tell clients where the others are going."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skerry.errors import DataError
from skerry.learn.federated.ranges import check_count, check_real
from skerry.learn.federated.strategies.base import Instructions, Replies, State, Strategy
from skerry.learn.federated.strategies.mean import add_change, weighted_mean
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold(Strategy):
    """Stochastic controlled averaging: each client's step is ``gradient - c_i + c``; clients count equally.

    Args:
        server_learning_rate: What the mean delta is multiplied with.
        clients: How many clients the run has, the paper's N; none where all reply in each round.

    Source: Karimireddy, Kale, Mohri, Reddi, Stich, Suresh: SCAFFOLD: Stochastic Controlled Averaging for Federated
    Learning, ICML 2020, algorithm 1.
    """

    name: ClassVar[str] = "scaffold"
    server_learning_rate: float = 1.0
    clients: int | None = None

    def __post_init__(self) -> None:
        check_real(self.name, "server_learning_rate", self.server_learning_rate, low=0, high=math.inf, open_low=True)
        if self.clients is not None:
            check_count(self.name, "clients", self.clients, low=1)

    def start(self, size: int) -> State:
        """Return a control variate of 0."""
        return {"control": np.zeros(size)}

    def instruct(self, state: State) -> Instructions:
        """Return the server's control variate."""
        return Instructions(control=state["control"])

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the mean delta, and the control variate plus all clients' changes over their number."""
        clients = len(replies) if self.clients is None else self.clients
        if len(replies) > clients:
            raise DataError(f"the round has {len(replies)} replies, but scaffold was told of {clients} clients")
        mean = weighted_mean(replies, model.size, lambda reply: 1.0)
        control = np.zeros(model.size)
        for reply in replies:
            if reply.control is None:
                raise DataError(
                    f"client {reply.client!r} gave no change of its control variate, which scaffold needs: "
                    "let its fit use the control variate"
                )
            if reply.control.shape != control.shape:
                raise DataError(
                    f"client {reply.client!r} sent a control variate of {reply.control.size} numbers for a model of "
                    f"{control.size}"
                )
            control += reply.control
        control /= clients
        control += state["control"]
        return add_change(model, self.server_learning_rate * mean), {"control": control}


def client_control(
    own: Vector, server: Vector, delta: Vector, steps: int, learning_rate: float
) -> tuple[Vector, Vector]:
    """Return a client's next control variate, and its change, which goes to the server.

    Args:
        own: The client's control variate ``c_i``; 0 at first.
        server: The server's ``c``, which the client trained with.
        delta: Trained parameters minus those that training began from.
        steps: Optimiser steps that were taken.
        learning_rate: Of the client's plain SGD.

    Returns:
        ``c_i - c - delta / (steps * learning_rate)``, and that minus ``c_i``; both in the dtype of ``own``.

    Raises:
        DataError: no step was taken, or the learning rate is not above 0.

    Source: Karimireddy et al. 2020, algorithm 1, option II.
    """
    if steps < 1 or not 0 < learning_rate < math.inf:
        raise DataError(
            f"a control variate needs at least one step and a learning rate above 0; there were {steps} steps with "
            f"{learning_rate}: fit returns both, federated.Update(steps=..., learning_rate=...)"
        )
    change = -np.asarray(server, np.float64) - np.asarray(delta, np.float64) / (steps * learning_rate)
    return (own + change).astype(own.dtype), change.astype(own.dtype)
