"""Windows over the time at which events happened."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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
from skerry.events.time.moments import BEFORE_ALL, end_of, moment_us, raise_mark, split_ends, time_of
from skerry.payload import Event
from skerry.store.state import State
from skerry.store.state.transaction import Transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Pane:
    """One window of one key that is over.

    Args:
        id: The same whenever it comes: make effects depend on it.
        key: What its events share.
        start: Its beginning.
        end: Its end, which is the beginning of the next one.
        events: In the order in which they happened; those of one moment in the order of their arrival.
    """

    id: str
    key: str
    start: datetime.datetime
    end: datetime.datetime
    events: tuple[Event, ...]


class Window:
    """Gathers events by the time at which they happened, whatever the order in which they come.

    A window is over once an event has come that is ``lateness`` younger than its end; what comes for it after that is
    left out and counted. Everything is in a state, so that it survives the death of any process, and several workers
    share it. Go through all panes that you are given: each is given again, with the same id, until the loop has come
    past it.

    Args:
        state: A state of its own.
        size: How long a window is, with its unit, 1 ms to 31 days; they begin at whole multiples of it since 1970, UTC.
        lateness: How much later than others an event may come, with its unit.
        key: The attribute by which events are kept apart.
        now: Returns the Unix time, seconds.

    Raises:
        ConfigError: an argument has a wrong type or is out of range.

    Example:
        ``minutes = skerry.Window(app.state("minutes"), size="1m", lateness="10s", key="subject")``, and in a function
        ``for pane in minutes.take(event): ...``
    """

    def __init__(
        self,
        state: State,
        *,
        size: str,
        lateness: str = "0s",
        key: str = DEFAULT_KEY,
        now: Callable[[], float] = system_time_s,
    ) -> None:
        self._desk = Desk(state, key, now)
        self._size_us = duration_us(size, key="size", low_us=1000)
        self._lateness_us = duration_us(lateness, key="lateness", low_us=0)

    @property
    def late(self) -> int:
        """How many events came too late and were left out; ``skerry state get APP/STATE late`` shows it too."""
        return self._desk.late

    def take(self, event: Event) -> Iterator[Pane]:
        """Take an event, once however often it comes; yield the windows that it has ended.

        Raises:
            MalformedBodyError: it does not say when it happened.
            StorageError: the state cannot be reached.
        """
        at_us = moment_us(time_of_event(event))
        return self._go(event, lambda transaction, mark_us, ends: self._place(transaction, event, at_us, mark_us, ends))

    def advance(self, event: Event) -> Iterator[Pane]:
        """Yield the windows that are over by the time of an event, which is itself in none: that of a timer.

        So windows end of streams that have fallen silent. Raises as `take` does.
        """
        time_of_event(event)
        return self._go(event, lambda _, __, ends: ends)

    def _go(self, event: Event, place: Callable[[Transaction, int, list[int]], list[int]]) -> Iterator[Pane]:
        at_us, name = moment_us(time_of_event(event)), name_of(*identity_of(event))

        def step(transaction: Transaction) -> list[int]:
            known: Any = transaction.get(f"event/{name}")
            if known is not None:
                return list(known)
            clock: Any = transaction.get(CLOCK) or [BEFORE_ALL, []]
            mark_us, ends = int(clock[0]), list(clock[1])
            placed = place(transaction, mark_us, ends)
            raised_us = raise_mark(mark_us, at_us, lateness_us=self._lateness_us, now_us=self._desk.now_us())
            over, opened = split_ends(placed, raised_us)
            if [raised_us, opened] != [mark_us, ends]:
                transaction.put(CLOCK, [raised_us, opened])
            if over:  # the event answers for them: should it die before, it comes again, and they with it
                transaction.put(f"event/{name}", over)
            return over

        over = self._desk.state.transact(step)
        for end in over:
            yield from self._panes(end)
        if over:
            self._desk.state.delete(f"event/{name}")

    def _place(self, transaction: Transaction, event: Event, at_us: int, mark_us: int, ends: list[int]) -> list[int]:
        end = end_of(at_us, self._size_us)
        if end <= mark_us:
            transaction.increment(LATE)
            return ends
        key = self._desk.key_of(event)
        name = name_of(*identity_of(event))
        transaction.append(f"pane/{end}/{name_of(key)}", [at_us, name, write(event)])
        transaction.add(f"keys/{end}", key)
        return ends if end in ends else [*ends, end]

    def _panes(self, end: int) -> Iterator[Pane]:
        state = self._desk.state
        for key in state.members(f"keys/{end}"):
            place = f"pane/{end}/{name_of(key)}"
            kept: list[Any] = state.items(place)
            once: dict[str, tuple[int, str]] = {}
            for at_us, name, document in kept:  # one may have come twice
                once.setdefault(name, (at_us, document))
            yield Pane(
                id=f"{key}@{time_of(end - self._size_us).isoformat()}",
                key=key,
                start=time_of(end - self._size_us),
                end=time_of(end),
                events=tuple(read(one[1]) for one in sorted(once.values(), key=lambda one: one[0])),
            )
            with state.batch() as batch:
                batch.delete(place)
                batch.discard(f"keys/{end}", key)
