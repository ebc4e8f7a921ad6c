"""The broker: takes events once they are durable, and feeds the functions whose triggers want them."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skerry.errors import QueueFullError, SkerryError, UnavailableError
from skerry.events.backlog.base import Accepted, Backlog
from skerry.events.dead import DeadEvent, sink_function, sink_name
from skerry.events.delivery import Entry
from skerry.events.feed import Feed, Give
from skerry.events.matching import Matches, compile_filter
from skerry.events.metrics import BrokerMetrics, numbers_of
from skerry.events.rate import Rate
from skerry.events.reading import entry_of
from skerry.events.timetable import Timetable
from skerry.observe import Registry, Tracer
from skerry.payload import Event
from skerry.spec import FunctionSpec, Retry, Timer

logger = logging.getLogger(__name__)
MOST_WAITING = 1_000_000
MOST_BYTES_AT_DOOR = 64 * 2**20  # of events that are not durable yet
KEPT_S = 24 * 3600.0
PURGE_PERIOD_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """What a broker keeps.

    Args:
        most_waiting: Deliveries that may wait; further events are refused until there is room.
        kept_s: Time that an event is kept once it is dealt with, seconds: for that long it is known, and not taken
            twice.
    """

    most_waiting: int = MOST_WAITING
    kept_s: float = KEPT_S


class Broker:
    """Takes events and feeds functions; needs a running event loop.

    Args:
        backlog: Where events are kept; the broker closes it.
        give: Gives events to functions.
        limits: What is kept.
        chance: Returns a random number from 0 to 1, for jitter.
        metrics: Where it counts.
        tracer: Traces deliveries; none traces nothing.
    """

    def __init__(
        self,
        backlog: Backlog,
        give: Give,
        *,
        limits: BrokerLimits | None = None,
        chance: Callable[[], float] = random.random,
        metrics: BrokerMetrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.backlog = backlog
        self.feeds: dict[str, Feed] = {}
        self.accepted = 0
        self.duplicates = 0
        self._give = give
        self._limits = BrokerLimits() if limits is None else limits
        self._chance = chance
        self.tracer = tracer
        self._metrics = BrokerMetrics(Registry()) if metrics is None else metrics
        self._metrics.show_waiting(lambda: self._waiting)
        self._matches: dict[str, Matches] = {}
        self._timetables: dict[str, Timetable] = {}
        self._waiting = 0
        self._bytes_at_door = 0
        self._rate = Rate()
        self._stopping = False
        self._changes = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._purge: asyncio.TimerHandle | None = None

    # Events come

    async def accept(self, entries: Sequence[Entry], *, is_foreign: bool = False) -> list[Accepted]:
        """Take events; return once they are durable.

        Args:
            entries: The events.
            is_foreign: Whether another machine has sent them: functions that are labelled ``local`` take none of them.

        Raises:
            QueueFullError: so many deliveries wait that no more are taken; none of the events was.
            UnavailableError: the backlog cannot be written, or the broker stops; none of the events was taken.
        """
        return await self.put(self.addressed(entries, is_foreign=is_foreign))

    def addressed(self, entries: Sequence[Entry], *, is_foreign: bool = False) -> list[tuple[Entry, list[str]]]:
        """Return events, each with the triggers that take it; see `accept`."""
        return [(entry, self._takers(entry, is_foreign=is_foreign)) for entry in entries]

    async def put(self, wanted: Sequence[tuple[Entry, Sequence[str]]]) -> list[Accepted]:
        """Take events, each for the triggers beside it; raises as `accept` does."""
        count = sum(len(names) for _, names in wanted)
        size_bytes = sum(len(entry.document) for entry, _ in wanted)
        began_s = time.monotonic()
        try:
            self._require_room(count, size_bytes)
        except SkerryError:
            self._metrics.refused.value += len(wanted)
            raise
        self._bytes_at_door += size_bytes
        self._waiting += count
        try:
            found = await self.backlog.put(wanted)
        except BaseException:
            self._waiting -= count
            self._metrics.refused.value += len(wanted)
            raise
        finally:
            self._bytes_at_door -= size_bytes
        self._metrics.accepting.observe(time.monotonic() - began_s)
        self._metrics.accepted.value += len(found)
        self._take_in(wanted, found)
        return found

    def _take_in(self, wanted: Sequence[tuple[Entry, Sequence[str]]], found: Sequence[Accepted]) -> None:
        """Count what was accepted, and wake the feeds that have something to do."""
        self.accepted += len(found)
        new: Counter[str] = Counter()
        for (_, names), accepted in zip(wanted, found, strict=True):
            if accepted.is_new:
                for name in names:
                    new[name] += 1
            else:
                self.duplicates += 1
                self._metrics.duplicates.value += 1
                self._waiting -= len(names)
        self._wake(new)

    def _wake(self, new: Mapping[str, int]) -> None:
        for name, count in new.items():
            feed = self.feeds.get(name)
            if feed is not None:
                feed.waiting += count
                feed.wake()

    def _takers(self, entry: Entry, *, is_foreign: bool = False) -> list[str]:
        attributes = entry.attributes
        names = [name for name, matches in self._matches.items() if matches(attributes)]
        return [name for name in names if not self.feeds[name].is_local] if is_foreign else names

    def _require_room(self, count: int, size_bytes: int) -> None:
        if self._stopping:
            raise UnavailableError("the broker is shutting down; send the events again", retry_after_s=1)
        over = self._waiting + count - self._limits.most_waiting
        if self._waiting and count and over > 0:
            raise QueueFullError(
                f"{self._waiting} deliveries of events wait, and the broker keeps {self._limits.most_waiting}; send "
                "the events again later, or give the functions more workers",
                retry_after_s=max(1.0, over / max(1.0, self._rate.per_s())),
            )
        if self._bytes_at_door and self._bytes_at_door + size_bytes > MOST_BYTES_AT_DOOR:
            raise QueueFullError("more events come in than can be written; send them again later", retry_after_s=1)

    # Functions come and go

    async def follow(self, functions: Sequence[FunctionSpec], *, are_all: bool = True) -> None:
        """Feed exactly these functions, as their triggers and timers say.

        What waits for triggers that are not there any more is forgotten.

        Args:
            functions: Those to feed.
            are_all: Whether no other is deployed; otherwise what waits for triggers that are not there waits on.
        """
        async with self._changes:
            starts = starts_of(functions)
            for name in self.feeds.keys() - starts.keys():
                self._end(name)
            lost = await self.backlog.keep_only(starts.keys()) if are_all else 0
            if lost:
                logger.warning("%d deliveries waited for triggers that are not there any more; they are gone", lost)
            self._waiting -= lost
            left: Mapping[str, int] = {}
            if self._purge is None:  # what the broker before has left
                left = await self.backlog.waiting()
                self._waiting = sum(left.values())
            for name, (spec, number) in starts.items():
                self._begin(name, spec, number)
                self.feeds[name].waiting += left.get(name, 0)
                self.feeds[name].wake()
        if self._purge is None:
            self._purge_old()

    def _begin(self, name: str, spec: FunctionSpec, number: int) -> None:
        feed = self.feeds.get(name)
        if feed is None:
            feed = self.feeds[name] = Feed(
                name,
                spec.name,
                backlog=self.backlog,
                give=self._give,
                chance=self._chance,
                on_settled=self._settled,
                publish=lambda reply: self.accept([reply]),
                sink=self._take_dead,
            )
            feed.tracer = self.tracer
            feed.metrics = self._metrics.trigger(name, spec.name, numbers_of(feed))
        feed.is_local = spec.local
        if name == sink_name(spec.name):
            feed.retry = Retry()
        elif is_timer(name):
            timer = spec.timers[number]
            feed.retry = timer.retry
            self._set_timer(feed, timer)
        else:
            trigger = spec.triggers[number]
            feed.retry, feed.batch = trigger.retry, trigger.batch
            self._matches[name] = compile_filter(None if trigger.filter is None else trigger.filter.dialect)

    async def _take_dead(self, dead: DeadEvent) -> None:
        if dead.function is None:
            await self.accept([dead.entry])
        else:
            await self.put([(dead.entry, [sink_name(dead.function)])])

    def _set_timer(self, feed: Feed, timer: Timer) -> None:
        before = self._timetables.get(feed.name)
        if before is not None and before.timer == timer:
            return
        if before is not None:
            before.stop()

        def fire(event: Event) -> None:
            if feed.is_idle:  # else it has not finished the moment before
                self._do(self.put([(entry_of(event), [feed.name])]))

        self._timetables[feed.name] = Timetable(feed.function, timer, fire)

    def _end(self, name: str) -> None:
        feed = self.feeds.pop(name)
        feed.close()
        feed.metrics.close()
        self._matches.pop(name, None)
        timetable = self._timetables.pop(name, None)
        if timetable is not None:
            timetable.stop()

    @property
    def has_local(self) -> bool:
        """Whether it feeds a function that is labelled ``local``, whose events do not leave this machine."""
        return any(feed.is_local for feed in self.feeds.values())

    # What operators ask for

    async def replay(self, number: int, trigger: str | None = None) -> list[str] | None:
        """Give a kept event to functions once more; none when it is not kept any more.

        Args:
            number: Its number.
            trigger: Only to this one; else to all that take it now.
        """
        kept = await self.backlog.event(number)
        if kept is None:
            return None
        event = Event.from_http({"content-type": "application/cloudevents+json"}, kept.document)
        names = self._takers(entry_of(event)) if trigger is None else [trigger]
        await self.backlog.replay(number, names)
        self._revived(names)
        return names

    async def revive(self, positions: Sequence[int]) -> list[str]:
        """Give dead letters to their functions again; return their triggers."""
        names = await self.backlog.revive(positions)
        self._revived(names)
        return names

    def _revived(self, names: Sequence[str]) -> None:
        self._waiting += len(names)
        self._wake(Counter(names))

    def describe(self) -> dict[str, Any]:
        """Return what is taken and what waits as plain values."""
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "waiting": self._waiting,
            "triggers": [
                {
                    "name": feed.name,
                    "function": feed.function,
                    "in_flight": feed.line.in_flight,
                    "held": feed.line.held,
                    "done": feed.done,
                    "dead": feed.dead,
                }
                for feed in self.feeds.values()
            ],
        }

    # The end

    def stop(self) -> None:
        """Take nothing more, and give nothing more to functions."""
        self._stopping = True
        for timetable in self._timetables.values():
            timetable.stop()
        for feed in self.feeds.values():
            feed.close()
        if self._purge is not None:
            self._purge.cancel()

    async def close(self) -> None:
        """Record what is settled; nothing answers any more."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.backlog.close()

    # Inside

    def _settled(self, count: int) -> None:
        self._waiting -= count
        self._rate.add(count)

    def _do(self, work: Any) -> None:
        async def quietly() -> None:
            try:
                await work
            except SkerryError as error:
                logger.warning("events: %s", error.message)

        task = asyncio.get_running_loop().create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _purge_old(self) -> None:
        self._do(self.backlog.purge(time.time() - self._limits.kept_s))
        self._purge = asyncio.get_running_loop().call_later(PURGE_PERIOD_S, self._purge_old)


def starts_of(functions: Sequence[FunctionSpec]) -> Mapping[str, tuple[FunctionSpec, int]]:
    """Return the triggers and timers of functions by name, each as the function and the place in its list.

    Example:
        Of a function ``detect`` with two triggers and a timer: ``detect``, ``detect/2`` and ``detect/timer``; and
        ``detect/dead`` where dead letters of others go to it.
    """
    found: dict[str, tuple[FunctionSpec, int]] = {}
    for spec in functions:
        for number in range(len(spec.triggers)):
            found[spec.name if not number else f"{spec.name}/{number + 1}"] = spec, number
        for number in range(len(spec.timers)):
            found[f"{spec.name}/timer" + (f"-{number + 1}" if number else "")] = spec, number
    sinks = {sink_function(retry) for spec in functions for retry in spec.retries}
    found |= {sink_name(spec.name): (spec, 0) for spec in functions if spec.name in sinks}
    return found


def is_timer(name: str) -> bool:
    """Return whether a name of `starts_of` is a timer's."""
    return name.partition("/")[2].startswith("timer")
