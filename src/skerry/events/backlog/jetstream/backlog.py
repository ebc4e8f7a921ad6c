"""A backlog on NATS JetStream, for events that outgrow one file or one machine's disk.

Each event is one message of a stream, with the triggers that take it in a header, so that accepting it is one step. The
broker reads the stream for each trigger from where that trigger has dealt with everything; how far that is stands in a
key-value bucket. One broker at a time uses a prefix.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from skerry.errors import UnavailableError
from skerry.events.backlog.base import Accepted, Backlog, Settled
from skerry.events.backlog.jetstream import link
from skerry.events.backlog.jetstream.claim import Claim
from skerry.events.backlog.jetstream.progress import Progress
from skerry.events.backlog.jetstream.reader import Reader
from skerry.events.delivery import DeadLetter, Delivery, Entry, KeptEvent
from skerry.events.parting import part

logger = logging.getLogger(__name__)
WRITE_S = 0.02  # ends of attempts gather for so long
WRITE_AGAIN_S = 1.0  # until what could not be recorded is tried again
CLOSE_S = 5.0  # a server that does not answer is waited for at the end
SEARCHED = 10_000  # messages that are looked at for a list, at most


class JetStreamBacklog(Backlog):
    """A backlog on a NATS server; made by :meth:`open`.

    Args:
        connection: To the server.
        prefix: Of the names of the stream and the buckets.
        owner: Names the engine.
    """

    def __init__(self, connection: Any, prefix: str, owner: str) -> None:
        self._connection = connection
        self._server = connection.jetstream(timeout=link.ANSWER_S)
        self._stream = f"{prefix}-events"
        self._subject = f"{prefix}.events"
        self._prefix = prefix
        self._claim = Claim(owner)
        self._kept: Any = None  # the bucket of progress
        self._graves: Any = None  # the bucket of dead letters
        self._progress: dict[str, Progress] = {}
        self._readers: dict[str, Reader] = {}
        self._cursors: dict[str, int] = {}
        self._read: dict[str, list[Delivery]] = {}  # up to the cursors, by calls that failed behind them
        self._dead: dict[int, DeadLetter] = {}
        self._changed: set[str] = set()
        self._buried: list[DeadLetter] = []
        self._writing: asyncio.Task[None] | None = None
        self._one_writes = asyncio.Lock()  # a letter is written before the next one
        self._last = 0

    @classmethod
    async def open(cls, address: str, *, owner: str = "skerry") -> JetStreamBacklog:
        """Return the backlog of a server, which is made when it is missing.

        Args:
            address: Such as ``nats://127.0.0.1:4222``, or ``nats://127.0.0.1:4222/PREFIX``: names of the stream and the
                buckets begin so.
            owner: Names the engine, the same after a restart; one at a time uses a prefix.

        Raises:
            ConfigError: the extra ``nats`` is not installed, or another engine uses the prefix.
            UnavailableError: the server does not answer, or has no JetStream.
        """
        url, prefix = link.parse(address)
        backlog = cls(await link.connect(url), prefix, owner)
        try:
            async with _told("opened"):
                await backlog._prepare()
        except BaseException:
            await part(backlog._connection)
            raise
        return backlog

    async def put(self, entries: Sequence[tuple[Entry, Sequence[str]]]) -> list[Accepted]:
        """See `Backlog.put`; what was written of events that are refused is known when they are sent again."""
        self._claim.check()
        async with _told("written"):
            acks = await asyncio.gather(*(self._write_event(entry, names) for entry, names in entries))
        return [Accepted(ack.seq, not ack.duplicate) for ack in acks]

    async def take(self, trigger: str, after: int, most: int) -> list[Delivery]:
        """See `Backlog.take`."""
        progress = self._progress.get(trigger)
        if progress is None:
            return []
        self._claim.check()
        found = self._read.setdefault(trigger, [])
        async with _told("read"):
            cursor = self._cursors.setdefault(trigger, max(after, progress.floor))
            while len(found) < most and cursor < self._last:
                for message in await self._fetch(trigger, cursor, min(most - len(found), self._last - cursor)):
                    cursor = self._cursors[trigger] = message.metadata.sequence.stream
                    if trigger not in link.triggers_of(message.headers):
                        progress.finish(cursor)
                    elif not progress.has_finished(cursor):
                        progress.meet(cursor)
                        found.append(link.delivery_of(message, cursor, *progress.again.get(cursor, (0, 0.0))))
        taken, found[:most] = found[:most], []
        return taken

    def settle(self, settled: Settled) -> None:
        """See `Backlog.settle`."""
        one, progress = settled.delivery, self._progress.get(settled.trigger)
        if progress is None:
            return
        if settled.outcome == "again":
            progress.again[one.position] = (one.attempts, one.due_at)
        else:
            progress.waiting -= not progress.has_finished(one.position)
            progress.finish(one.position)
        if settled.outcome == "dead":
            number = max(self._dead, default=0) + 1
            facts = (one.attempts, settled.code, settled.error, time.time())
            letter = DeadLetter(number, settled.trigger, one.event, one.document, *facts)
            self._dead[number] = letter
            self._buried.append(letter)
        self._changed.add(settled.trigger)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_soon())

    async def flush(self) -> None:
        """See `Backlog.flush`."""
        async with self._one_writes, _told("written"):
            await self._write()

    async def keep_only(self, triggers: Collection[str]) -> int:
        """See `Backlog.keep_only`."""
        lost = 0
        async with _told("written"):
            for name in set(self._progress) - set(triggers):
                lost += self._progress.pop(name).waiting
                self._cursors.pop(name, None)
                self._read.pop(name, None)
                self._changed.discard(name)
                if reader := self._readers.pop(name, None):
                    await reader.close()
                await self._kept.delete(name)
                for letter in [one for one in self._dead.values() if one.trigger == name]:
                    await self._forget(letter.position)
            for name in set(triggers) - set(self._progress):
                self._progress[name] = Progress(self._last)
                await self._kept.put(name, self._progress[name].encode())
        return lost

    async def waiting(self) -> dict[str, int]:
        """See `Backlog.waiting`."""
        return {name: progress.waiting for name, progress in self._progress.items() if progress.waiting}

    async def events(
        self, *, most: int, type: str | None = None, id: str | None = None, before: int | None = None
    ) -> list[KeptEvent]:
        """See `Backlog.events`; only the newest 10,000 messages are looked at."""
        found: list[KeptEvent] = []
        number = self._last if before is None else min(self._last, before - 1)
        lowest = max(0, number - SEARCHED)
        while number > lowest and len(found) < most:
            kept = await self.event(number)
            number -= 1
            if kept is not None and _fits(kept, type, id):
                found.append(kept)
        return found

    async def event(self, number: int) -> KeptEvent | None:
        """See `Backlog.event`."""
        message = await self._message(number)
        headers = None if message is None else message.headers or {}
        if message is None or headers is None or link.EVENT in headers:
            return None
        names = [name for name in link.triggers_of(headers) if name in self._progress]
        dead = tuple(one.trigger for one in self._dead.values() if one.event == number)
        waiting = tuple(name for name in names if not self._progress[name].has_finished(number))
        return KeptEvent(number, message.data, message.time.timestamp(), waiting, dead)

    async def dead(self, *, trigger: str | None = None, most: int) -> list[DeadLetter]:
        """See `Backlog.dead`."""
        found = [one for one in self._dead.values() if trigger in (None, one.trigger)]
        return sorted(found, key=lambda one: (one.died_at, one.position), reverse=True)[:most]

    async def revive(self, positions: Sequence[int]) -> list[str]:
        """See `Backlog.revive`."""
        await self.flush()
        names = []
        async with _told("written"):
            for position in positions:
                letter = self._dead.get(position)
                if letter is not None:
                    await self._repeat(letter.event, letter.document, [letter.trigger])
                    await self._forget(position)
                    names.append(letter.trigger)
        return names

    async def bury(self, positions: Sequence[int]) -> int:
        """See `Backlog.bury`."""
        await self.flush()
        known = [position for position in positions if position in self._dead]
        async with _told("written"):
            for position in known:
                await self._forget(position)
        return len(known)

    async def replay(self, number: int, triggers: Sequence[str]) -> bool:
        """See `Backlog.replay`."""
        kept = await self.event(number)
        if kept is None:
            return False
        async with _told("written"):
            await self._repeat(number, kept.document, triggers)
        return True

    async def purge(self, before_s: float) -> int:
        """See `Backlog.purge`."""
        gone = 0
        async with _told("written"):
            state = (await self._server.stream_info(self._stream)).state
            for number in range(max(1, state.first_seq), self._last + 1):  # 0 where nothing was ever kept
                message = await self._message(number)
                if message is None:
                    continue
                if message.time.timestamp() >= before_s:
                    break
                waits = any(
                    not self._progress[name].has_finished(number)
                    for name in link.triggers_of(message.headers)
                    if name in self._progress
                )
                if not waits and all(one.event != number for one in self._dead.values()):
                    gone += bool(await self._server.delete_msg(self._stream, number))
        return gone

    async def close(self) -> None:
        """See `Backlog.close`; where the server does not answer, what was settled of late comes again."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        until_s = asyncio.get_running_loop().time() + CLOSE_S
        try:
            async with asyncio.timeout_at(until_s):
                await self.flush()
        except Exception as error:  # the claim and the connection are given up all the same
            silent = f"the NATS server has not answered within {CLOSE_S:g} s"
            if self._changed:
                logger.warning(
                    "the latest answers to events of %s are not recorded, and the events may come to them again: %s",
                    ", ".join(sorted(self._changed)),
                    silent if isinstance(error, TimeoutError) else _said(error),
                )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                await self._claim.leave()
        await part(self._connection)

    # Inside

    async def _prepare(self) -> None:
        from nats.js import api

        config = api.StreamConfig(
            name=self._stream, subjects=[self._subject], duplicate_window=link.KNOWN_S, storage=api.StorageType.FILE
        )
        await self._claim.take(await self._server.create_key_value(bucket=f"{self._prefix}-owner"))
        await self._server.add_stream(config)
        self._kept = await self._server.create_key_value(bucket=f"{self._prefix}-progress")
        self._graves = await self._server.create_key_value(bucket=f"{self._prefix}-dead")
        self._last = (await self._server.stream_info(self._stream)).state.last_seq
        for name, kept in (await link.kept_values(self._server, self._kept, f"{self._prefix}-progress")).items():
            self._progress[name] = Progress.of(kept)
        for number, kept in (await link.kept_values(self._server, self._graves, f"{self._prefix}-dead")).items():
            self._dead[int(number)] = link.decode_dead(int(number), kept)
        await self._count_waiting()

    async def _count_waiting(self) -> None:
        """Count what waits for each trigger: the server does not know it."""
        number = min((progress.floor for progress in self._progress.values()), default=self._last)
        reader = Reader(self._server, self._stream, self._subject, headers_only=True)
        while number < self._last:
            for message in await reader.fetch(number, min(1000, self._last - number)):
                number = message.metadata.sequence.stream
                for name in link.triggers_of(message.headers):
                    progress = self._progress.get(name)
                    if progress is not None:
                        progress.waiting += not progress.has_finished(number)
        await reader.close()
        for progress in self._progress.values():
            progress.counted_to = self._last

    async def _fetch(self, trigger: str, after: int, most: int) -> list[Any]:
        if trigger not in self._readers:
            self._readers[trigger] = Reader(self._server, self._stream, self._subject)
        return await self._readers[trigger].fetch(after, most)

    async def _write_event(self, entry: Entry, names: Sequence[str]) -> Any:
        ack = await self._publish(entry.document, link.headers_of(entry, " ".join(names)))
        if not ack.duplicate:
            self._expect(names, ack.seq)
        return ack

    async def _publish(self, document: bytes, headers: dict[str, str]) -> Any:
        ack = await self._server.publish(self._subject, document, headers=headers, stream=self._stream)
        self._last = max(self._last, ack.seq)
        return ack

    async def _repeat(self, number: int, document: bytes, triggers: Sequence[str]) -> None:
        original = await self._message(number)
        key = None if original is None else (original.headers or {}).get(link.KEY)
        headers = {link.TRIGGERS: " ".join(triggers) or link.NO_TRIGGER, link.EVENT: str(number)}
        ack = await self._publish(document, headers if key is None else {**headers, link.KEY: key})
        self._expect(triggers, ack.seq)

    def _expect(self, triggers: Sequence[str], number: int) -> None:
        for name in triggers:
            progress = self._progress.get(name)
            if progress is not None:
                progress.expect(number, self._cursors.get(name, progress.floor))

    async def _message(self, number: int) -> Any:
        from nats.js.errors import NotFoundError

        try:
            return await self._server.get_msg(self._stream, number)
        except NotFoundError:
            return None

    async def _forget(self, number: int) -> None:
        del self._dead[number]
        await self._graves.delete(str(number))

    async def _write_soon(self) -> None:
        """Record what has gathered, and what gathers meanwhile, until nothing is left."""
        has_failed = False
        while self._changed or self._buried:
            await asyncio.sleep(WRITE_AGAIN_S if has_failed else WRITE_S)
            try:
                await self.flush()
            except Exception as error:  # else nothing would be recorded any more
                if not has_failed:
                    logger.warning("what became of events is not recorded yet, and tried again: %s", _said(error))
                has_failed = True
            else:
                if has_failed:
                    logger.warning("what became of events is recorded again")
                has_failed = False
        self._writing = None

    async def _write(self) -> None:
        self._claim.check()
        while self._buried:
            letter = self._buried[0]
            if letter.position in self._dead:
                await self._graves.put(str(letter.position), link.encode_dead(letter))
            self._buried.pop(0)
        for name in list(self._changed):
            progress = self._progress.get(name)
            self._changed.discard(name)
            if progress is not None:
                try:
                    await self._kept.put(name, progress.encode())
                except BaseException:
                    self._changed.add(name)
                    raise


def _said(error: Exception) -> str:
    return error.message if isinstance(error, UnavailableError) else f"{type(error).__name__}: {error}"


def _fits(kept: KeptEvent, type: str | None, id: str | None) -> bool:
    import orjson

    document = orjson.loads(kept.document)
    return type in (None, document["type"]) and id in (None, document["id"])


@contextlib.asynccontextmanager
async def _told(what: str) -> AsyncIterator[None]:
    """Tell what the server's errors mean."""
    from nats.errors import Error

    try:
        yield
    except (Error, OSError, TimeoutError) as error:
        raise UnavailableError(
            f"the backlog of events on NATS cannot be {what}: {type(error).__name__} {error}".strip(), retry_after_s=1
        ) from error
