"""The replies of a round on disk: written before they count, read one at a time."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skerry.errors import CorruptObjectError, DataError
from skerry.learn.federated.record.results import ClientResult
from skerry.learn.federated.strategies.base import Received, Replies
from skerry.learn.federated.wire.coding.packing import unpack
from skerry.learn.federated.wire.frames import HEAD_BYTES, frame_bytes, frame_pieces, read_frame, write_all
from skerry.learn.federated.wire.messages import FitReply

KEPT_BYTES = 1 << 20  # of short replies
MUCH_BYTES = 1 << 18  # to be written to the disk
REMEMBERED = "remembered"
"""The fact of a reply that was not given in the log's round, but carried over from the one before."""
BASE = "base"
"""The fact of a reply to a task of an earlier round: the model that its client was given, as a vector."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a reply is in the log.

    Args:
        client: Whose.
        round: Of the task that it answers.
        begin: First byte of its frame.
        end: The byte after it.
        result: What the record of a round says of it, as if it had come in time.
        is_carried: Whether it was not given in the log's round, but carried over from the one before.
        has_base: Whether the model that it was trained from is beside it.
    """

    client: str
    round: int
    begin: int
    end: int
    result: ClientResult
    is_carried: bool
    has_base: bool


class ReplyLog:
    """The log of one round, opened for reading what is there and adding to it.

    Args:
        path: The file; it is created when missing, and what a crash left of a last reply is cut off.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.entries: list[Entry] = []
        self._end = self._synced = 0
        self._kept: dict[int, Received] = {}  # by the first byte of the entry
        self._room_bytes = KEPT_BYTES
        self._syncing: queue.SimpleQueue[int | OSError] | None = None  # brings how far the disk has it
        size = os.fstat(self._descriptor).st_size
        while (frame := self._frame(self._end, size)) is not None:
            value, length = frame
            reply = FitReply.model_validate(value["reply"])
            self._add(reply, value["facts"], length)
        if self._end < size:
            os.ftruncate(self._descriptor, self._end)

    def append(self, reply: FitReply, facts: dict[str, Any], received: Received | None = None) -> None:
        """Add a reply; it survives this process at once, and the machine once `sync` has returned.

        Args:
            reply: As it came.
            facts: What is known of it beside, of plain types and arrays.
            received: What was made of it when it was checked; kept as far as there is room, so that a short one need
                not be read again.
        """
        lengths = [len(part.data) for part in (reply.update, reply.control) if part is not None]
        most_bytes = max([*lengths, facts[BASE].nbytes if BASE in facts else 0])
        frame = frame_pieces({"reply": reply.model_dump(), "facts": facts}, most_bytes=most_bytes)
        if received is not None and reply.update is not None:
            self._keep(received)
        self._add(reply, facts, write_all(self._descriptor, frame))

    def kept(self, entry: Entry) -> Received | None:
        """Return what is still in memory of a reply, if anything."""
        return self._kept.get(entry.begin)

    def _keep(self, received: Received) -> None:
        arrays = [received.delta] if received.control is None else [received.delta, received.control]
        size_bytes = sum(array.nbytes for array in arrays)
        if size_bytes > self._room_bytes:
            return
        self._room_bytes -= size_bytes
        for array in arrays:
            array.setflags(write=False)  # it may be read several times
        self._kept[self._end] = received

    def begin_sync(self, start: Callable[[Callable[[], None]], None]) -> None:
        """Have what was added reach the disk while the caller does something else; `sync` waits for it.

        Of little, that takes no longer than another thread takes to begin: `sync` does it itself.

        Args:
            start: Calls what it is given in another thread.
        """
        if self._end - self._synced < MUCH_BYTES:
            return
        end, self._syncing = self._end, queue.SimpleQueue()

        def run(outcomes: queue.SimpleQueue[int | OSError] = self._syncing) -> None:
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                outcomes.put(error)
            else:
                outcomes.put(end)

        start(run)

    def sync(self) -> None:
        """Wait until what was added is on disk."""
        if self._syncing is not None:
            outcome, self._syncing = self._syncing.get(), None
            if isinstance(outcome, OSError):
                raise outcome
            self._synced = outcome
        if self._synced < self._end:
            os.fdatasync(self._descriptor)
            self._synced = self._end

    def read(self, entry: Entry) -> tuple[FitReply, dict[str, Any]]:
        """Return a reply, and what is known of it beside."""
        content = os.pread(self._descriptor, entry.end - entry.begin, entry.begin)
        frame = read_frame(content)
        if frame is None:
            raise CorruptObjectError(f"{self.path}: the reply at byte {entry.begin} was changed after it was written")
        return FitReply.model_validate(frame[0]["reply"]), frame[0]["facts"]

    def close(self) -> None:
        """Let go of the file."""
        if self._syncing is not None:
            self._syncing.get()
        os.close(self._descriptor)

    def _frame(self, begin: int, size: int) -> tuple[dict[str, Any], int] | None:
        length = frame_bytes(os.pread(self._descriptor, HEAD_BYTES, begin))
        if length is None or length > size - begin:
            return None
        return read_frame(os.pread(self._descriptor, length, begin))

    def _add(self, reply: FitReply, facts: dict[str, Any], length: int) -> None:
        result = ClientResult(
            client=reply.client,
            examples=reply.examples,
            steps=reply.steps,
            metrics=reply.metrics,
            train_s=reply.train_s,
            duration_s=facts.get("duration_s", 0.0),
            bytes_up=sum(len(part.data) for part in (reply.update, reply.control) if part is not None),
            peak_memory_bytes=reply.peak_memory_bytes,
        )
        begin, end = self._end, self._end + length
        self.entries.append(Entry(reply.client, reply.round, begin, end, result, REMEMBERED in facts, BASE in facts))
        self._end += length
        os.lseek(self._descriptor, self._end, os.SEEK_SET)


class RecordedReplies(Replies):
    """The replies of a log as a strategy reads them.

    Args:
        log: Of a round.
        round: The round.
        dtype: Of the model.
        newest: Whether only the newest reply of each client counts.
    """

    def __init__(self, log: ReplyLog, *, round: int, dtype: str, newest: bool = False) -> None:
        self._log = log
        self._round = round
        self._dtype = dtype
        self._newest = newest

    def __len__(self) -> int:
        return len(_sorted(self._log, self._newest))

    def __iter__(self) -> Iterator[Received]:
        for entry in _sorted(self._log, self._newest):
            yield self._received(entry)

    @property
    def have_bases(self) -> bool:
        """Whether a reply has a ``base``."""
        return any(entry.has_base for entry in _sorted(self._log, self._newest))

    def _received(self, entry: Entry) -> Received:
        """Return a reply; of what was read nothing stays but its vectors."""
        kept = self._log.kept(entry)
        if kept is not None:
            return kept
        reply, facts = self._log.read(entry)
        if reply.update is None:
            raise DataError(f"client {reply.client!r}: its reply holds no update")
        return Received(
            client=reply.client,
            delta=unpack(reply.update, self._dtype),
            examples=reply.examples,
            steps=reply.steps,
            staleness=self._round - reply.round,
            base=facts.get(BASE),
            control=None if reply.control is None else unpack(reply.control, self._dtype),
            metrics=reply.metrics,
        )


def _sorted(log: ReplyLog, newest: bool) -> list[Entry]:
    """Return the entries in the order of the clients' names: it must not matter who was first."""
    found = sorted(log.entries, key=lambda entry: (entry.client, entry.round))
    return list({entry.client: entry for entry in found}.values()) if newest else found


def client_results(log: ReplyLog, *, round: int) -> tuple[ClientResult, ...]:
    """Return what the record of a round says of each reply that counted in it."""
    return tuple(
        entry.result if entry.round == round else entry.result.model_copy(update={"staleness": round - entry.round})
        for entry in _sorted(log, newest=False)
        if not entry.is_carried
    )


def remembered_results(log: ReplyLog, *, round: int) -> dict[str, int]:
    """Return whose last update counted in a round without a new one, and how many rounds old it was."""
    return {entry.client: round - entry.round for entry in _sorted(log, newest=True) if entry.is_carried}
