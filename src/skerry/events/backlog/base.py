"""What a backlog of events must do; one contract-test class runs on every backend."""

from __future__ import annotations

import abc
from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from skerry.events.delivery import DeadLetter, Delivery, Entry, KeptEvent


class Accepted(NamedTuple):
    """What a backlog has done with an event.

    Args:
        number: The event's place in the order of acceptance; of an event that was there, its old one.
        is_new: Whether it was not there yet: an event is known by its source and id.
    """

    number: int
    is_new: bool


class Settled(NamedTuple):
    """The end of an attempt.

    Args:
        trigger: Whose delivery.
        delivery: Which one.
        outcome: It is dealt with, is to be given again at its ``due_at``, or is dead.
        code: HTTP status of the answer, where it is dead.
        error: What the answer said.
    """

    trigger: str
    delivery: Delivery
    outcome: Literal["done", "again", "dead"]
    code: int = 0
    error: str = ""


class Backlog(abc.ABC):
    """Accepted events, and what is still to be done with them for each trigger.

    What `put` has returned for MUST survive the death of every process. Deliveries of a trigger MUST be returned by
    `take` in the order in which their events were accepted, and again after a restart unless they were settled as done
    or dead. A settlement MAY be lost with the process: the delivery then comes again.
    """

    @abc.abstractmethod
    async def put(self, entries: Sequence[tuple[Entry, Sequence[str]]]) -> list[Accepted]:
        """Keep events, each for the triggers that take it; return once they are durable.

        Raises:
            UnavailableError: they cannot be kept now; none of them was.
        """

    @abc.abstractmethod
    async def take(self, trigger: str, after: int, most: int) -> list[Delivery]:
        """Return up to ``most`` unsettled deliveries of a trigger, those after a position, in order.

        Args:
            trigger: Its name.
            after: Position of the last delivery that was returned before; 0 begins.
            most: How many at most.
        """

    @abc.abstractmethod
    def settle(self, settled: Settled) -> None:
        """Record the end of an attempt soon."""

    @abc.abstractmethod
    async def flush(self) -> None:
        """Return once everything that was settled is recorded."""

    @abc.abstractmethod
    async def keep_only(self, triggers: Collection[str]) -> int:
        """Forget the deliveries and dead letters of other triggers; return how many waited."""

    @abc.abstractmethod
    async def waiting(self) -> dict[str, int]:
        """Return how many deliveries are not settled, by trigger."""

    @abc.abstractmethod
    async def events(
        self, *, most: int, type: str | None = None, id: str | None = None, before: int | None = None
    ) -> list[KeptEvent]:
        """Return kept events, the newest first.

        Args:
            most: How many at most.
            type: Only those of this type.
            id: Only those with this id.
            before: Only those with a smaller number.
        """

    @abc.abstractmethod
    async def event(self, number: int) -> KeptEvent | None:
        """Return one event, none when it is not kept any more."""

    @abc.abstractmethod
    async def dead(self, *, trigger: str | None = None, most: int) -> list[DeadLetter]:
        """Return dead letters, the newest first."""

    @abc.abstractmethod
    async def revive(self, positions: Sequence[int]) -> list[str]:
        """Let dead letters be delivered again, with all attempts; return the triggers of those found."""

    @abc.abstractmethod
    async def bury(self, positions: Sequence[int]) -> int:
        """Forget dead letters; return how many were there."""

    @abc.abstractmethod
    async def replay(self, number: int, triggers: Sequence[str]) -> bool:
        """Deliver a kept event once more to some triggers; false when it is not kept any more."""

    @abc.abstractmethod
    async def purge(self, before_s: float) -> int:
        """Forget events that were accepted before a Unix time and are dealt with; return how many."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Record what is settled, and let go."""
