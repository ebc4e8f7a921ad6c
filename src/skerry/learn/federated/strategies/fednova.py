"""FedNova: clients that take more steps do not pull the model their way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from skerry.errors import DataError
from skerry.learn.federated.strategies.averaging import Averaging
from skerry.learn.federated.strategies.base import Received, Replies, State
from skerry.learn.federated.strategies.mean import add_change, late_weight, reachable_mean
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class FedNova(Averaging):
    """Normalised averaging: the mean of the deltas per step, times the mean number of steps.

    It assumes that clients train by plain SGD, without momentum, and with one learning rate: the normaliser of a client
    is then its number of steps. Where all take as many steps, it is FedAvg.

    Source: Wang, Liu, Liang, Joshi, Poor: Tackling the Objective Inconsistency Problem in Heterogeneous Federated
    Optimization, NeurIPS 2020, with ``a_i = (1, ..., 1)`` and ``tau_eff = sum(p_i * tau_i)``.
    """

    name: ClassVar[str] = "fednova"

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the normalised mean delta."""
        weights, steps = 0.0, 0.0

        def weigh(reply: Received) -> float:
            nonlocal weights, steps
            weight = reply.examples * late_weight(reply.staleness, self.late_exponent)
            if weight > 0 and reply.steps < 1:
                raise DataError(
                    f"client {reply.client!r} trained on {reply.examples} examples in {reply.steps} steps; "
                    "fednova needs the number of optimiser steps: return it from the client's fit"
                )
            weights += weight
            steps += weight * reply.steps
            return weight

        per_step = reachable_mean(replies, model, weigh, lambda reply: 1 / reply.steps)
        return add_change(model, steps / weights * per_step), state
