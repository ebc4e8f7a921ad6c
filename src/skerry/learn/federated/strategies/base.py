"""What a strategy is: a pure rule that makes the next model of the replies of a round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.wire.parameters import Vector

State = Mapping[str, NDArray[Any]]
"""What a strategy keeps from round to round: arrays by name; a number is an array without dimensions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A client's reply that was checked.

    Args:
        client: Its name.
        delta: Trained parameters minus those that training began from; float32 or float64, as long as the model.
        examples: Rows that were trained on, at least 0; not all replies of a round have 0.
        steps: Optimiser steps.
        staleness: Rounds that have ended since the client was given its model.
        base: The model that training began from; none where that is the one that the delta is to be added to.
        control: Change of the client's control variate, for SCAFFOLD.
        metrics: The user's own.
    """

    client: str
    delta: Vector
    examples: int
    steps: int = 0
    staleness: int = 0
    base: Vector | None = None
    control: Vector | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


class Replies(ABC):
    """The replies of a round, in the order of the clients' names; read anew by each loop, one in memory at a time."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[Received]: ...

    @property
    def have_bases(self) -> bool:
        """Whether a reply has a ``base``: it was trained from an earlier model than the others."""
        return False


class ListedReplies(Replies):
    """Replies that are all in memory, for tests and simulations.

    Args:
        replies: In any order; one of each client.

    Raises:
        DataError: a client replied twice.
    """

    def __init__(self, replies: Iterable[Received]) -> None:
        self._replies = sorted(replies, key=lambda reply: reply.client)
        for one, other in pairwise(self._replies):
            if one.client == other.client:
                raise DataError(f"client {one.client!r} replied twice in a round; keep one of its replies")

    def __len__(self) -> int:
        return len(self._replies)

    def __iter__(self) -> Iterator[Received]:
        return iter(self._replies)

    @property
    def have_bases(self) -> bool:
        """Whether a reply has a ``base``."""
        return any(reply.base is not None for reply in self._replies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """What a strategy asks of clients, beyond training.

    Args:
        proximal: FedProx's mu.
        control: SCAFFOLD's control variate of the server; as long as the model.
    """

    proximal: float = 0.0
    control: Vector | None = None


class Strategy(ABC):
    """Makes the next model. Pure: the same model, state and replies give the same bits, in whatever order they came."""

    name: ClassVar[str]

    def start(self, size: int) -> State:
        """Return the state before the first round.

        Args:
            size: Parameters of the model.
        """
        return {}

    def instruct(self, state: State) -> Instructions:
        """Return what clients are asked in the next round."""
        return Instructions()

    @abstractmethod
    def aggregate(self, model: Vector, state: State, replies: Replies) -> tuple[Vector, State]:
        """Return the next model, in the dtype of this one, and the next state.

        Args:
            model: The global model, which the deltas are to be added to.
            state: What `start` or the round before returned; not changed.
            replies: At least one.

        Raises:
            DataError: no model can be made of these replies; the message says why.
        """
