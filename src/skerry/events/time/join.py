"""Joins of two streams of events over the time at which they happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from skerry.events.claims import identity_of
from skerry.events.time.desk import (
    CLOCK,
    DEFAULT_KEY,
    LATE,
    Desk,
    duration_us,
    name_of,
    read,
    system_time_s,
    time_of_event,
    write,
)
from skerry.events.time.moments import BEFORE_ALL, moment_us, partners, raise_mark, still_waiting
from skerry.payload import Event
from skerry.store.state import State
from skerry.store.state.transaction import Transaction

Side = Literal["left", "right"]
OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two events that go together.

    Args:
        id: The same whenever it comes: make effects depend on it.
        key: What both share.
        left: The one of the left stream.
        right: The one of the right stream.
    """

    id: str
    key: str
    left: Event
    right: Event


class Join:
    """Joins two streams: every two events of one key that happened close enough to each other become a pair, once.

    An event that comes more than ``lateness`` after a younger one of its own stream is left out and counted. What can
    find no partner any more is forgotten. Everything is in a state, so that it survives the death of any process, and
    several workers share it. Go through all pairs that you are given: each is given again, with the same id, until the
    loop has come past it.

    Args:
        state: A state of its own.
        within: How far apart the two may have happened, with its unit.
        lateness: How much later than others of its stream an event may come, with its unit.
        key: The attribute that both have to share.
        now: Returns the Unix time, seconds.

    Raises:
        ConfigError: an argument has a wrong type or is out of range.

    Example:
        ``paid = skerry.Join(app.state("paid"), within="1h", lateness="1m", key="subject")``, and in the two functions
        ``for pair in paid.left(event): ...`` and ``for pair in paid.right(event): ...``
    """

    def __init__(
        self,
        state: State,
        *,
        within: str,
        lateness: str = "0s",
        key: str = DEFAULT_KEY,
        now: Callable[[], float] = system_time_s,
    ) -> None:
        self._desk = Desk(state, key, now)
        self._within_us = duration_us(within, key="within", low_us=0)
        self._lateness_us = duration_us(lateness, key="lateness", low_us=0)

    @property
    def late(self) -> int:
        """How many events came too late and were left out; ``skerry state get APP/STATE late`` shows it too."""
        return self._desk.late

    def left(self, event: Event) -> Iterator[Pair]:
        """Take an event of the left stream, once however often it comes; yield the pairs that it completes.

        Raises:
            MalformedBodyError: it does not say when it happened.
            StorageError: the state cannot be reached.
        """
        return self._take("left", event)

    def right(self, event: Event) -> Iterator[Pair]:
        """Take an event of the right stream; as `left`."""
        return self._take("right", event)

    def advance(self, event: Event) -> None:
        """Forget what can find no partner any more by the time of an event: that of a timer.

        What comes later than ``lateness`` after it is left out. Without it, what is left of keys that have fallen
        silent stays in the state.
        """
        at_us = moment_us(time_of_event(event))

        def step(transaction: Transaction) -> int:
            clock = self._clock(transaction)
            raised = {side: self._raised(clock[side], at_us) for side in OTHER}
            transaction.put(CLOCK, raised)
            return min(raised.values())

        mark_us = self._desk.state.transact(step)
        for kept in list(self._desk.state.list("wait/")):
            self._desk.state.transact(partial(self._sweep, kept.key, mark_us))

    def _clock(self, transaction: Transaction) -> dict[Side, int]:
        found: Any = transaction.get(CLOCK)
        return {"left": BEFORE_ALL, "right": BEFORE_ALL} if found is None else found

    def _raised(self, mark_us: int, at_us: int) -> int:
        return raise_mark(mark_us, at_us, lateness_us=self._lateness_us, now_us=self._desk.now_us())

    def _sweep(self, key: str, mark_us: int, transaction: Transaction) -> None:
        waiting: Any = transaction.get(key) or []
        self._keep(transaction, key, waiting, still_waiting(waiting, mark_us, self._within_us))

    def _keep(self, transaction: Transaction, key: str, before: Any, after: Any) -> None:
        if not after and before:
            transaction.delete(key)
        elif after != before:
            transaction.put(key, after)

    def _take(self, side: Side, event: Event) -> Iterator[Pair]:
        time_of_event(event)
        return self._pairs(side, event, name_of(*identity_of(event)), self._desk.key_of(event))

    def _pairs(self, side: Side, event: Event, name: str, key: str) -> Iterator[Pair]:
        state = self._desk.state
        going = state.transact(lambda transaction: self._step(transaction, side, event, name, key))
        while going:
            other = read(going[0])
            left, right = (event, other) if side == "left" else (other, event)
            yield Pair(id=name_of(*identity_of(left), *identity_of(right)), key=key, left=left, right=right)
            going = going[1:]
            if going:
                state.put(f"event/{name}", going)
            else:
                state.delete(f"event/{name}")

    def _step(self, transaction: Transaction, side: Side, event: Event, name: str, key: str) -> list[Any]:
        """Take an event; return the events with which it makes pairs that have not been told."""
        known: Any = transaction.get(f"event/{name}")
        if known is not None:
            return list(known)
        at_us, clock = moment_us(time_of_event(event)), self._clock(transaction)
        mine, theirs = f"wait/{side}/{name_of(key)}", f"wait/{OTHER[side]}/{name_of(key)}"
        own: Any = transaction.get(mine) or []
        going: list[Any] = []
        if any(one[1] == name for one in own):
            pass  # it has come before, and all its pairs were told
        elif at_us < clock[side]:
            transaction.increment(LATE)
        else:
            raised = {**clock, side: self._raised(clock[side], at_us)}
            if raised != clock:
                transaction.put(CLOCK, raised)
            mark_us = min(raised.values())
            before: Any = transaction.get(theirs) or []
            going = [document for _, _, document in partners(at_us, before, self._within_us)]
            self._keep(transaction, theirs, before, still_waiting(before, mark_us, self._within_us))
            after = still_waiting([*own, [at_us, name, write(event)]], mark_us, self._within_us)
            self._keep(transaction, mine, own, after)
            if going:  # the event answers for its pairs: should it die before, it comes again, and they with it
                transaction.put(f"event/{name}", going)
        return going
