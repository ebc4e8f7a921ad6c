"""Krum and Multi-Krum: only the clients that are closest to most others count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.ranges import check_count
from skerry.learn.federated.strategies.base import Replies, State, Strategy
from skerry.learn.federated.strategies.columns import iterate_columns, sorted_median
from skerry.learn.federated.strategies.mean import add_change, weighted_mean
from skerry.learn.federated.wire.parameters import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Krum(Strategy):
    """The delta of the one client with the smallest distances to its nearest others.

    Args:
        malicious_clients: How many replies of a round may be hostile, the paper's f; a round needs ``2 f + 3`` replies.

    Source: Blanchard, El Mhamdi, Guerraoui, Stainer: Machine Learning with Adversaries: Byzantine Tolerant Gradient
    Descent, NeurIPS 2017, section 4. Of equal scores the client that comes first by name is taken.
    """

    name: ClassVar[str] = "krum"
    malicious_clients: int = 1

    def __post_init__(self) -> None:
        check_count(self.name, "malicious_clients", self.malicious_clients, low=0)

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the chosen delta."""
        chosen = choose_clients(replies, model.size, self.malicious_clients, 1)
        return add_change(model, weighted_mean(replies, model.size, lambda reply: float(reply.client in chosen))), state


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiKrum(Strategy):
    """The plain mean of the deltas of the clients with the smallest distances to their nearest others.

    Args:
        malicious_clients: How many replies of a round may be hostile, the paper's f; a round needs ``2 f + 3`` replies.
        selected_clients: How many replies count, the paper's m; by default all but ``f``.

    Source: Blanchard, El Mhamdi, Guerraoui, Stainer: Machine Learning with Adversaries: Byzantine Tolerant Gradient
    Descent, NeurIPS 2017. Flower weighs the chosen by the examples that they claim; the paper does not, and
    neither do we: a claim is what an attacker chooses freely.
    """

    name: ClassVar[str] = "multi-krum"
    malicious_clients: int = 1
    selected_clients: int | None = None

    def __post_init__(self) -> None:
        check_count(self.name, "malicious_clients", self.malicious_clients, low=0)
        if self.selected_clients is not None:
            check_count(self.name, "selected_clients", self.selected_clients, low=1)

    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the model plus the mean of the chosen deltas."""
        honest = len(replies) - self.malicious_clients
        chosen = choose_clients(replies, model.size, self.malicious_clients, self.selected_clients or honest)
        return add_change(model, weighted_mean(replies, model.size, lambda reply: float(reply.client in chosen))), state


def needed_replies(malicious_clients: int) -> int:
    """Return the fewest replies of a round for which the paper's guarantee holds."""
    return 2 * malicious_clients + 3


def choose_clients(replies: Replies, size: int, malicious_clients: int, selected_clients: int) -> set[str]:
    """Return the clients with the smallest sums of squared distances to their ``n - f - 2`` nearest others.

    Args:
        replies: The paper's n.
        size: Parameters of the model.
        malicious_clients: The paper's f.
        selected_clients: How many to return, the paper's m.

    Raises:
        DataError: too few replies for so many malicious clients, or for so many selected ones.
    """
    needed = needed_replies(malicious_clients)
    if len(replies) < needed:
        raise DataError(
            f"krum with {malicious_clients} malicious clients needs at least {needed} replies; "
            f"the round has {len(replies)}: ask more clients, or set malicious_clients lower"
        )
    if selected_clients > len(replies) - malicious_clients:
        raise DataError(
            f"krum cannot select {selected_clients} of {len(replies)} replies of which {malicious_clients} may be "
            f"malicious; set selected_clients to {len(replies) - malicious_clients} or lower"
        )
    distances = squared_distances(replies, size)
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, : len(replies) - malicious_clients - 2]
    order = np.argsort(nearest.sum(axis=1), kind="stable")[:selected_clients]
    clients = [reply.client for reply in replies]
    return {clients[index] for index in order}


def squared_distances(replies: Replies, size: int) -> NDArray[np.float64]:
    """Return the squared distances between all pairs of deltas, shape (replies, replies).

    ``|a|^2 + |b|^2 - 2ab`` cancels where two vectors are far from 0 and close to each other. So each parameter's median
    is taken off first, in float64: it is near the honest ones, however far away the others are.
    """
    products = np.zeros((len(replies), len(replies)))
    with np.errstate(over="ignore", invalid="ignore"):
        for _, block in iterate_columns(replies, size):
            block -= sorted_median(np.sort(block, axis=1))[:, None]
            products += block.T @ block
            del block
        squares = np.diagonal(products)
        distances = squares[:, None] + squares[None, :] - 2 * products
    distances[~np.isfinite(distances)] = np.inf
    return np.maximum(distances, 0)
