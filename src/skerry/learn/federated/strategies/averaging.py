"""What strategies share that start from the weighted mean of the deltas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skerry.learn.federated.ranges import check_real
from skerry.learn.federated.strategies.base import Replies, Strategy
from skerry.learn.federated.strategies.mean import late_weight, reachable_mean
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaging(Strategy):
    """A strategy that averages deltas, weighted by examples.

    Late deltas count with a weight that falls with their staleness. All weights of a round are normalised to 1, so that
    lateness never shrinks a model: where clients change nothing, it stays what it is. However late a delta is, it takes
    no parameter past what some client has (`reachable_mean`).

    Args:
        late_exponent: A reply that is ``s`` rounds late counts ``(1 + s) ** -late_exponent`` of one in time; 0 counts
            it in full.
    """

    late_exponent: float = 0.5

    def __post_init__(self) -> None:
        check_real(self.name, "late_exponent", self.late_exponent, low=0, high=math.inf)

    def mean_delta(self, replies: Replies, model: Vector) -> NDArray[np.float64]:
        """Return the mean of the deltas to a model, weighted by examples and lateness."""
        return reachable_mean(
            replies, model, lambda reply: reply.examples * late_weight(reply.staleness, self.late_exponent)
        )
