"""What FedAdagrad, FedAdam and FedYogi share: the mean delta is the gradient of an adaptive optimiser on the server."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skerry.learn.federated.ranges import check_real
from skerry.learn.federated.strategies.averaging import Averaging
from skerry.learn.federated.strategies.base import Replies, State
from skerry.learn.federated.strategies.mean import add_change
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive(Averaging):
    """An adaptive optimiser on the server.

    Args:
        server_learning_rate: The paper's eta, above 0.
        tau: How much the steps adapt, above 0: the smaller, the more. Steps are ``m / (sqrt(v) + tau)``.

    Source: Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan: Adaptive Federated Optimization, ICLR 2021,
    algorithm 2. As in Flower, ``v`` begins with 0; the paper begins with ``tau ** 2``.
    """

    server_learning_rate: float = 0.1
    tau: float = 1e-3

    def __post_init__(self) -> None:
        Averaging.__post_init__(self)
        check_real(self.name, "server_learning_rate", self.server_learning_rate, low=0, high=math.inf, open_low=True)
        check_real(self.name, "tau", self.tau, low=0, high=math.inf, open_low=True)

    def start(self, size: int) -> State:
        """Return both moments, 0, and no round."""
        return {"first": np.zeros(size), "second": np.zeros(size), "rounds": np.array(0, np.int64)}

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model after one step of the optimiser, and its moments."""
        delta = self.mean_delta(replies, model)
        rounds = int(state["rounds"]) + 1
        first = self.first_moment(state["first"], delta)
        second = self.second_moment(state["second"], delta * delta)
        rate = self.server_learning_rate * self.correction(rounds)
        change = rate * first / (np.sqrt(second) + self.tau)
        return add_change(model, change), {"first": first, "second": second, "rounds": np.array(rounds, np.int64)}

    def first_moment(self, first: NDArray[np.float64], delta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the next first moment."""
        return delta

    @abstractmethod
    def second_moment(self, second: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the next second moment, of this one and the squares of the mean delta."""

    def correction(self, rounds: int) -> float:
        """Return what the learning rate is multiplied with in a round, counted from 1."""
        return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decaying(Adaptive):
    """An adaptive optimiser whose moments decay.

    Args:
        beta_1: Share of the first moment that is kept from round to round, in [0, 1).
        beta_2: Share of the second, in [0, 1).
    """

    beta_1: float = 0.9
    beta_2: float = 0.99

    def __post_init__(self) -> None:
        Adaptive.__post_init__(self)
        check_real(self.name, "beta_1", self.beta_1, low=0, high=1)
        check_real(self.name, "beta_2", self.beta_2, low=0, high=1)

    def first_moment(self, first: NDArray[np.float64], delta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the decaying mean of the deltas."""
        return self.beta_1 * first + (1 - self.beta_1) * delta
