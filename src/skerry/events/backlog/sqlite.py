"""The embedded backlog: one SQLite file, with group commit.

What is put in one turn of the event loop is one transaction, with what was settled until then; whoever put something
is answered after the commit. A commit only copies memory to the operating system; what waits for the disk, moving the
log into the file, is done by a thread.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from skerry.errors import UnavailableError
from skerry.events.backlog.base import Accepted, Backlog, Settled
from skerry.events.backlog.checkpoints import Checkpoints
from skerry.events.backlog.schema import connect
from skerry.events.delivery import DeadLetter, Delivery, Entry, KeptEvent

logger = logging.getLogger(__name__)
AGAIN_S = 1.0  # until what could not be recorded is tried again
SETTLE_S = 0.005  # ends of attempts gather for so long; nobody waits for them
PURGED_AT_ONCE = 100  # what comes meanwhile waits for as many

Put = tuple[Sequence[tuple[Entry, Sequence[str]]], "asyncio.Future[list[Accepted]]"]

KEPT = """SELECT number, document, accepted_at,
            (SELECT group_concat(trigger, char(10)) FROM deliveries WHERE event = number AND state = 'waiting'),
            (SELECT group_concat(trigger, char(10)) FROM deliveries WHERE event = number AND state = 'dead')
          FROM events"""


class SqliteBacklog(Backlog):
    """A backlog in a file of this machine; needs a running event loop.

    Args:
        path: The file, made when it is missing.

    Raises:
        ConfigError: it cannot be opened, is no such file, or was written by a newer Skerry.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path)
        self._loop = asyncio.get_running_loop()
        self._puts: list[Put] = []
        self._settled: list[Settled] = []
        self._recorded: list[asyncio.Future[None]] = []
        self._is_due = False
        self._is_refusing = False  # the last commit has failed
        self._settling: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None  # set where the last commit has failed
        self._checkpoints = Checkpoints(path, resume=self._resume)
        self._number = self._last("SELECT max(number) FROM events")
        self._position = self._last(
            "SELECT max(position) FROM (SELECT max(position) position FROM deliveries GROUP BY trigger)"
        )

    async def put(self, entries: Sequence[tuple[Entry, Sequence[str]]]) -> list[Accepted]:
        """See `Backlog.put`."""
        outcome: asyncio.Future[list[Accepted]] = self._loop.create_future()
        self._puts.append((entries, outcome))
        self._commit_soon()
        return await outcome

    async def take(self, trigger: str, after: int, most: int) -> list[Delivery]:
        """See `Backlog.take`."""
        rows = self._connection.execute(
            """SELECT d.position, d.event, e.key, e.document, e.accepted_at, d.attempts, d.due_at
               FROM deliveries d JOIN events e ON e.number = d.event
               WHERE d.trigger = ? AND d.state = 'waiting' AND d.position > ? ORDER BY d.position LIMIT ?""",
            (trigger, after, most),
        )
        return [Delivery(*row) for row in rows.fetchall()]

    def settle(self, settled: Settled) -> None:
        """See `Backlog.settle`."""
        self._settled.append(settled)
        if self._settling is None and self._again is None:
            self._settling = self._loop.call_later(SETTLE_S, self._commit_soon)

    async def flush(self) -> None:
        """See `Backlog.flush`."""
        if self._settled or self._puts:
            recorded: asyncio.Future[None] = self._loop.create_future()
            self._recorded.append(recorded)
            self._commit_soon()
            await recorded

    async def keep_only(self, triggers: Collection[str]) -> int:
        """See `Backlog.keep_only`."""
        await self.flush()
        lost = 0
        for trigger in set(self._triggers()) - set(triggers):
            lost += self._last("SELECT count(*) FROM deliveries WHERE state = 'waiting' AND trigger = ?", trigger)
            await self._write("DELETE FROM deliveries WHERE trigger = ?", [(trigger,)])
        return lost

    async def waiting(self) -> dict[str, int]:
        """See `Backlog.waiting`."""
        return dict(
            self._connection.execute(
                "SELECT trigger, count(*) FROM deliveries WHERE state = 'waiting' GROUP BY trigger"
            ).fetchall()
        )

    async def events(
        self, *, most: int, type: str | None = None, id: str | None = None, before: int | None = None
    ) -> list[KeptEvent]:
        """See `Backlog.events`."""
        rows = self._connection.execute(
            KEPT
            + """ WHERE (?1 IS NULL OR type = ?1) AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR number < ?3)
                ORDER BY number DESC LIMIT ?4""",
            (type, id, before, most),
        )
        return [_kept(row) for row in rows.fetchall()]

    async def event(self, number: int) -> KeptEvent | None:
        """See `Backlog.event`."""
        row = self._connection.execute(KEPT + " WHERE number = ?", (number,)).fetchone()
        return None if row is None else _kept(row)

    async def dead(self, *, trigger: str | None = None, most: int) -> list[DeadLetter]:
        """See `Backlog.dead`."""
        await self.flush()
        rows = self._connection.execute(
            """SELECT d.position, d.trigger, d.event, e.document, d.attempts, d.code, d.error, d.died_at
               FROM deliveries d JOIN events e ON e.number = d.event
               WHERE d.state = 'dead' AND (?1 IS NULL OR d.trigger = ?1) ORDER BY d.died_at DESC, d.position DESC
               LIMIT ?2""",
            (trigger, most),
        )
        return [DeadLetter(*row) for row in rows.fetchall()]

    async def revive(self, positions: Sequence[int]) -> list[str]:
        """See `Backlog.revive`."""
        await self.flush()
        triggers = []
        for position in positions:
            row = self._connection.execute(
                "SELECT trigger, event FROM deliveries WHERE position = ? AND state = 'dead'", (position,)
            ).fetchone()
            if row is not None:
                self._position += 1  # behind what was returned already, so that `take` comes by it
                await self._write(
                    """UPDATE deliveries SET position = ?, state = 'waiting', attempts = 0, due_at = 0, code = NULL,
                       error = NULL, died_at = NULL WHERE position = ? AND state = 'dead'""",
                    [(self._position, position)],
                )
                triggers.append(row[0])
        return triggers

    async def bury(self, positions: Sequence[int]) -> int:
        """See `Backlog.bury`."""
        await self.flush()
        return await self._write(
            "DELETE FROM deliveries WHERE position = ? AND state = 'dead'", [(p,) for p in positions]
        )

    async def replay(self, number: int, triggers: Sequence[str]) -> bool:
        """See `Backlog.replay`."""
        if self._last("SELECT count(*) FROM events WHERE number = ?", number) == 0:
            return False
        await self._write(INSERT_DELIVERY, self._deliveries(number, triggers))
        return True

    async def purge(self, before_s: float) -> int:
        """See `Backlog.purge`."""
        gone = after = 0
        while True:  # in the order of acceptance, a little at a time: younger ones are not looked at
            rows = self._connection.execute(
                "SELECT number, accepted_at FROM events WHERE number > ? ORDER BY number LIMIT ?",
                (after, PURGED_AT_ONCE),
            ).fetchall()
            old = [(number,) for number, accepted_at in rows if accepted_at < before_s]
            if old:
                gone += await self._write(
                    """DELETE FROM events WHERE number = ?1
                       AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = ?1)""",
                    old,
                )
            if len(old) < PURGED_AT_ONCE:
                return gone
            after = old[-1][0]
            await asyncio.sleep(0)

    async def close(self) -> None:
        """See `Backlog.close`."""
        await self._checkpoints.stop()
        self._cancel_timers()
        if self._puts or self._settled:
            self._commit()
        self._connection.close()

    # Inside

    def _commit_soon(self) -> None:
        if not self._is_due and not self._checkpoints.holds_up:
            self._is_due = True
            self._loop.call_soon(self._commit)

    def _resume(self) -> None:
        if self._puts or self._settled or self._recorded:
            self._commit_soon()

    def _commit(self) -> None:
        """Record everything that has gathered, as one transaction."""
        self._is_due = False
        self._cancel_timers()
        puts, self._puts = self._puts, []
        settled, self._settled = self._settled, []
        recorded, self._recorded = self._recorded, []
        before = self._number, self._position
        try:
            outcomes = self._record(puts, settled)
        except Exception as error:  # whatever it is, who waits must be told
            self._number, self._position = before
            self._settled = settled + self._settled
            self._recorded = recorded + self._recorded
            self._refuse(puts, error)
            return
        for (_, waiter), accepted in zip(puts, outcomes, strict=True):
            if not waiter.done():
                waiter.set_result(accepted)
        for done in recorded:
            if not done.done():
                done.set_result(None)
        if self._is_refusing:
            logger.warning("the backlog of events can be written again")
        self._is_refusing = False
        self._checkpoints.wrote()

    def _cancel_timers(self) -> None:
        for timer in (self._settling, self._again):
            if timer is not None:
                timer.cancel()
        self._settling = self._again = None

    def _record(self, puts: Sequence[Put], settled: Sequence[Settled]) -> list[list[Accepted]]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            now_s = time.time()
            outcomes = self._insert_new(puts, now_s) or self._insert_each(puts, now_s)
            done = _runs((one.trigger, one.delivery.position) for one in settled if one.outcome == "done")
            if done:
                connection.executemany(DELETE_RUN, done)
            for one in settled:
                if one.outcome != "done":
                    self._note(one, now_s)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return outcomes

    def _insert_new(self, puts: Sequence[Put], now_s: float) -> list[list[Accepted]] | None:
        """Insert all events at once; none, and nothing is inserted, where one of them is there already."""
        first = number = self._number + 1
        position = self._position + 1
        events: list[tuple[object, ...]] = []
        deliveries: list[tuple[int, str, int]] = []
        for entries, _ in puts:
            for entry, names in entries:
                events.append((number, entry.source, entry.id, entry.type, entry.key, now_s, entry.document))
                for name in names:
                    deliveries.append((position, name, number))
                    position += 1
                number += 1
        if not events:
            return [[] for _ in puts]
        if self._connection.executemany(INSERT_EVENT, events).rowcount < len(events):
            self._connection.execute("DELETE FROM events WHERE number >= ?", (first,))
            return None
        if deliveries:
            self._connection.executemany(INSERT_DELIVERY, deliveries)
        self._number, self._position = number - 1, position - 1
        numbers = itertools.count(first)
        return [[Accepted(next(numbers), True) for _ in entries] for entries, _ in puts]

    def _insert_each(self, puts: Sequence[Put], now_s: float) -> list[list[Accepted]]:
        """Insert events one by one, those that are not there yet."""
        return [[self._insert(entry, names, now_s) for entry, names in entries] for entries, _ in puts]

    def _insert(self, entry: Entry, triggers: Sequence[str], now_s: float) -> Accepted:
        execute = self._connection.execute
        values = (self._number + 1, entry.source, entry.id, entry.type, entry.key, now_s, entry.document)
        if execute(INSERT_EVENT, values).rowcount == 0:
            found = execute("SELECT number FROM events WHERE source = ? AND id = ?", (entry.source, entry.id))
            return Accepted(int(found.fetchone()[0]), False)
        self._number += 1
        for delivery in self._deliveries(self._number, triggers):
            execute(INSERT_DELIVERY, delivery)
        return Accepted(self._number, True)

    def _note(self, settled: Settled, now_s: float) -> None:
        delivery = settled.delivery
        if settled.outcome == "again":
            statement = "UPDATE deliveries SET attempts = ?, due_at = ? WHERE trigger = ? AND position = ?"
            values: tuple[object, ...] = (delivery.attempts, delivery.due_at, settled.trigger, delivery.position)
        else:
            statement = """UPDATE deliveries SET state = 'dead', attempts = ?, code = ?, error = ?, died_at = ?
                           WHERE trigger = ? AND position = ?"""
            values = (delivery.attempts, settled.code, settled.error, now_s, settled.trigger, delivery.position)
        self._connection.execute(statement, values)

    def _deliveries(self, number: int, triggers: Sequence[str]) -> list[tuple[int, str, int]]:
        first = self._position + 1
        self._position += len(triggers)
        return [(first + n, trigger, number) for n, trigger in enumerate(triggers)]

    def _refuse(self, puts: Sequence[Put], error: Exception) -> None:
        if not self._is_refusing:
            logger.warning("the backlog of events cannot be written: %s; it is tried again until it can", error)
        self._is_refusing = True
        for _, waiter in puts:
            if not waiter.done():
                waiter.set_exception(
                    UnavailableError(
                        f"the backlog of events {self._path} cannot be written: {error}; nothing was accepted",
                        retry_after_s=AGAIN_S,
                    )
                )
        self._again = self._loop.call_later(AGAIN_S, self._commit_soon)
        self._checkpoints.make_room()

    async def _write(self, statement: str, values: Sequence[tuple[object, ...]]) -> int:
        await self._checkpoints.leave()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                count = self._connection.executemany(statement, values).rowcount
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise UnavailableError(f"the backlog of events {self._path} cannot be written: {error}") from error
        return max(0, count)

    def _triggers(self) -> Iterator[str]:
        """Yield the triggers that have deliveries, each with one look: there may be a million deliveries."""
        found: str | None = ""
        while found is not None:
            (found,) = self._connection.execute(
                "SELECT min(trigger) FROM deliveries WHERE trigger > ?", (found,)
            ).fetchone()
            if found is not None:
                yield found

    def _last(self, statement: str, *values: object) -> int:
        return int(self._connection.execute(statement, values).fetchone()[0] or 0)


INSERT_EVENT = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
INSERT_DELIVERY = """INSERT INTO deliveries (position, trigger, event, attempts, due_at, state)
                     VALUES (?, ?, ?, 0, 0, 'waiting')"""
DELETE_RUN = "DELETE FROM deliveries WHERE trigger = ? AND position BETWEEN ? AND ?"


def _runs(places: Iterable[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """Return triggers and positions as runs, first and last: deliveries that follow one another go together."""
    runs: list[tuple[str, int, int]] = []
    trigger, first, last = "", 0, 0
    for name, position in sorted(places):
        if position != last + 1 or name != trigger:
            if first:
                runs.append((trigger, first, last))
            trigger, first = name, position
        last = position
    if first:
        runs.append((trigger, first, last))
    return runs


def _kept(row: tuple[int, bytes, float, str | None, str | None]) -> KeptEvent:
    number, document, accepted_at, waiting, dead = row
    return KeptEvent(number, document, accepted_at, tuple((waiting or "").split()), tuple((dead or "").split()))
