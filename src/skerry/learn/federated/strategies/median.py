"""Median: each parameter by itself, so that a few strange clients move it little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skerry.learn.federated.strategies.base import Replies, State, Strategy
from skerry.learn.federated.strategies.columns import iterate_columns, sorted_median
from skerry.learn.federated.strategies.mean import add_change
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Median(Strategy):
    """Median of each coordinate; clients count equally, whatever examples they claim.

    Source: Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates,
    ICML 2018, algorithm 1, option I.
    """

    name: ClassVar[str] = "median"

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the median of the deltas."""
        change = np.empty(model.size)
        for part, block in iterate_columns(replies, model.size):
            block.sort(axis=1)
            change[part] = sorted_median(block)
            del block
        return add_change(model, change), state
