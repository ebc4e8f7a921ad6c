"""Trimmed mean: the mean of each parameter without its highest and lowest values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skerry.learn.federated.ranges import check_real
from skerry.learn.federated.strategies.base import Replies, State, Strategy
from skerry.learn.federated.strategies.columns import iterate_columns
from skerry.learn.federated.strategies.mean import add_change
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmedMean(Strategy):
    """Mean of each coordinate after cutting off both ends; clients count equally, whatever examples they claim.

    Args:
        trim_ratio: Share of the replies that is cut off at each end, in [0, 0.5), rounded down to whole replies: 0.2 of
            4 replies cuts nothing.

    Source: Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates,
    ICML 2018, algorithm 1, option II.
    """

    name: ClassVar[str] = "trimmed-mean"
    trim_ratio: float = 0.2

    def __post_init__(self) -> None:
        check_real(self.name, "trim_ratio", self.trim_ratio, low=0, high=0.5)

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the trimmed mean of the deltas."""
        change = np.empty(model.size)
        cut = int(self.trim_ratio * len(replies))
        for part, block in iterate_columns(replies, model.size):
            block.sort(axis=1)
            kept = block[:, cut : len(replies) - cut]
            # A mean of equal numbers can be off by one bit; within the ends it stays within what clients sent.
            change[part] = np.clip(kept.mean(axis=1), kept[:, 0], kept[:, -1])
            del block, kept
        return add_change(model, change), state
